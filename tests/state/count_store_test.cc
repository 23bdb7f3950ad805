// Checks I3 (a commit is whole) and I4 (digests of files and log add up), and that a reader of a
// state never writes.
#include "state/count_store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "base/hash.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

using Counts = std::map<UserKey, std::int64_t>;

class CountStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<CountStore> open(OpenMode mode, std::size_t ingest_above = 1000) {
    CountStoreOptions options;
    options.ingest_above_users = ingest_above;
    options.memtable_bytes = 256 << 10;  // small, so that flushes and compactions happen
    options.most_level0_files = 6;
    auto store = open_count_store(*disk_, path_, mode, options);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? std::move(*store) : nullptr;
  }
  static Counts rows(const CountStore& store) {
    Counts found;
    auto view = store.view();
    EXPECT_TRUE((*view)
                    ->scan(kFirstUser, kLastUser,
                           [&](const UserCount& count) {
                             found[count.user] = count.clicks;
                             return true;
                           })
                    .ok());
    return found;
  }
  static Digest digest(const Counts& counts) {
    Digest sum = 0;
    for (const auto& [user, clicks] : counts) sum += digest_of(user, clicks);
    return sum;
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("state");
};

TEST_F(CountStoreTest, LaterBatchesAddToFirstCountsOnBothCommitPaths) {
  for (const std::size_t ingest_above : {0U, 1000U}) {
    std::filesystem::remove_all(path_);
    auto store = open(OpenMode::kCreate, ingest_above);
    const std::vector<UserClicks> low{{kNullUser, 3}, {-4, 5}};
    const std::vector<UserClicks> high{{0, 7}, {9, 1}};
    ASSERT_TRUE(store->commit({.batch = 0, .changed = low, .first_counts = true}).ok());
    ASSERT_TRUE(store->commit({.batch = 0, .changed = high, .first_counts = true}).ok());
    EXPECT_TRUE(absl::IsNotFound(store->last_record().status())) << "none was given";
    const std::vector<UserClicks> more{{-4, 1}, {9, 1}, {10, 2}};
    ASSERT_TRUE(store->commit({.batch = 1, .record = "1", .changed = more}).ok());
    const Counts wanted = {{kNullUser, 3}, {-4, 6}, {0, 7}, {9, 2}, {10, 2}};
    for (const OpenMode mode : {OpenMode::kReadWrite, OpenMode::kReadOnly}) {
      EXPECT_EQ(rows(*store), wanted) << ingest_above;
      EXPECT_EQ(*store->sum_of_file_digests(), digest(wanted)) << ingest_above;
      store.reset();
      store = open(mode, ingest_above);
    }
  }
}

TEST_F(CountStoreTest, FirstCountsOfAUserThatHasOneAlreadyAreDamageToTheDigest) {
  auto store = open(OpenMode::kCreate, /*ingest_above=*/0);
  const std::vector<UserClicks> row{{5, 2}};
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(store->commit({.batch = 0, .changed = row, .first_counts = true}).ok());
  }
  EXPECT_NE(*store->sum_of_file_digests(), digest(rows(*store)));
  store = open(OpenMode::kReadOnly);  // who adds the files up sees the second put itself
  const absl::Status scanned =
      (*store->view())->scan(kFirstUser, kLastUser, [](const UserCount&) { return true; });
  EXPECT_TRUE(absl::IsDataLoss(scanned)) << scanned;
}

