// Checks I3 and I4 on a disk that refuses an operation: a commit or an opening that RocksDB says is
// done is exact, whichever one was refused.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <thread>

#include "state/count_store.h"
#include "tests/support/batches.h"
#include "tests/support/failing_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

using Counts = std::map<UserKey, std::int64_t>;

class RefusingDiskTest : public ::testing::Test {
 protected:
  static constexpr BatchId kBefore = 3;

  // Both commit paths, so that there are table files and a log.
  RefusingDiskTest() {
    auto store = open_small_state(*disk_, kept_, OpenMode::kCreate);
    for (BatchId batch = 0; batch < kBefore; ++batch) {
      EXPECT_TRUE(commit(**store, batch).ok());
    }
  }
  static Batches batches_of(BatchId batch) { return Batches(batch % 2 == 0 ? 60 : 10); }
  static absl::Status commit(CountStore& store, BatchId batch) {
    const auto rows = batches_of(batch).changed(batch);
    return store.commit({.batch = batch, .record = std::to_string(batch), .changed = rows});
  }
  static Counts counts_after(BatchId batch) {
    Counts counts;
    for (BatchId each = 0; each <= batch; ++each) {
      for (const UserClicks& row : batches_of(each).changed(each)) counts[row.user] += row.clicks;
    }
    return counts;
  }
  static Digest digest_of_all(const Counts& counts) {
    Digest sum = 0;
    for (const auto& [user, clicks] : counts) sum += digest_of(user, clicks);
    return sum;
  }
  void renew() {
    fs::remove_all(path_);
    fs::copy(kept_, path_, fs::copy_options::recursive);
  }
  void refuse_each(bool for_good);
  // What the disk said if it refused to read; whatever could be read must be right.
  static absl::Status holds(const CountStore& store, BatchId batch) {
    Counts found;
    const absl::Status scanned =
        (*store.view())->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
          found[count.user] = count.clicks;
          return true;
        });
    if (!scanned.ok()) return scanned;
    EXPECT_EQ(found, counts_after(batch));
    const auto record = store.last_record();
    if (!record.ok()) return record.status();
    EXPECT_EQ(*record, std::to_string(batch));
    const auto sum = store.sum_of_file_digests();
    if (!sum.ok()) return sum.status();
    EXPECT_EQ(*sum, digest_of_all(counts_after(batch)));
    return absl::OkStatus();
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string kept_ = dir_.file("kept");
  std::string path_ = dir_.file("state");
};

// RocksDB asks a staged file for its first and last key without looking whether it could be read.
TEST_F(RefusingDiskTest, AStagedFileThatCannotBeReadEndsTheCommitAndLeavesTheStateAsItWas) {
  const BatchId large = kBefore + 1;
  bool done = false;
  int refused = 0;
  for (int at = 1; !done; ++at) {
    SCOPED_TRACE("the read of the staged file that is refused: " + std::to_string(at));
    renew();
    FailingDisk failing(*disk_, {.at = at, .chosen = [](const FailingDisk::Operation& operation) {
                                   return operation.kind == FailingDisk::Kind::kRead &&
                                          operation.path.ends_with(".staged");
                                 }});
    absl::Status committed;
    {
      auto store = open_small_state(failing, path_, OpenMode::kReadWrite);
      ASSERT_TRUE(store.ok()) << store.status();
      ASSERT_TRUE(commit(**store, kBefore).ok());
      committed = commit(**store, large);
    }
    done = !failing.has_refused();
    refused += done ? 0 : 1;
    EXPECT_EQ(committed.ok(), done) << committed;
    EXPECT_TRUE(done || absl::IsResourceExhausted(committed)) << committed;
    auto again = open_small_state(*disk_, path_, OpenMode::kReadWrite);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(holds(**again, done ? large : kBefore).ok());
  }
  EXPECT_GT(refused, 0) << "no read was refused: the test proves nothing";
}

// A job that waits for it must hear of it: it may have nothing to commit.
TEST_F(RefusingDiskTest, ALogThatCannotBeWrittenOutIsNotWaitedForInVain) {
  bool done = false;
  int refused = 0;
  for (int at = 1; !done; ++at) {
    SCOPED_TRACE("the operation on a table file that is refused: " + std::to_string(at));
    renew();
    std::atomic<bool> is_due = false;  // an opening writes the log out too
    FailingDisk failing(*disk_, {.at = at, .chosen = [&](const FailingDisk::Operation& operation) {
                                   return is_due && operation.kind != FailingDisk::Kind::kRead &&
                                          operation.path.ends_with(".sst");
                                 }});
    {
      auto store = open_small_state(failing, path_, OpenMode::kReadWrite);
      ASSERT_TRUE(store.ok()) << store.status();
      ASSERT_TRUE(commit(**store, kBefore).ok());
      is_due = true;
      absl::StatusOr<bool> is_short = (*store)->shorten_log();
      for (int asked = 0; is_short.ok() && !*is_short && asked < 6000; ++asked) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        is_short = (*store)->shorten_log();
      }
      done = !failing.has_refused();
      refused += done ? 0 : 1;
      EXPECT_EQ(is_short.ok(), done) << is_short.status();
      EXPECT_TRUE(done ? is_short.value_or(false) : absl::IsResourceExhausted(is_short.status()))
          << is_short.status();
    }
    auto again = open_small_state(*disk_, path_, OpenMode::kReadWrite);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(holds(**again, kBefore).ok());
  }
  EXPECT_GT(refused, 0) << "nothing was refused: the test proves nothing";
}

// Refuses each operation in turn, once or from it on for good: what is said to be done is exact.
void RefusingDiskTest::refuse_each(bool for_good) {
  bool done = false;
  int failed = 0;
  for (int at = 1; !done; ++at) {
    SCOPED_TRACE((for_good ? "for good, from operation " : "once, operation ") +
                 std::to_string(at));
    renew();
    BatchId acknowledged = kBefore - 1;
    {
      FailingDisk failing(*disk_, {.at = at, .for_good = for_good});
      auto store = open_small_state(failing, path_, OpenMode::kReadWrite);
      absl::Status ended = store.status();
      while (ended.ok() && acknowledged < kBefore + 3) {
        ended = holds(**store, acknowledged);
        if (ended.ok()) ended = commit(**store, acknowledged + 1);
        if (ended.ok()) ++acknowledged;
      }
      done = !failing.has_refused();
      failed += ended.ok() ? 0 : 1;
      EXPECT_TRUE(ended.ok() || absl::IsResourceExhausted(ended)) << ended;
    }
    auto again = open_small_state(*disk_, path_, OpenMode::kReadWrite);
    ASSERT_TRUE(again.ok()) << again.status();
    const BatchId found = std::stol(*(*again)->last_record());
    EXPECT_TRUE(found == acknowledged || found == acknowledged + 1)
        << found << " after " << acknowledged;
    EXPECT_TRUE(holds(**again, found).ok());
    if (HasFailure()) return;
  }
  EXPECT_GT(failed, 50);
}

// Two tests, to run side by side: RocksDB sleeps for a second after each flush that failed.
TEST_F(RefusingDiskTest, WhateverIsRefusedOnceACommitIsDoneExactlyOrFails) {
  refuse_each(false);
}

TEST_F(RefusingDiskTest, WhateverIsRefusedForGoodACommitIsDoneExactlyOrFails) {
  refuse_each(true);
}

}  // namespace
}  // namespace clicktally
