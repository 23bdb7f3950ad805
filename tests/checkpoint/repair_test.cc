// Checks I4 to I8 of repair.h on a real disk with a real state: what each repair changes, and each
// cut at each of its steps.
#include "checkpoint/repair.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/snapshots.h"
#include "tests/support/job_with_snapshots.h"
#include "tests/support/stopping_disk.h"

namespace clicktally {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNowMs = 1'800'000'000'000;

class RepairTest : public JobWithSnapshots {
 protected:
  absl::StatusOr<std::unique_ptr<Repair>> begin(Disk& disk,
                                                ChangeMode mode = ChangeMode::kCarryOut) {
    return Repair::open(disk, path_, open_small_state, mode);
  }
  absl::Status roll_back(Disk& disk, BatchId snapshot) {
    auto repair = begin(disk);
    if (!repair.ok()) return repair.status();
    auto plan = (*repair)->plan_rollback(snapshot, kNowMs);
    return plan.ok() ? (*repair)->carry_out(*plan) : plan.status();
  }
  absl::Status set_offsets(Disk& disk, const std::map<PartitionId, Offset>& next) {
    auto repair = begin(disk);
    if (!repair.ok()) return repair.status();
    auto plan = (*repair)->plan_offsets(next, kNowMs);
    return plan.ok() ? (*repair)->carry_out(*plan) : plan.status();
  }
  std::vector<BatchId> snapshots() {
    std::vector<BatchId> batches;
    const auto names = list_snapshots(*disk_, layout_);
    for (const SnapshotName& name : *names) batches.push_back(name.batch);
    return batches;
  }
  std::map<UserKey, std::int64_t> counts_of_snapshot(BatchId batch) {
    auto snapshot = open_snapshot(*disk_, layout_, batch, open_small_state);
    EXPECT_TRUE(snapshot.ok()) << snapshot.status();
    return snapshot.ok() ? Batches::counts_of(**snapshot->store->view())
                         : std::map<UserKey, std::int64_t>();
  }
  // Names and bytes of all that is there.
  std::map<std::string, std::string> contents() {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      all[entry.path()] = entry.is_regular_file() ? *read_file(*disk_, entry.path()) : "";
    }
    return all;
  }
  void expect_nothing_left_over() {
    for (const auto& entry : fs::recursive_directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      EXPECT_FALSE(name.ends_with(".repaired") || name.ends_with(".gone") || name == "new" ||
                   name == "live.next")
          << entry.path();
    }
  }
};

TEST_F(RepairTest, ARollbackIsABatchOfItsOwnAndNothingIsLost) {
  ASSERT_TRUE(roll_back(*disk_, 2).ok());
  expect_nothing_left_over();
  EXPECT_EQ(snapshots(), (std::vector<BatchId>{2, 4, 6, 7})) << "6 was the live state";
  EXPECT_EQ(counts_of_snapshot(6), batches_.counts_at(6));
  EXPECT_EQ(counts_of_snapshot(7), batches_.counts_at(2));
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_FALSE((*opened)->fallback());
  EXPECT_FALSE((*opened)->last_was_shown()) << "nobody has seen batch 7 yet";
  const CommitRecord& last = (*opened)->last();
  EXPECT_EQ(last.batch, 7);
  EXPECT_EQ(last.epoch, 1);
  EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(2));
  ASSERT_EQ(last.adjustments.size(), 1U);
  EXPECT_EQ(last.adjustments[0].command, "rollback to snapshot 2");
  EXPECT_EQ(last.adjustments[0].time_ms, kNowMs);
  EXPECT_EQ(last.adjustments[0].before->batch, 6);
  EXPECT_EQ(last.adjustments[0].after->batch, 7);
  EXPECT_GT(last.adjustments[0].before->next.at(0), last.adjustments[0].after->next.at(0));
  EXPECT_GT(last.adjustments[0].before->clicks, last.adjustments[0].after->clicks);
  ASSERT_TRUE(batches_.commit(**opened).ok());
  EXPECT_TRUE((*opened)->final_snapshot([] { return true; }).ok());
}