TEST_F(CountStoreTest, CountsMergeOverBothCommitPathsAndSurviveReopening) {
  std::mt19937_64 random(7);
  Counts expected;
  BatchId batch = 0;
  auto store = open(OpenMode::kCreate, 50);
  for (int i = 0; i < 60; ++i) {
    Counts delta;
    const std::size_t users = i % 3 == 0 ? 400 : 20;
    while (delta.size() < users) {
      const auto user = static_cast<std::int32_t>(random() % 1000) - 500;
      delta[random() % 50 == 0 ? kNullUser : user] += 1 + static_cast<std::int64_t>(random() % 9);
    }
    std::vector<UserClicks> changed;
    for (const auto& [user, clicks] : delta) {
      changed.push_back({user, clicks});
      expected[user] += clicks;
    }
    ASSERT_TRUE(
        store
            ->commit(
                {.batch = batch, .record = "record " + std::to_string(batch), .changed = changed})
            .ok());
    ++batch;
    if (i % 7 == 6) {
      store.reset();
      store = open(OpenMode::kReadWrite, 50);
    }
    ASSERT_EQ(rows(*store), expected);
    auto sum = store->sum_of_file_digests();
    ASSERT_TRUE(sum.ok()) << sum.status();
    ASSERT_EQ(*sum, digest(expected)) << "after batch " << batch;
    ASSERT_EQ(*store->last_record(), "record " + std::to_string(batch - 1));
  }
}

TEST_F(CountStoreTest, ALowerDigestThanTheRowsIsSeenWhenOneCountChangesOrOneKeyIsLost) {
  const Counts counts{{kNullUser, 3}, {1, 5}, {2, 7}};
  Counts changed = counts;
  changed[1] = 6;
  EXPECT_NE(digest(counts), digest(changed));
  Counts dropped = counts;
  dropped.erase(2);
  EXPECT_NE(digest(counts), digest(dropped));
}

TEST_F(CountStoreTest, AUserIsMarkedWithTheLastBatchThatChangedIt) {
  auto store = open(OpenMode::kCreate);
  const std::vector<UserClicks> both{{1, 1}, {2, 1}};
  const std::vector<UserClicks> one{{2, 4}};
  ASSERT_TRUE(store->commit({.batch = 8, .record = "a", .changed = both}).ok());
  ASSERT_TRUE(store->commit({.batch = 9, .record = "b", .changed = one}).ok());
  auto view = store->view();
  EXPECT_EQ((*(*view)->get(1))->last_batch, 8);
  EXPECT_EQ((*(*view)->get(2))->last_batch, 9);
  EXPECT_EQ((*(*view)->get(2))->clicks, 5);
  EXPECT_EQ(*(*view)->get(3), std::nullopt);
}

TEST_F(CountStoreTest, ManyUsersAreReadInOnePass) {
  auto store = open(OpenMode::kCreate, 50);
  std::map<UserKey, UserCount> expected;
  for (BatchId batch = 0; batch < 9; ++batch) {
    std::vector<UserClicks> changed;
    if (batch == 4) changed.push_back({kNullUser, 1});
    for (UserKey user = -500; user < 500; user += batch % 2 == 0 ? 3 : 40) {
      changed.push_back({user, batch + 1});
    }
    ASSERT_TRUE(store->commit({.batch = batch, .record = "r", .changed = changed}).ok());
    for (const UserClicks& row : changed) {
      UserCount& count = expected[row.user];
      count = {row.user, count.clicks + row.clicks, batch};
    }
  }
  std::vector<UserKey> users{kNullUser};
  for (UserKey user = -600; user < 600; ++user) users.push_back(user);
  auto found = expected.begin();
  auto view = store->view();
  const auto visit = [&](const UserCount& count) {
    ASSERT_NE(found, expected.end());
    EXPECT_EQ(count.user, found->second.user);
    EXPECT_EQ(count.clicks, found->second.clicks);
    EXPECT_EQ(count.last_batch, found->second.last_batch);
    ++found;
  };
  ASSERT_TRUE((*view)->get_sorted(users, visit).ok());
  EXPECT_EQ(found, expected.end());
}

TEST_F(CountStoreTest, AViewStaysAtItsCommit) {
  auto store = open(OpenMode::kCreate);
  const std::vector<UserClicks> click{{1, 1}};
  ASSERT_TRUE(store->commit({.batch = 0, .record = "a", .changed = click}).ok());
  auto view = store->view();
  ASSERT_TRUE(store->commit({.batch = 1, .record = "b", .changed = click}).ok());
  EXPECT_EQ((*(*view)->get(1))->clicks, 1);
}

