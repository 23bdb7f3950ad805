// Checks I5, I6 and I8 of backup.h on a real disk with a real state.
#include "checkpoint/backup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "checkpoint/checkpoint.h"
#include "tests/support/batches.h"
#include "tests/support/stopping_disk.h"
#include "tests/support/temp_dir.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    auto made = Checkpoint::open(*disk_, path_, {.open_state = open_small_state});
    checkpoint_ = *std::move(made);
    EXPECT_TRUE(checkpoint_->create(Batches::start()).ok());
  }
  void commit_and_snapshot() {
    ASSERT_TRUE(batches_.commit(*checkpoint_).ok());
    ASSERT_TRUE(checkpoint_->final_snapshot([] { return true; }).ok());
  }
  absl::StatusOr<BackupResult> back_up(Disk& disk) {
    return clicktally::back_up(disk, path_, dest_, open_small_state);
  }
  absl::StatusOr<CommitRecord> restore(Disk& disk, const std::string& target) {
    return restore_backup(disk, dest_, target, open_small_state, 5000);
  }
  void expect_restored(BatchId batch) {
    const std::string target = dir_.file("restored");
    fs::remove_all(target);
    auto restored = restore(*disk_, target);
    ASSERT_TRUE(restored.ok()) << restored.status();
    auto opened =
        Checkpoint::open(*disk_, target, {.must_exist = true, .open_state = open_small_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->last().batch, batch);
    EXPECT_EQ((*opened)->last().epoch, 1);
    EXPECT_FALSE((*opened)->last_was_shown());
    EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(batch));
    ASSERT_TRUE(batches_.commit(**opened).ok());
  }

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("checkpoint");
  std::string dest_ = dir_.file("backup");
  Batches batches_{60};
  std::unique_ptr<Checkpoint> checkpoint_;
};

TEST_F(BackupTest, ItIsMadeBesideTheJobWithBlocksOfItsOwnAndOnlyWhatIsNewIsCopied) {
  EXPECT_TRUE(absl::IsFailedPrecondition(back_up(*disk_).status())) << "no snapshot yet";
  commit_and_snapshot();
  auto first = back_up(*disk_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->reused_bytes, 0U);
  commit_and_snapshot();
  auto second = back_up(*disk_);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_GT(second->reused_bytes, 0U);
  for (const auto& entry : fs::recursive_directory_iterator(dest_)) {
    if (entry.is_regular_file()) {
      EXPECT_EQ(entry.hard_link_count(), 1U) << entry.path();
    }
  }
  EXPECT_EQ(*disk_->list(dest_), std::vector<std::string>{"0-1"});
  checkpoint_.reset();
  fs::remove_all(path_);
  expect_restored(1);
}

TEST_F(BackupTest, WhatIsDamagedOrForeignOrNotEmptyIsRefused) {
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(restore(*disk_, path_).status())) << "a checkpoint";
  std::string table;
  for (const auto& entry : fs::directory_iterator(dest_ + "/0-0")) {
    if (entry.path().extension() == ".sst") table = entry.path();
  }
  std::string bytes = *read_file(*disk_, table);
  bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 1);
  std::ofstream(table, std::ios::binary) << bytes;
  EXPECT_TRUE(absl::IsDataLoss(restore(*disk_, dir_.file("restored")).status()));
  EXPECT_FALSE(fs::exists(dir_.file("restored")));
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok()) << "a damaged file is not reused";
  expect_restored(1);
  std::ofstream(dest_ + "/thesis.txt") << "precious";
  EXPECT_TRUE(absl::IsFailedPrecondition(back_up(*disk_).status()));
}

TEST_F(BackupTest, CutAtAnyOperationThereIsAlwaysAWholeOneAndNeverAHalfRestoredCheckpoint) {
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  fs::copy(dest_, dir_.file("kept"), fs::copy_options::recursive);
  commit_and_snapshot();
  bool done = false;
  for (int stop_at = 1; !done; ++stop_at) {
    SCOPED_TRACE("cut at operation " + std::to_string(stop_at));
    fs::remove_all(dest_);
    fs::copy(dir_.file("kept"), dest_, fs::copy_options::recursive);
    StoppingDisk cut(*disk_, stop_at);
    const bool made = back_up(cut).ok();
    done = !cut.stopped();
    const auto names = disk_->list(dest_).value();
    EXPECT_TRUE(fs::exists(dest_ + "/0-0") || fs::exists(dest_ + "/0-1"));
    expect_restored(fs::exists(dest_ + "/0-1") ? 1 : 0);
    EXPECT_TRUE(!made || fs::exists(dest_ + "/0-1"));
    if (HasFailure()) return;
  }
  done = false;
  for (int stop_at = 1; !done; ++stop_at) {
    SCOPED_TRACE("restoring cut at operation " + std::to_string(stop_at));
    const std::string target = dir_.file("cut");
    fs::remove_all(target);
    StoppingDisk cut(*disk_, stop_at);
    const bool made = restore(cut, target).ok();
    done = !cut.stopped();
    auto opened = Checkpoint::open(*disk_, target, {.open_state = open_small_state});
    if (opened.ok() && !(*opened)->is_new()) {
      EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(1));
    } else {
      EXPECT_FALSE(made);
      EXPECT_TRUE(!opened.ok() || stop_at <= 3) << "half a restore was taken for a new checkpoint";
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace clicktally
