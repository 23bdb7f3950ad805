// Checks I5, I6 and I8 of backup.h on a real disk with a real state.
#include "checkpoint/backup.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/text.h"
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
    return restore_backup(disk, dest_, target, open_small_state, kRestoredAtMs);
  }
  void expect_restored(BatchId batch) {
    const std::string target = dir_.file("nor/this/restored");
    fs::remove_all(target);
    auto restored = restore(*disk_, target);
    ASSERT_TRUE(restored.ok()) << restored.status();
    auto opened =
        Checkpoint::open(*disk_, target, {.must_exist = true, .open_state = open_small_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ((*opened)->last().batch, batch);
    EXPECT_EQ((*opened)->last().epoch, kRestoredAtMs / 1000);
    EXPECT_FALSE((*opened)->last_was_shown());
    EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(batch));
    ASSERT_TRUE(batches_.commit(**opened).ok());
  }

  // What `made` holds, put where a checkpoint or a backup is.
  void put(const std::string& made, const std::string& place) {
    fs::remove_all(place);
    fs::copy(made, place, fs::copy_options::recursive);
  }
  static constexpr std::int64_t kRestoredAtMs = 1'800'000'000'123;

  TempDir dir_{TempDir::memory()};
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::string path_ = dir_.file("checkpoint");
  std::string dest_ = dir_.file("not/yet/there/backup");
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
  batches_ = Batches(6000);  // several blocks: whose backup it is can be read all the same
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(restore(*disk_, path_).status())) << "a checkpoint";
  std::string table;  // the largest: the one with the rows
  std::uintmax_t largest = 0;
  for (const auto& entry : fs::directory_iterator(dest_ + "/0-0")) {
    if (entry.path().extension() != ".sst" || entry.file_size() <= largest) continue;
    table = entry.path();
    largest = entry.file_size();
  }
  std::string bytes = *read_file(*disk_, table);
  bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 1);
  std::ofstream(table, std::ios::binary) << bytes;
  EXPECT_TRUE(absl::IsDataLoss(restore(*disk_, dir_.file("restored")).status()));
  EXPECT_FALSE(fs::exists(dir_.file("restored")));
  commit_and_snapshot();
  auto mended = back_up(*disk_);
  ASSERT_TRUE(mended.ok()) << "a damaged file is not reused: " << mended.status();
  expect_restored(1);
  std::ofstream(dest_ + "/thesis.txt") << "precious";
  EXPECT_TRUE(absl::IsFailedPrecondition(back_up(*disk_).status()));
}

TEST_F(BackupTest, ADryRunSaysWhatWouldBeOnADiskThatMayNotBeWritten) {
  const auto read_only = make_read_only_disk(*disk_);
  const auto dry_backup = [&] {
    return clicktally::back_up(*read_only, path_, dest_, open_small_state, ChangeMode::kDryRun);
  };
  commit_and_snapshot();
  auto dry = dry_backup();
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_FALSE(fs::exists(dest_));
  auto made = back_up(*disk_);
  EXPECT_EQ(dry->copied_bytes, made->copied_bytes);
  commit_and_snapshot();
  dry = dry_backup();
  ASSERT_TRUE(dry.ok()) << dry.status();
  EXPECT_EQ(*disk_->list(dest_), std::vector<std::string>{"0-0"});
  made = back_up(*disk_);
  EXPECT_GT(made->reused_bytes, 0U);
  EXPECT_EQ(dry->copied_bytes, made->copied_bytes);
  EXPECT_EQ(dry->reused_bytes, made->reused_bytes);
  EXPECT_EQ(dry->record, made->record);

  const std::string target = dir_.file("restored");
  const auto would_be = restore_backup(*read_only, dest_, target, open_small_state, kRestoredAtMs,
                                       ChangeMode::kDryRun);
  ASSERT_TRUE(would_be.ok()) << would_be.status();
  EXPECT_FALSE(fs::exists(target));
  EXPECT_EQ(*would_be, *restore(*disk_, target));
  const auto refused = restore_backup(*read_only, dest_, target, open_small_state, kRestoredAtMs,
                                      ChangeMode::kDryRun);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << "a checkpoint: " << refused.status();
}