TEST_F(RepairTest, ARollbackIsUndoneByAnother) {
  ASSERT_TRUE(roll_back(*disk_, 2).ok());
  ASSERT_TRUE(roll_back(*disk_, 6).ok());
  ASSERT_TRUE(roll_back(*disk_, 4).ok());
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->last().batch, 9);
  EXPECT_EQ((*opened)->last().epoch, 3);
  EXPECT_EQ((*opened)->last().adjustments.size(), 3U);
  EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(4));
  EXPECT_EQ(counts_of_snapshot(8), batches_.counts_at(6));
}

TEST_F(RepairTest, TheAuditTrailStaysBounded) {
  for (std::size_t i = 0; i < kMostAdjustments + 3; ++i) ASSERT_TRUE(roll_back(*disk_, 2).ok());
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->last().adjustments.size(), kMostAdjustments);
  EXPECT_EQ((*opened)->last().adjustments.back().after->batch, (*opened)->last().batch);
}

TEST_F(RepairTest, ADamagedStateIsRolledBackAndKeptAside) {
  flip(manifest_of(layout_.live()), 30);
  ASSERT_TRUE(roll_back(*disk_, 2).ok());
  EXPECT_TRUE(fs::exists(layout_.live_damaged()));
  EXPECT_EQ(snapshots(), (std::vector<BatchId>{2, 4, 7}));
  {
    auto opened = open(*disk_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(2));
  }
  flip(manifest_of(layout_.live()), 30);
  const absl::Status refused = roll_back(*disk_, 4);
  EXPECT_TRUE(absl::IsDataLoss(refused)) << refused;
  EXPECT_NE(message_of(refused).find("live.damaged"), std::string_view::npos) << refused;
  fs::remove(path_ + "/SHOWN");
  fs::remove_all(layout_.live_damaged());
  EXPECT_TRUE(absl::IsDataLoss(roll_back(*disk_, 4))) << "nobody knows the epoch";
}

TEST_F(RepairTest, ADamagedSnapshotIsNoWayBackAndOneOfTheLiveBatchIsMadeAnew) {
  fs::remove(layout_.snapshot(2) + "/CURRENT");
  const auto before = contents();
  EXPECT_TRUE(absl::IsDataLoss(roll_back(*disk_, 2)));
  EXPECT_EQ(contents(), before);
  renew();
  ASSERT_TRUE((*open(*disk_))->final_snapshot([] { return true; }).ok());
  fs::remove(layout_.snapshot(6) + "/CURRENT");
  ASSERT_TRUE(roll_back(*disk_, 2).ok());
  EXPECT_EQ(counts_of_snapshot(6), batches_.counts_at(6));
  EXPECT_TRUE(fs::exists(layout_.snapshot(6) + ".damaged"));
}

