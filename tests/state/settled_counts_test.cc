// Checks that a state that nobody writes to is read past RocksDB's iterator exactly
// (state/rocks_settled_counts.h): against RocksDB's own scan of the same commit, against the counts
// that were committed, and with bytes that are no block.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>
#include <tuple>

#include "model/state_key.h"
#include "state/count_store.h"
#include "state/rocks_table_rows.h"
#include "tests/support/failing_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

using Row = std::tuple<UserKey, std::int64_t, BatchId>;
using Rows = std::vector<Row>;

absl::StatusOr<Rows> scan(const CountStore& store, UserKey from = kFirstUser,
                          UserKey to = kLastUser, std::size_t most = SIZE_MAX) {
  Rows rows;
  const absl::Status scanned = (*store.view())->scan(from, to, [&](const UserCount& count) {
    rows.emplace_back(count.user, count.clicks, count.last_batch);
    return rows.size() < most;
  });
  if (!scanned.ok()) return scanned;
  return rows;
}

class SettledCountsTest : public ::testing::Test {
 protected:
  static CountStoreOptions options() {
    CountStoreOptions options;
    options.ingest_above_users = 100;
    options.memtable_bytes = 128 << 10;
    options.most_level0_files = 6;
    return options;
  }
  std::unique_ptr<CountStore> open(const std::string& path, OpenMode mode) {
    auto store = open_count_store(*disk_, path, mode, options());
    EXPECT_TRUE(store.ok()) << store.status();
    return std::move(store).value_or(nullptr);
  }
  // The writer's state as of now, for reading.
  std::unique_ptr<CountStore> settled() {
    std::filesystem::remove_all(copy_);
    EXPECT_TRUE(writer_->snapshot_to(copy_).ok());
    return open(copy_, OpenMode::kReadOnly);
  }
  void commit(const std::map<UserKey, std::int64_t>& clicks, bool first_counts = false) {
    std::vector<UserClicks> changed;
    for (const auto& [user, more] : clicks) {
      changed.push_back({user, more});
      auto& [total, last_batch] = truth_[user];
      total += more;
      last_batch = batch_;
    }
    std::vector<DeadLetter> letters;
    if (batch_ % 3 == 0) {  // what lies before the counts, in a block with the first of them
      DeadLetter letter;
      letter.offset = batch_;
      letter.value = std::string(300, '{');
      letters.push_back(std::move(letter));
    }
    ASSERT_TRUE(writer_
                    ->commit({.batch = batch_,
                              .record = "record",
                              .changed = changed,
                              .first_counts = first_counts,
                              .dead_letters = letters})
                    .ok());
    ++batch_;
  }
  Rows truth(UserKey from, UserKey to, std::size_t most) const {
    Rows rows;
    for (auto at = truth_.lower_bound(from); at != truth_.end() && at->first <= to; ++at) {
      if (rows.size() == most) break;
      rows.emplace_back(at->first, at->second.first, at->second.second);
    }
    return rows;
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  const std::string copy_ = dir_.file("copy");
  std::unique_ptr<CountStore> writer_ = open(dir_.file("state"), OpenMode::kCreate);
  std::map<UserKey, std::pair<std::int64_t, BatchId>> truth_;
  BatchId batch_ = 0;
};

TEST_F(SettledCountsTest, AnyRangeIsWhatRocksDbSaysAndWhatWasCommitted) {
  std::mt19937_64 random(5);
  const auto any_user = [&] {
    const auto user = static_cast<std::int32_t>(random() >> 32);
    return random() % 4 == 0 ? UserKey{user} : UserKey{user % 20'000};
  };
  EXPECT_EQ(*scan(*settled()), Rows());
  commit({{kNullUser, 3}, {-2147483648, 1}, {0, 5}, {kLastUser, 7}}, /*first_counts=*/true);
  for (int round = 0; round < 60; ++round) {
    std::map<UserKey, std::int64_t> clicks;
    const std::size_t users = round % 3 == 0 ? 5000 : 60;
    if (round % 5 == 0) clicks[kNullUser] = 1;
    while (clicks.size() < users) {
      clicks[any_user()] = 1 + static_cast<std::int64_t>(random() % (round % 2 ? 9 : UINT32_MAX));
    }
    commit(clicks);
    if (round % 4 != 0) continue;
    const auto reader = settled();
    ASSERT_EQ(*scan(*reader), *scan(*writer_)) << round;
    ASSERT_EQ(*scan(*reader), truth(kFirstUser, kLastUser, SIZE_MAX)) << round;
    for (int i = 0; i < 50; ++i) {
      const UserKey from = random() % 8 == 0 ? kFirstUser : any_user();
      const UserKey to = random() % 8 == 0 ? kLastUser : any_user();
      const std::size_t most = random() % 2 == 0 ? SIZE_MAX : 1 + random() % 3000;
      ASSERT_EQ(*scan(*reader, from, to, most), truth(from, to, most)) << from << " to " << to;
    }
  }
  EXPECT_GT(settled()->table_files().size(), 2U) << "too few files to overlap";
}

// RocksDB keeps a row for each view, so one user may fill several blocks.
TEST_F(SettledCountsTest, AUserWithManyRowsInOneFileIsTheirSum) {
  std::vector<std::unique_ptr<CountView>> views;
  const auto files_before = settled()->table_files().size();
  for (int i = 0; i < 6000; ++i) {
    commit({{kNullUser, 2}, {7, 1}, {8, 2}});
    views.push_back(*writer_->view());
  }
  while (!*writer_->shorten_log()) {
  }
  const auto reader = settled();
  EXPECT_GT(reader->table_files().size(), files_before) << "all of it is in the log";
  EXPECT_EQ(*scan(*reader), (Rows{{kNullUser, 12'000, 5999}, {7, 6000, 5999}, {8, 12'000, 5999}}));
  EXPECT_EQ(*scan(*reader, 7, 7), (Rows{{7, 6000, 5999}}));
  EXPECT_EQ(*scan(*reader, 8), (Rows{{8, 12'000, 5999}}));
}

TEST_F(SettledCountsTest, AReadThatIsRefusedEndsTheScanWithTheWordOfTheDisk) {
  std::map<UserKey, std::int64_t> clicks;
  for (UserKey user = 0; user < 60'000; ++user) clicks[user * 7] = user + 1;
  commit(clicks);
  settled().reset();
  int refused = 0;
  for (int at = 1;; ++at) {
    bool is_due = false;
    FailingDisk failing(*disk_, {.at = at, .chosen = [&](const FailingDisk::Operation& operation) {
                                   return is_due && operation.kind == FailingDisk::Kind::kRead;
                                 }});
    auto store = open_count_store(failing, copy_, OpenMode::kReadOnly, options());
    ASSERT_TRUE(store.ok()) << store.status();
    is_due = true;
    const auto rows = scan(**store);
    if (!failing.has_refused()) {
      EXPECT_EQ(*rows, truth(kFirstUser, kLastUser, SIZE_MAX));
      break;
    }
    ++refused;
    EXPECT_TRUE(absl::IsResourceExhausted(rows.status())) << at << ": " << rows.status();
  }
  EXPECT_GT(refused, 3) << "the footer, the index, and the blocks in more reads than one";
}

// The bytes of a block as RocksDB writes one, with one group of entries.
std::string block_of(const Rows& rows) {
  std::string block;
  for (const auto& [user, clicks, batch] : rows) {
    const StateKey key(user);
    std::string value(CountValue::kSize, '\0');
    CountValue{clicks, batch}.write_to(value.data());
    block += '\0';
    block += static_cast<char>(key.bytes().size() + 8);
    block += static_cast<char>(value.size());
    block.append(key.bytes()).append("\x02\x00\x00\x00\x00\x00\x00\x00", 8).append(value);
  }
  return block.append("\x00\x00\x00\x00\x01\x00\x00\x00", 8);
}

TEST(BlockCursorTest, EveryBlockThatIsCutShortOrHasAWrongKindOfRowIsDamage) {
  const Rows rows{{kNullUser, 1, 2}, {4, 3, 4}, {5, 6, 7}};
  const std::string whole = block_of(rows);
  BlockCursor cursor;
  ASSERT_TRUE(cursor.begin(whole));
  for (const auto& [user, clicks, batch] : rows) {
    ASSERT_EQ(cursor.next(), BlockCursor::Step::kRow);
    EXPECT_EQ(Row(cursor.user(), cursor.count().clicks, cursor.count().last_batch),
              Row(user, clicks, batch));
  }
  EXPECT_EQ(cursor.next(), BlockCursor::Step::kEnd);

  const std::size_t entry = 3 + 2 + 8 + CountValue::kSize;  // the first, of the NULL group
  for (std::size_t bytes = 1; bytes < entry; ++bytes) {
    const std::string cut = whole.substr(0, bytes) + whole.substr(whole.size() - 8);
    ASSERT_TRUE(cursor.begin(cut));
    EXPECT_EQ(cursor.next(), BlockCursor::Step::kDamage) << bytes;
  }
  std::string deletion = whole;
  deletion[3 + 2] = 0;  // the kind of its entry
  ASSERT_TRUE(cursor.begin(deletion));
  EXPECT_EQ(cursor.next(), BlockCursor::Step::kDamage);
  EXPECT_FALSE(cursor.begin("abc"));
  EXPECT_FALSE(cursor.begin(std::string_view("\xff\xff\xff\xff", 4))) << "more groups than bytes";
}

// Whoever forges a checksum gets wrong rows or damage, never a read outside the block (ASan).
TEST(BlockCursorTest, NoBytesLeadOutOfTheBlock) {
  Rows rows;
  for (UserKey user = 0; user < 40; ++user) rows.emplace_back(user * 1000, user, 3);
  const std::string whole = block_of(rows);
  std::mt19937_64 random(3);
  int damaged = 0;
  for (int i = 0; i < 20'000; ++i) {
    // Of its own size, so that a byte behind it belongs to nobody.
    std::vector<char> wrong(whole.begin(), whole.end());
    for (int bytes = 0; bytes < 4; ++bytes)
      wrong[random() % wrong.size()] = static_cast<char>(random());
    BlockCursor cursor;
    if (!cursor.begin({wrong.data(), wrong.size()})) continue;
    std::size_t found = 0;
    BlockCursor::Step step = cursor.next();
    for (; step == BlockCursor::Step::kRow; step = cursor.next()) ++found;
    damaged += step == BlockCursor::Step::kDamage;
    ASSERT_LE(found, wrong.size() / 3);
  }
  EXPECT_GT(damaged, 5'000);
}

}  // namespace
}  // namespace clicktally