TEST_F(CountStoreTest, HistoryIsKeptForAsManyBatchesAsThereAreSlots) {
  auto store = open(OpenMode::kCreate);
  for (BatchId batch = 0; batch <= kHistorySlots; ++batch) {
    ASSERT_TRUE(store->commit({.batch = batch, .record = "r" + std::to_string(batch)}).ok());
  }
  EXPECT_EQ(**store->history(kHistorySlots), "r1024");
  EXPECT_EQ(**store->history(1), "r1");
  EXPECT_EQ(**store->history(0), "r1024") << "batch 0's slot was taken over";
  EXPECT_EQ(rows(*store), Counts{});
}

std::map<std::string, std::string> bytes_below(const std::string& path) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    std::ifstream in(entry.path(), std::ios::binary);
    files[entry.path()] = {std::istreambuf_iterator<char>(in), {}};
  }
  return files;
}

TEST_F(CountStoreTest, ReadingWritesNothingAndSeesLogAndFiles) {
  auto writer = open(OpenMode::kCreate, 2);
  const std::vector<UserClicks> large{{1, 1}, {2, 2}, {3, 3}};
  const std::vector<UserClicks> small{{3, 30}};
  ASSERT_TRUE(writer->commit({.batch = 0, .record = "a", .changed = large}).ok());
  ASSERT_TRUE(writer->commit({.batch = 1, .record = "b", .changed = small}).ok());
  writer.reset();
  const auto before = bytes_below(path_);
  {
    auto reader = open(OpenMode::kReadOnly);
    EXPECT_EQ(rows(*reader), (Counts{{1, 1}, {2, 2}, {3, 33}}));
    EXPECT_EQ(*reader->sum_of_file_digests(), digest(rows(*reader)));
    EXPECT_EQ(*reader->last_record(), "b");
    EXPECT_FALSE(reader->commit({.batch = 2, .record = "c", .changed = small}).ok());
  }
  EXPECT_EQ(bytes_below(path_), before);
}

TEST_F(CountStoreTest, CountsWithoutTheirRecordAreRefusedAndAreNotThere) {
  auto store = open(OpenMode::kCreate);
  const std::vector<UserClicks> click{{1, 1}};
  EXPECT_TRUE(absl::IsInternal(store->commit({.batch = 0, .changed = click})));
  EXPECT_EQ(rows(*store), Counts{});
}

TEST_F(CountStoreTest, AStagedFileThatACrashLeftIsSweptAndAForeignFileIsNot) {
  open(OpenMode::kCreate).reset();
  std::ofstream(path_ + "/17.staged") << "half a table";
  open(OpenMode::kReadWrite).reset();
  EXPECT_FALSE(std::filesystem::exists(path_ + "/17.staged"));
}

TEST_F(CountStoreTest, LevelZeroStaysBoundedUnderManyLargeCommits) {
  auto store = open(OpenMode::kCreate, 10);
  std::vector<UserClicks> changed;
  for (UserKey user = 0; user < 2000; ++user) changed.push_back({user * 3, 1});
  for (BatchId batch = 0; batch < 60; ++batch) {
    ASSERT_TRUE(store->commit({.batch = batch, .record = "r", .changed = changed}).ok());
  }
  std::size_t tables = 0;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.path().extension() == ".sst") ++tables;
  }
  EXPECT_LT(tables, 30U) << "60 commits of one file each must have been compacted";
  EXPECT_EQ(rows(*store).at(3), 60);
}

