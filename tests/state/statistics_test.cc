// What a state says of its rows without reading them: bounds that hold the
// truth, and cuts that part the rows evenly.
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "state/statistics.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

class StatisticsTest : public ::testing::Test {
 protected:
  StatisticsTest() {
    CountStoreOptions options;
    options.ingest_above_users = 50;
    options.memtable_bytes = 64 << 10;
    options.most_level0_files = 4;
    auto store = open_count_store(*disk_, dir_.file("state"), OpenMode::kCreate, options);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void commit(const std::set<UserKey>& users) {
    std::vector<UserClicks> changed;
    for (const UserKey user : users) changed.push_back({user, 1});
    ASSERT_TRUE(store_->commit({.batch = batch_++, .record = "record", .changed = changed}).ok());
    known_.insert(users.begin(), users.end());
  }
  UserBounds bounds() const {
    auto bounds = statistics_of(*store_).user_bounds();
    EXPECT_TRUE(bounds.ok()) << bounds.status();
    return bounds.value_or(UserBounds{-1, -1});
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::unique_ptr<CountStore> store_;
  std::set<UserKey> known_;
  BatchId batch_ = 0;
};

TEST_F(StatisticsTest, UsersOfOneFileOrOfTheLogAloneAreCountedExactly) {
  EXPECT_EQ(bounds().most, 0);
  commit({kNullUser, -5, 7});
  commit({-5, 8});
  EXPECT_EQ(bounds().least, 4);
  EXPECT_EQ(bounds().most, 4);
}

TEST_F(StatisticsTest, TheBoundsHoldTheNumberOfUsersWhateverWasFlushedAndCompacted) {
  std::mt19937_64 random(11);
  bool wide = false;
  for (int i = 0; i < 60; ++i) {
    std::set<UserKey> users;
    const std::size_t size = i % 2 == 0 ? 5 : 300;
    while (users.size() < size) users.insert(static_cast<std::int32_t>(random() % 2000) - 1000);
    commit(users);
    const UserBounds found = bounds();
    ASSERT_LE(found.least, std::ssize(known_)) << i;
    ASSERT_GE(found.most, std::ssize(known_)) << i;
    wide = wide || found.least < found.most;
  }
  EXPECT_TRUE(wide) << "files that share users cannot be told apart";
}

TEST_F(StatisticsTest, FilesOfFirstCountsLieBesideOneAnotherSoTheirUsersAreCountedExactly) {
  for (UserKey from = 0; from < 3000; from += 1000) {
    std::vector<UserClicks> changed;
    for (UserKey user = from; user < from + 1000; ++user) changed.push_back({user, 1});
    const StateCommit some{.batch = 0, .changed = changed, .first_counts = true};
    ASSERT_TRUE(store_->commit(some).ok());
  }
  EXPECT_EQ(bounds().least, 3000);
  EXPECT_EQ(bounds().most, 3000);
}

TEST_F(StatisticsTest, CutsPartTheRowsEvenlyAndAFewRowsHaveNone) {
  EXPECT_TRUE(statistics_of(*store_).split(4).empty());
  std::set<UserKey> users;
  for (UserKey user = 0; user < 60'000; ++user) users.insert(user < 30'000 ? user : user * 100);
  commit(users);
  const std::vector<UserKey> cuts = statistics_of(*store_).split(4);
  ASSERT_EQ(cuts.size(), 3U);
  auto from = users.begin();
  for (const UserKey cut : cuts) {
    const auto to = users.lower_bound(cut);
    EXPECT_NEAR(static_cast<double>(std::distance(from, to)), 15'000, 5'000) << cut;
    from = to;
  }
}

}  // namespace
}  // namespace clicktally