// The audit trail stays bounded, and the next start says that an operator came by.
TEST_F(BackupTest, ARestoreIsNotedAsEveryOtherChangeIs) {
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  std::int64_t before = checkpoint_->last().epoch;
  for (std::size_t round = 0; round < kMostAdjustments + 3; ++round) {
    const std::string target = dir_.file("restored" + std::to_string(round));
    auto restored = restore(*disk_, target);
    ASSERT_TRUE(restored.ok()) << restored.status();
    const Adjustment& noted = restored->adjustments.back();
    EXPECT_EQ(noted.command, "restored from the backup of batch 0");
    EXPECT_EQ(noted.time_ms, kRestoredAtMs);
    EXPECT_EQ(noted.after->epoch, restored->epoch);
    EXPECT_EQ(noted.before->epoch, before);
    before = restored->epoch;
    EXPECT_EQ(restored->adjustments.size(), std::min(round + 1, kMostAdjustments));
    // A snapshot of what was restored, so that the next round begins with it.
    auto opened = Checkpoint::open(*disk_, target, {.open_state = open_small_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE((*opened)->final_snapshot([] { return true; }).ok());
    dest_ = dir_.file("backup" + std::to_string(round));
    opened->reset();
    const auto next = clicktally::back_up(*disk_, target, dest_, open_small_state);
    ASSERT_TRUE(next.ok()) << next.status();
  }
}

// I5: what is there is replaced only by what goes on from it.
TEST_F(BackupTest, AnotherJobsBackupOrALaterOneIsNotReplaced) {
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  fs::create_directory(dir_.file("kept"));
  fs::copy(path_, dir_.file("kept/checkpoint"), fs::copy_options::recursive);
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  const auto expect_refused = [&](std::string_view why) {
    const absl::Status refused = back_up(*disk_).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_NE(message_of(refused).find(why), std::string_view::npos) << refused;
    EXPECT_EQ(*disk_->list(dest_), std::vector<std::string>{"0-1"});
    expect_restored(1);
  };
  checkpoint_.reset();
  put(dir_.file("kept/checkpoint"), path_);  // as after a rollback, or of another machine
  expect_refused("batch 0 of epoch 0");

  // Fallen back, so under a higher epoch, and not yet where the backup is.
  fs::remove(path_ + "/live/CURRENT");
  {
    auto opened =
        Checkpoint::open(*disk_, path_, {.may_fall_back = true, .open_state = open_small_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE((*opened)->fall_back(1000).ok());
    const Batches few(10);
    ASSERT_TRUE(few.commit(**opened).ok());
    ASSERT_TRUE((*opened)->final_snapshot([] { return true; }).ok());
    expect_refused("later than the snapshot of batch 1 of epoch 1");
    // Once it is there, it takes the backup's place.
    ASSERT_TRUE(batches_.commit(**opened).ok());
    ASSERT_TRUE((*opened)->final_snapshot([] { return true; }).ok());
    ASSERT_TRUE(back_up(*disk_).ok());
    EXPECT_EQ(*disk_->list(dest_), std::vector<std::string>{"1-2"});
  }

  for (const char* other : {"job", "start"}) {
    fs::remove_all(path_);
    auto made = Checkpoint::open(*disk_, path_, {.open_state = open_small_state});
    CommitRecord start = Batches::start();
    if (std::string_view(other) == "job") start.job.topic = "another";
    if (std::string_view(other) == "start")
      start.partitions[0].start = start.partitions[0].next = 3;
    ASSERT_TRUE((*made)->create(start).ok());
    for (int i = 0; i < 9; ++i) ASSERT_TRUE(batches_.commit(**made).ok());
    ASSERT_TRUE((*made)->final_snapshot([] { return true; }).ok());
    const absl::Status refused = back_up(*disk_).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
    EXPECT_NE(message_of(refused).find("a backup of another"), std::string_view::npos) << refused;
    EXPECT_EQ(*disk_->list(dest_), std::vector<std::string>{"1-2"});
  }
}

TEST_F(BackupTest, ABackupThatCannotSayWhoseItIsIsNotReplaced) {
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  fs::remove(dest_ + "/0-0/CURRENT");
  commit_and_snapshot();
  const absl::Status refused = back_up(*disk_).status();
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_TRUE(fs::exists(dest_ + "/0-0"));
  fs::remove_all(dest_ + "/0-0");
  ASSERT_TRUE(back_up(*disk_).ok());
  expect_restored(1);
}

// I6: the lost machine fell back after the backup, and showed batches under the epochs that came
// next.
TEST_F(BackupTest, WhatIsRestoredHasAnEpochThatTheLostMachineCannotHaveShown) {
  commit_and_snapshot();
  ASSERT_TRUE(back_up(*disk_).ok());
  checkpoint_.reset();
  std::int64_t shown = 0;
  for (int i = 0; i < 3; ++i) {
    fs::remove(path_ + "/live/CURRENT");
    fs::remove_all(path_ + "/live.damaged");
    auto opened =
        Checkpoint::open(*disk_, path_, {.may_fall_back = true, .open_state = open_small_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE((*opened)->fall_back(1000).ok());
    ASSERT_TRUE(batches_.commit(**opened).ok());
    shown = (*opened)->last().epoch;
  }
  EXPECT_EQ(shown, 3);
  auto restored = restore(*disk_, dir_.file("restored"));
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_GT(restored->epoch, shown);
  // Its own backups, and what is restored of them, go on from there, whatever the clock says.
  path_ = dir_.file("restored");
  {
    auto opened = Checkpoint::open(*disk_, path_, {.open_state = open_small_state});
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_TRUE(batches_.commit(**opened).ok());
    ASSERT_TRUE((*opened)->final_snapshot([] { return true; }).ok());
  }
  ASSERT_TRUE(back_up(*disk_).ok());
  EXPECT_EQ(*disk_->list(dest_), std::vector<std::string>{"1800000000-1"});
  auto again = restore_backup(*disk_, dest_, dir_.file("again"), open_small_state, 0);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->epoch, 1'800'000'001);
  auto opened = Checkpoint::open(*disk_, dir_.file("again"), {.open_state = open_small_state});
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_TRUE(batches_.commit(**opened).ok());
  opened->reset();
  opened = Checkpoint::open(*disk_, dir_.file("again"), {.open_state = open_small_state});
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE((*opened)->last_was_shown()) << "SHOWN holds ten digits";
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