// What damage must look like to a caller: proof of damage is kDataLoss, a refusal of the disk is
// not.
TEST_F(CountStoreTest, AMissingTableIsDamageAndAnUnreadableOneIsNot) {
  auto writer = open(OpenMode::kCreate, 2);
  const std::vector<UserClicks> large{{1, 1}, {2, 2}, {3, 3}};
  ASSERT_TRUE(writer->commit({.batch = 0, .record = "a", .changed = large}).ok());
  writer.reset();
  std::string table;
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    if (entry.path().extension() == ".sst") table = entry.path();
  }
  ASSERT_FALSE(table.empty());
  std::filesystem::rename(table, table + ".away");
  EXPECT_TRUE(absl::IsDataLoss(open_count_store(*disk_, path_, OpenMode::kReadOnly, {}).status()));
  // RocksDB would take a file of LevelDB's name in its place.
  const std::string leveldb = table.substr(0, table.size() - 4) + ".ldb";
  std::filesystem::copy(table + ".away", leveldb);
  EXPECT_TRUE(absl::IsDataLoss(open_count_store(*disk_, path_, OpenMode::kReadOnly, {}).status()));
  std::filesystem::remove(leveldb);
  const auto expect_misplaced = [&] {
    const absl::Status status = open_count_store(*disk_, path_, OpenMode::kReadOnly, {}).status();
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_NE(status.message().find("where a file should be; restore"), std::string::npos)
        << status;
  };
  std::filesystem::create_symlink(table + ".away", table);  // never followed
  expect_misplaced();
  std::filesystem::remove(table);
  ASSERT_EQ(::mkfifo(table.c_str(), 0600), 0);  // never waited for
  expect_misplaced();
  std::filesystem::remove(table);
  std::filesystem::rename(table + ".away", table);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status status = open_count_store(*disk_, path_, OpenMode::kReadOnly, {}).status();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
}

TEST_F(CountStoreTest, AnyFlippedByteIsDamageOrChangesNothing) {
  auto writer = open(OpenMode::kCreate, 2);
  const std::vector<UserClicks> large{{1, 1}, {2, 2}, {3, 3}};
  const std::vector<UserClicks> small{{3, 30}};
  ASSERT_TRUE(writer->commit({.batch = 0, .record = "a", .changed = large}).ok());
  ASSERT_TRUE(writer->commit({.batch = 1, .record = "b", .changed = small}).ok());
  writer.reset();
  const Counts expected{{1, 1}, {2, 2}, {3, 33}};
  int refused = 0;
  for (const auto& [path, bytes] : bytes_below(path_)) {
    for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 150) {
      std::string flipped = bytes;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
      std::ofstream(path, std::ios::binary) << flipped;
      auto store = open_count_store(*disk_, path_, OpenMode::kReadOnly, {});
      if (store.ok() && (*store)->last_record().ok() && *(*store)->last_record() == "b") {
        auto sum = (*store)->sum_of_file_digests();
        auto view = (*store)->view();
        Counts found;
        const absl::Status scanned = (*view)->scan(kFirstUser, kLastUser, [&](const UserCount& c) {
          found[c.user] = c.clicks;
          return true;
        });
        if (sum.ok() && *sum == digest(expected) && scanned.ok()) {
          EXPECT_EQ(found, expected) << path << " at " << at;
        } else {
          ++refused;
        }
      } else {
        ++refused;
      }
    }
    std::ofstream(path, std::ios::binary) << bytes;
  }
  EXPECT_GT(refused, 100);
}

class DeadLetterTest : public CountStoreTest {
 protected:
  static DeadLetter letter(PartitionId partition, Offset offset, std::string value = "{bad") {
    return {.partition = partition,
            .offset = offset,
            .timestamp_ms = 1000 + offset,
            .batch = 3,
            .cause = RejectionCause::kNotJson,
            .detail = "unexpected end",
            .value = std::move(value)};
  }
  static std::vector<DeadLetter> letters_of(const CountStore& store, PartitionId partition,
                                            Offset from = 0) {
    std::vector<DeadLetter> found;
    auto view = store.view();
    const auto visit = [&](const DeadLetter& letter) {
      found.push_back(letter);
      return true;
    };
    EXPECT_TRUE((*view)->scan_dead_letters(partition, from, visit).ok());
    return found;
  }
  std::uintmax_t table_bytes() const {
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      std::error_code removed_just_now;
      const std::uintmax_t size = file.file_size(removed_just_now);
      if (file.path().extension() == ".sst" && !removed_just_now) bytes += size;
    }
    return bytes;
  }
};

