// Checks I4, I7 and I9 of import.h on a real disk with a real state, and that an import cut
// anywhere leaves no checkpoint, or the whole one.
#include "checkpoint/import.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/repair.h"
#include "checkpoint/snapshots.h"
#include "tests/support/batches.h"
#include "tests/support/stopping_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

class ImportTest : public ::testing::Test {
 protected:
  // User u has 1 + (u + 200) mod 7 clicks, the NULL group 5; in no order.
  ImportTest() {
    truth_[kNullUser] = 5;
    for (UserKey user = -100; user < 100; ++user) truth_[user] = 1 + (user + 200) % 7;
    for (const auto& [user, clicks] : truth_) rows_.push_back({.user = user, .clicks = clicks});
    std::mt19937 order(7);
    std::ranges::shuffle(rows_, order);
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      rows_[i].line = static_cast<std::int64_t>(i) + 1;
    }
  }
  RowReader reader() {
    return [this, at = std::size_t{0}]() mutable -> absl::StatusOr<std::optional<ImportedRow>> {
      if (at == rows_.size()) return std::nullopt;
      return rows_[at++];
    };
  }
  absl::StatusOr<CommitRecord> import_to(Disk& disk, std::size_t rows_in_memory) {
    ImportOptions options{.job = {.cluster_id = "", .topic = "clicks"},
                          .next = {{0, 12}, {1, 7}},
                          .time_ms = 5000,
                          .command = "import of counts.csv",
                          .rows_in_memory = rows_in_memory};
    return import_checkpoint(disk, path_, open_small_state, reader(), options);
  }
  absl::StatusOr<std::unique_ptr<Checkpoint>> open() {
    return Checkpoint::open(*disk_, path_, {.must_exist = true, .open_state = open_small_state});
  }
  void expect_imported() {
    auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.status();
    const CommitRecord& last = (*opened)->last();
    EXPECT_EQ(last.batch, 0);
    EXPECT_EQ(last.epoch, 1);
    EXPECT_FALSE((*opened)->last_was_shown());
    EXPECT_EQ(last.partitions.at(0).start, 12);
    EXPECT_EQ(last.partitions.at(1).next, 7);
    EXPECT_EQ(last.partitions.at(0).counters, PartitionCounters());
    EXPECT_EQ(last.changed.in_all, std::ssize(truth_));
    EXPECT_EQ(last.imported.of_null, 5);
    EXPECT_EQ(last.null_clicks(), 5);
    EXPECT_EQ(last.adjustments.back().command, "import of counts.csv");
    EXPECT_EQ(Batches::counts_of(**(*opened)->view()), truth_);
    EXPECT_EQ(*newest_snapshot(*disk_, CheckpointLayout(path_)), 0);
    EXPECT_FALSE(fs::exists(path_ + ".importing"));
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("checkpoint");
  std::map<UserKey, std::int64_t> truth_;
  std::vector<ImportedRow> rows_;
};

TEST_F(ImportTest, RowsInAnyOrderBecomeABatchAndASnapshotWhateverTheMemory) {
  for (const std::size_t rows_in_memory : {1U, 50U, 201U, 100000U}) {
    SCOPED_TRACE(rows_in_memory);
    fs::remove_all(path_);
    auto made = import_to(*disk_, rows_in_memory);
    ASSERT_TRUE(made.ok()) << made.status();
    expect_imported();
    if (HasFailure()) return;
  }
}

TEST_F(ImportTest, TheJobGoesOnAndARollbackLeadsBackToTheImport) {
  ASSERT_TRUE(import_to(*disk_, 50).ok());
  {
    auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE((*opened)->belong_to("cluster").ok());
    ASSERT_TRUE(Batches(60).commit(**opened).ok());
    EXPECT_EQ((*opened)->last().job.cluster_id, "cluster");
  }
  {
    auto repair = Repair::open(*disk_, path_, open_small_state, ChangeMode::kCarryOut);
    ASSERT_TRUE(repair.ok()) << repair.status();
    auto plan = (*repair)->plan_rollback(0, 6000);
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE((*repair)->carry_out(*plan).ok());
  }
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(Batches::counts_of(**(*opened)->view()), truth_);
  EXPECT_EQ((*opened)->last().imported.of_null, 5);
}

TEST_F(ImportTest, TheClusterOfTheFirstStartIsKept) {
  ASSERT_TRUE(import_to(*disk_, 50).ok());
  ASSERT_TRUE((*open())->belong_to("cluster").ok());
  auto again = open();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->last().job.cluster_id, "cluster");
  EXPECT_EQ((*again)->last().batch, 0);
}

TEST_F(ImportTest, AUserWhoStandsTwiceIsRefusedByBothLinesAndNothingIsLeft) {
  rows_.push_back(rows_[3]);
  rows_.back().line = 999;
  for (const std::size_t rows_in_memory : {50U, 100000U}) {
    const absl::Status refused = import_to(*disk_, rows_in_memory).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << refused;
    EXPECT_NE(message_of(refused).find("line 999"), std::string_view::npos) << refused;
    EXPECT_NE(message_of(refused).find("stands in line 4"), std::string_view::npos) << refused;
    EXPECT_FALSE(fs::exists(path_));
    EXPECT_FALSE(fs::exists(path_ + ".importing"));
  }
}

TEST_F(ImportTest, WhatIsThereIsNeverOverwritten) {
  fs::create_directory(path_);
  std::ofstream(path_ + "/thesis.txt") << "precious";
  EXPECT_TRUE(absl::IsFailedPrecondition(import_to(*disk_, 50).status()));
  fs::remove(path_ + "/thesis.txt");
  fs::create_directory(path_ + ".importing");
  std::ofstream(path_ + ".importing/thesis.txt") << "precious";
  EXPECT_TRUE(absl::IsFailedPrecondition(import_to(*disk_, 50).status()));
  EXPECT_TRUE(fs::exists(path_ + ".importing/thesis.txt"));
  fs::remove_all(path_ + ".importing");
  EXPECT_TRUE(import_to(*disk_, 50).ok()) << "an empty directory is as good as none";
  expect_imported();
  EXPECT_TRUE(absl::IsFailedPrecondition(import_to(*disk_, 50).status())) << "a checkpoint";
}

TEST_F(ImportTest, CutAnywhereThereIsNoCheckpointOrTheWholeOneAndTheNextImportGoesThrough) {
  int none = 0;
  bool done = false;
  for (int stop_at = 1; !done; ++stop_at) {
    SCOPED_TRACE("cut at operation " + std::to_string(stop_at));
    fs::remove_all(path_);
    if (stop_at % 8 == 0) fs::remove_all(path_ + ".importing");
    StoppingDisk cut(*disk_, stop_at);
    const bool made = import_to(cut, 50).ok();
    done = !cut.stopped();
    EXPECT_EQ(made, done);
    if (!fs::exists(path_)) {
      ++none;
      EXPECT_FALSE(open().ok());
      continue;
    }
    expect_imported();
    if (HasFailure()) return;
  }
  EXPECT_GT(none, 50);
  fs::remove_all(path_);
  ASSERT_TRUE(import_to(*disk_, 50).ok()) << "over what was left";
  expect_imported();
}

}  // namespace
}  // namespace clicktally
