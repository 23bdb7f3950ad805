// Checks I1 of the tally: runs add up to the obvious count, whatever the users and how many.
#include "aggregate/user_tally.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <random>

namespace clicktally {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

class UserTallyTest : public testing::Test {
 protected:
  void add(std::int32_t user) {
    tally_.add(user);
    ++expected_[user];
  }
  std::int32_t any(std::int32_t from, std::int32_t to) {
    return std::uniform_int_distribution<std::int32_t>(from, to)(random_);
  }
  void expect_the_obvious_count() {
    const UserRun sum = merge_runs(tally_.take());
    ASSERT_EQ(sum.size(), expected_.size());
    auto row = sum.begin();
    for (const auto& [user, clicks] : expected_) {
      ASSERT_EQ(*row++, (UserClicks{user, clicks}));
    }
  }

  const std::uint64_t seed_ = std::random_device{}();
  const testing::ScopedTrace trace_{__FILE__, __LINE__, seed_};
  std::mt19937_64 random_{seed_};
  UserTally tally_;
  std::map<std::int32_t, std::int64_t> expected_;
};

TEST_F(UserTallyTest, MoreClicksThanAreNotedAddUp) {
  for (int i = 0; i < 2'500'000; ++i) add(any(-200'000, 200'000));
  expect_the_obvious_count();
}

TEST_F(UserTallyTest, FewUsersTakeLittleMemoryHoweverManyTheirClicks) {
  for (int i = 0; i < 3'200'000; ++i) add(any(0, 999));
  EXPECT_LE(tally_.bytes(), 4U << 20);
  tally_.sum_up();
  EXPECT_LE(tally_.bytes(), 3U * 1000 * sizeof(UserClicks));
  expect_the_obvious_count();
}

TEST_F(UserTallyTest, SummingUpAtAnyMomentChangesNoCount) {
  for (int i = 0; i < 100'000; ++i) {
    add(any(0, 5000));
    if (any(0, 999) == 0) tally_.sum_up();
  }
  expect_the_obvious_count();
}

TEST_F(UserTallyTest, TheLeastAndTheMostUserIdSortAsNumbers) {
  for (const std::int32_t user : {kMost, 0, kLeast, -1, 1, kMost, kLeast}) add(user);
  expect_the_obvious_count();
}

TEST_F(UserTallyTest, TakenItIsEmpty) {
  add(1);
  tally_.take();
  EXPECT_EQ(tally_.bytes(), 0U);
  EXPECT_TRUE(merge_runs(tally_.take()).empty());
}

TEST_F(UserTallyTest, RadixSortAgreesWithSort) {
  for (const std::size_t size : {0U, 1U, 2U, 1023U, 1024U, 1025U, 70'000U}) {
    for (const std::int32_t most : {0, 1, 2047, 2048, 1 << 22, kMost}) {
      std::vector<std::int32_t> keys(size);
      std::ranges::generate(keys, [&] { return any(most == kMost ? kLeast : 0, most); });
      std::vector<std::int32_t> sorted = keys;
      std::ranges::sort(sorted);
      radix_sort(&keys);
      ASSERT_EQ(keys, sorted) << size << " keys up to " << most;
    }
  }
}

}  // namespace
}  // namespace clicktally