TEST_F(DeadLetterTest, TheyAreReadBackByPartitionAndOffsetOverBothCommitPaths) {
  for (const std::size_t ingest_above : {0U, 1000U}) {
    auto store = open(OpenMode::kCreate, ingest_above);
    const std::vector<DeadLetter> added{letter(0, 5), letter(0, 300, std::string("\0\n\xff", 3)),
                                        letter(2, 4, "")};
    const std::vector<UserClicks> changed{{kNullUser, 1}, {-7, 2}};
    ASSERT_TRUE(
        store->commit({.batch = 3, .record = "r", .changed = changed, .dead_letters = added}).ok());
    store.reset();
    store = open(OpenMode::kReadWrite, ingest_above);
    EXPECT_EQ(letters_of(*store, 0), (std::vector{added[0], added[1]}));
    EXPECT_EQ(letters_of(*store, 0, 6), (std::vector{added[1]}));
    EXPECT_EQ(letters_of(*store, 1), std::vector<DeadLetter>{});
    EXPECT_EQ(letters_of(*store, 2), (std::vector{added[2]}));
    EXPECT_EQ(rows(*store), (Counts{{kNullUser, 1}, {-7, 2}}));
    EXPECT_EQ(*store->sum_of_file_digests(), digest(rows(*store)));
    store.reset();
    std::filesystem::remove_all(path_);
  }
}

// I9: what is not needed any more leaves the disk. Random bytes, which no compression shrinks.
TEST_F(DeadLetterTest, DroppedOnesLeaveTheDiskAndTheCountsStay) {
  constexpr Offset kPerCommit = 40;
  constexpr std::uintmax_t kPerCommitBytes = kPerCommit * 4096;
  std::mt19937_64 random(1);
  auto store = open(OpenMode::kCreate, 10);
  for (Offset next = 0; next < 100 * kPerCommit; next += kPerCommit) {
    std::vector<DeadLetter> added;
    for (Offset offset = next; offset < next + kPerCommit; ++offset) {
      std::string value(4096, ' ');
      std::ranges::generate(value, [&] { return static_cast<char>(random()); });
      added.push_back(letter(0, offset, std::move(value)));
    }
    const std::vector<UserClicks> changed{{1, 1}};
    ASSERT_TRUE(
        store->commit({.batch = 3, .record = "r", .changed = changed, .dead_letters = added}).ok());
    store->drop_dead_letters_below({{0, next}});  // the newest commit's are needed
  }
  // Level 0 at its bound of 6, a level below it, and one file that is being written.
  // Compaction, and the removal of what it replaced, may lag behind on a busy machine.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (table_bytes() >= 12 * kPerCommitBytes && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_LT(table_bytes(), 12 * kPerCommitBytes);
  EXPECT_EQ(letters_of(*store, 0, 99 * kPerCommit).size(), static_cast<std::size_t>(kPerCommit));
  EXPECT_EQ(rows(*store), (Counts{{1, 100}}));
  EXPECT_EQ(*store->sum_of_file_digests(), digest_of(1, 100));
}

TEST_F(CountStoreTest, ASnapshotHoldsTheLastCommitOfBothPathsWhateverComesAfter) {
  auto store = open(OpenMode::kCreate, 50);
  std::vector<UserClicks> many;
  for (UserKey user = 0; user < 400; ++user) many.push_back({user, 2});
  const std::vector<UserClicks> few{{kNullUser, 1}, {3, 5}};
  ASSERT_TRUE(store->commit({.batch = 0, .record = "zero", .changed = many}).ok());
  ASSERT_TRUE(store->commit({.batch = 1, .record = "one", .changed = few}).ok());
  const Counts expected = rows(*store);
  const std::string copy = dir_.file("copy");
  ASSERT_TRUE(store->snapshot_to(copy).ok());
  for (BatchId batch = 2; batch < 30; ++batch) {
    ASSERT_TRUE(store->commit({.batch = batch, .record = "later", .changed = many}).ok());
  }
  auto opened = open_count_store(*disk_, copy, OpenMode::kReadOnly, CountStoreOptions{});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(rows(**opened), expected);
  EXPECT_EQ(*(*opened)->last_record(), "one");
  EXPECT_EQ(*(*opened)->sum_of_file_digests(), digest(expected));
  store.reset();
  std::filesystem::remove_all(path_);
  EXPECT_EQ(rows(**opened), expected) << "it must not need the store it was made of";
}