TEST_F(RepairTest, SetOffsetsAreATermOfTheSumAndTheFingerprintIsDropped) {
  Offset before = 0;
  {
    auto opened = open(*disk_);
    CommitRecord next = batches_.next((*opened)->last());
    next.partitions[0].last = {.offset = next.partitions[0].next - 1, .timestamp_ms = 1, .hash = 2};
    ASSERT_TRUE((*opened)->commit(next, batches_.changed(7)).ok());
    before = next.partitions[0].next;
  }
  ASSERT_TRUE(set_offsets(*disk_, {{0, before + 100}, {3, 17}}).ok());
  {
    auto opened = open(*disk_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    const CommitRecord& last = (*opened)->last();
    EXPECT_EQ(last.batch, 8);
    EXPECT_EQ(last.partitions.at(0).next, before + 100);
    EXPECT_EQ(last.partitions.at(0).moved, 100);
    EXPECT_FALSE(last.partitions.at(0).last);
    EXPECT_EQ(last.partitions.at(3).start, 17);
    EXPECT_EQ(last.partitions.at(3).next, 17);
    EXPECT_EQ(Batches::counts_of(**(*opened)->view()), batches_.counts_at(7));
    const Adjustment& said = last.adjustments.back();
    EXPECT_EQ(said.before->next, (std::map<PartitionId, Offset>{{0, before}}));
    EXPECT_EQ(said.after->next, (std::map<PartitionId, Offset>{{0, before + 100}, {3, 17}}));
    ASSERT_TRUE(batches_.commit(**opened).ok()) << "the sums must still hold";
  }
  ASSERT_TRUE(set_offsets(*disk_, {{0, 0}}).ok());
  auto opened = open(*disk_);
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ((*opened)->last().partitions.at(0).next, 0);
  EXPECT_EQ((*opened)->last().epoch, 2);
}

TEST_F(RepairTest, WhatCannotBeGrantedIsRefusedAndWritesNothing) {
  const auto before = contents();
  StoppingDisk counting(*disk_, 0);
  const absl::Status refused = roll_back(*disk_, 3);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_NE(message_of(refused).find("there is 2, 4"), std::string_view::npos) << refused;
  const Offset next =
      open_checkpoint_reader(*disk_, path_, open_small_state)->state.record.partitions.at(0).next;
  EXPECT_TRUE(absl::IsInvalidArgument(set_offsets(*disk_, {{0, next}})));
  {
    auto dry = begin(counting, ChangeMode::kDryRun);
    ASSERT_TRUE(dry.ok()) << dry.status();
    auto plan = (*dry)->plan_rollback(4, kNowMs);
    ASSERT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(plan->after.batch, 7);
    EXPECT_TRUE((*dry)->plan_offsets({{0, 5}}, kNowMs).ok());
    EXPECT_EQ(counting.operations(), 0) << "a dry run writes nothing";
  }
  EXPECT_EQ(contents(), before);
  auto running = open(*disk_);
  EXPECT_TRUE(absl::IsAlreadyExists(roll_back(*disk_, 2)));
  running->reset();
  fs::remove(path_ + "/job.json");
  EXPECT_TRUE(absl::IsFailedPrecondition(roll_back(*disk_, 2)));
}

// Cut at each operation, and again at every fifth, in turn, of the start that follows. What is read
// or opened then is the old state or the new one, whole; a repair after it goes through.
class RepairCutTest : public RepairTest {
 protected:
  template <typename Run>
  void cut_everywhere(const Run& run, const std::map<UserKey, std::int64_t>& wanted) {
    bool first_done = false;
    int old_ones = 0;
    int new_ones = 0;
    int pending_ones = 0;
    for (int first = 1; !first_done; ++first) {
      SCOPED_TRACE("cut at operation " + std::to_string(first));
      renew();
      before_cut();
      {
        StoppingDisk cut(*disk_, first);
        const absl::Status ended = run(cut);
        first_done = !cut.stopped();
        EXPECT_TRUE(ended.ok() || absl::IsResourceExhausted(ended)) << ended;
        EXPECT_EQ(ended.ok(), first_done) << ended;
      }
      const bool is_new =
          exists(*disk_, layout_.live_repaired()) && !exists(*disk_, layout_.live());
      pending_ones += is_new ? 1 : 0;
      BatchId read_batch = kNoBatch;
      if (live_is_whole_) {  // the tool, which may write nothing
        auto reader = open_checkpoint_reader(*disk_, path_, open_small_state);
        ASSERT_TRUE(reader.ok()) << reader.status();
        read_batch = reader->state.record.batch;
        expect_one_of_two(Batches::counts_of(*reader->view), read_batch, wanted);
      }
      if (first % 2 == 0) {
        StoppingDisk cut(*disk_, 1 + first % 5);
        open(cut).IgnoreError();
      }
      auto opened = open(*disk_);  // the processor
      ASSERT_TRUE(opened.ok()) << opened.status();
      if ((*opened)->fallback()) {
        EXPECT_FALSE(live_is_whole_) << (*opened)->fallback()->damage;
        ++old_ones;
        continue;
      }
      const BatchId batch = (*opened)->last().batch;
      EXPECT_TRUE(!live_is_whole_ || batch == read_batch) << batch << " after " << read_batch;
      expect_one_of_two(Batches::counts_of(**(*opened)->view()), batch, wanted);
      (batch == 6 ? old_ones : new_ones) += 1;
      EXPECT_FALSE(is_new && batch == 6);
      expect_nothing_left_over();
      if (batch == 7) {
        EXPECT_EQ(snapshots().back(), 7);
      }
      opened->reset();
      if (live_is_whole_ && batch == 7) {
        EXPECT_EQ(counts_of_snapshot(6), batches_.counts_at(6));
      }
      if (first % 4 != 0) continue;
      ASSERT_TRUE(roll_back(*disk_, 4).ok());
      auto again = open(*disk_);
      ASSERT_TRUE(again.ok()) << again.status();
      EXPECT_EQ(Batches::counts_of(**(*again)->view()), batches_.counts_at(4));
      if (HasFailure()) return;
    }
    EXPECT_GT(old_ones, 20);
    EXPECT_GT(new_ones, 5);
    EXPECT_GT(pending_ones, 0);
  }
  virtual void before_cut() {}
  // What renew() brings back from now on: a repair cut there, and a live state damaged after it.
  void renew_from_cut(int at) {
    ASSERT_GT(at, 0);
    make_job();
    StoppingDisk cut(*disk_, at);
    EXPECT_FALSE(roll_back(cut, 2).ok());
    EXPECT_TRUE(exists(*disk_, layout_.live_repaired()));
    flip(manifest_of(layout_.live()), 30);
    keep();
  }
  void expect_one_of_two(const std::map<UserKey, std::int64_t>& counts, BatchId batch,
                         const std::map<UserKey, std::int64_t>& wanted) {
    ASSERT_TRUE(batch == 6 || batch == 7) << batch;
    EXPECT_EQ(counts, batch == 6 ? batches_.counts_at(6) : wanted);
  }
  bool live_is_whole_ = true;
};

TEST_F(RepairCutTest, ARollbackCutAnywhereIsDoneOrNotDone) {
  cut_everywhere([this](Disk& disk) { return roll_back(disk, 2); }, batches_.counts_at(2));
}

TEST_F(RepairCutTest, OffsetsSetAndCutAnywhereAreSetOrNot) {
  cut_everywhere(
      [this](Disk& disk) {
        return set_offsets(disk, {{0, 12345}});
      },
      batches_.counts_at(6));
}

class DamagedRepairCutTest : public RepairCutTest {
 protected:
  void before_cut() override {
    live_is_whole_ = false;
    flip(manifest_of(layout_.live()), 30);
  }
};

TEST_F(DamagedRepairCutTest, ARollbackOfADamagedStateCutAnywhereIsDoneOrFoundDamagedStill) {
  cut_everywhere([this](Disk& disk) { return roll_back(disk, 2); }, batches_.counts_at(2));
}

// What a repair left of before its C6 has the epoch that a fallback takes then.
TEST_F(RepairCutTest, AFallbackNeverTakesWhatARepairLeft) {
  int last_before_change = 0;  // the operation before which the repair is ready, and not announced
  for (int first = 1;; ++first) {
    renew();
    StoppingDisk cut(*disk_, first);
    roll_back(cut, 2).IgnoreError();
    if (*live_path(*disk_, layout_, open_small_state) != layout_.live()) break;
    last_before_change = first;
  }
  fs::remove_all(dir_.file("kept"));
  renew_from_cut(last_before_change);
  for (int second = 1, done = 0; done == 0; ++second) {
    SCOPED_TRACE("fallback cut at operation " + std::to_string(second));
    renew();
    {
      StoppingDisk again(*disk_, second);
      auto next = open(again);
      if (next.ok() && (*next)->fallback()) (*next)->fall_back(kNowMs).IgnoreError();
      done = again.stopped() ? 0 : 1;
    }
    auto next = open(*disk_);
    ASSERT_TRUE(next.ok()) << next.status();
    if ((*next)->fallback()) {
      ASSERT_TRUE((*next)->fall_back(kNowMs).ok());
    }
    EXPECT_EQ((*next)->last().batch, 6) << "6, which became a snapshot, and not the repair's 7";
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace clicktally