// Whoever opens a snapshot has to play its log back.
TEST_F(CountStoreTest, AShortenedLogIsNotCarriedIntoTheSnapshot) {
  auto store = open(OpenMode::kCreate, 1000);
  std::vector<UserClicks> many;
  for (UserKey user = 0; user < 900; ++user) many.push_back({user, 1});
  ASSERT_TRUE(store->commit({.batch = 0, .record = "zero", .changed = many}).ok());
  EXPECT_TRUE(*store->shorten_log()) << "900 rows are few";
  ASSERT_TRUE(store->commit({.batch = 1, .record = "one", .changed = many}).ok());
  ASSERT_TRUE(store->commit({.batch = 2, .record = "two", .changed = many}).ok());
  int asked = 0;
  for (; !*store->shorten_log() && asked < 6000; ++asked) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_GT(asked, 0);
  ASSERT_TRUE(store->commit({.batch = 3, .record = "three", .changed = {}}).ok());
  const std::string copy = dir_.file("copy");
  ASSERT_TRUE(store->snapshot_to(copy).ok());
  std::uintmax_t logged = 0;
  for (const auto& file : std::filesystem::directory_iterator(copy)) {
    if (file.path().extension() == ".log") logged += file.file_size();
  }
  EXPECT_GT(logged, 0U) << "batch 3 came later";
  EXPECT_LT(logged, 200U);
  auto opened = open_count_store(*disk_, copy, OpenMode::kReadOnly, CountStoreOptions{});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(rows(**opened), rows(*store));
  EXPECT_EQ(*(*opened)->last_record(), "three");
  EXPECT_EQ(*(*opened)->sum_of_file_digests(), digest(rows(*store)));
}

// Every bit of a table file that a scan passes over could be read by a commit's readers: none is.
TEST_F(CountStoreTest, AScanSeesEveryFlippedByteOfATableFile) {
  auto store = open(OpenMode::kCreate, 50);
  std::vector<UserClicks> many;
  for (UserKey user = 0; user < 3000; ++user) many.push_back({user * 7919 % 100003, 2});
  std::sort(many.begin(), many.end(), [](auto& l, auto& r) { return l.user < r.user; });
  ASSERT_TRUE(store->commit({.batch = 0, .record = "zero", .changed = many}).ok());
  const std::vector<TableFile> files = store->table_files();
  ASSERT_EQ(files.size(), 1U);
  const std::string path = path_ + "/" + files[0].name;
  EXPECT_EQ(files[0].size_bytes, std::filesystem::file_size(path));
  std::uint64_t read = 0;
  const ScanPace pace = [&read](std::uint64_t bytes) {
    read += bytes;
    return true;
  };
  ASSERT_TRUE(store->scan_table_file(files[0].name, pace).ok());
  EXPECT_GT(read, files[0].size_bytes / 2);
  EXPECT_TRUE(absl::IsCancelled(
      store->scan_table_file(files[0].name, [](std::uint64_t) { return false; })));

  const std::string bytes = *read_file(*disk_, path);
  std::size_t unseen = 0;
  for (std::size_t at = 0; at < bytes.size(); at += at + 400 < bytes.size() ? 97U : 1U) {
    std::string flipped = bytes;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << (at % 8)));
    std::ofstream(path, std::ios::binary) << flipped;
    const absl::Status scanned = store->scan_table_file(files[0].name, pace);
    if (scanned.ok()) ++unseen;
    EXPECT_TRUE(scanned.ok() || absl::IsDataLoss(scanned)) << at << ": " << scanned;
  }
  // The footer's padding, which nobody reads: zeros to make every footer as long.
  EXPECT_LE(unseen, 40U);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_TRUE(store->scan_table_file(files[0].name, pace).ok());
}

}  // namespace
}  // namespace clicktally
