// Checks I5, I6 and I9 of the pipeline: when snapshots are taken, and how a run goes on from one.
#include <algorithm>
#include <filesystem>
#include <thread>

#include "tests/pipeline/pipeline_fixture.h"

namespace clicktally {
namespace {

class SnapshotsTest : public PipelineTest {
 protected:
  std::vector<BatchId> snapshots() {
    std::vector<BatchId> batches;
    const auto names = disk_->list(layout_.snapshots());
    if (!names.ok()) return batches;
    for (const std::string& name : *names) {
      if (name.find_first_not_of("0123456789") == name.npos) batches.push_back(std::stoll(name));
    }
    std::ranges::sort(batches);
    return batches;
  }
  bool eventually_has(BatchId batch) {
    for (int i = 0; i < 24'000; ++i) {
      if (std::ranges::count(snapshots(), batch) > 0) return true;
      std::this_thread::sleep_for(5ms);
    }
    return false;
  }
  // Batches 0 and 1, a snapshot of 0, and damage.
  void damage_after_two_batches() {
    options_.available_now = true;
    for (PartitionId id : {0, 1, 2}) source_.append(id, click_of(7));
    ASSERT_TRUE(run().ok());
    for (int i = 0; i < 5; ++i) source_.append(1, click_of(8));
    ASSERT_TRUE(run().ok());
    checkpoint_.reset();
    std::filesystem::remove_all(layout_.snapshot(1));
    state_->digest_error = 1;
    auto opened = Checkpoint::open(*disk_, dir_.file("checkpoint"),
                                   {.may_fall_back = true, .open_state = fake_opener(state_)});
    ASSERT_TRUE(opened.ok()) << opened.status();
    checkpoint_ = std::move(*opened);
    ASSERT_TRUE(checkpoint_->fallback());
  }
  absl::StatusOr<StartUp> start() {
    return start_up(source_, *checkpoint_, *clock_, stop_,
                    {.topic = "topic", .checkpoint_path = "c", .began_ms = 0});
  }
  CheckpointLayout layout_{dir_.file("checkpoint")};
};

TEST_F(SnapshotsTest, OneIsTakenEveryIntervalAndOneAtACleanStop) {
  options_.trigger_ms = kTickMs;
  options_.snapshot_ms = 30;
  std::thread job([this] { EXPECT_TRUE(run().ok()); });
  source_.append(0, click_of(1));
  ASSERT_TRUE(eventually_has(0)) << "the first batch";
  source_.append(0, click_of(2));
  ASSERT_TRUE(eventually_has(1)) << "the second";
  stop_ = true;
  job.join();
  options_.snapshot_ms = 0;
  source_.append(0, click_of(3));
  options_.available_now = true;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(snapshots().back(), checkpoint_->last().batch);
}

TEST_F(SnapshotsTest, OneWaitsUntilTheLogIsWrittenOutAlsoAtAStop) {
  options_.trigger_ms = kTickMs;
  options_.snapshot_ms = 30;
  state_->log_is_long = 4;
  std::thread job([this] { EXPECT_TRUE(run().ok()); });
  source_.append(0, click_of(1));
  EXPECT_TRUE(eventually_has(0));
  stop_ = true;
  job.join();
  EXPECT_EQ(state_->log_is_long, 0);
  stop_ = false;
  options_.snapshot_ms = 0;
  options_.available_now = true;
  state_->log_is_long = 4;
  source_.append(0, click_of(2));
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(state_->log_is_long, 0);
  EXPECT_EQ(snapshots().back(), checkpoint_->last().batch);
}

TEST_F(SnapshotsTest, OneIsTakenWhenAskedForWithoutABatchOfItsOwn) {
  std::atomic<bool> wanted{false};
  options_.snapshot_wanted = &wanted;
  std::thread job([this] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(1));
  EXPECT_TRUE(snapshots().empty());
  wanted = true;
  EXPECT_TRUE(eventually_has(0));
  while (wanted) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(sink_.shown().size(), 1U);
  stop_ = true;
  job.join();
}

TEST_F(SnapshotsTest, OneThatCannotBeMadeOrIsFoundDamagedEndsTheRun) {
  options_.trigger_ms = kTickMs;
  options_.snapshot_ms = 1;
  state_->fail_next_snapshot = absl::ResourceExhaustedError("no space");
  EXPECT_TRUE(absl::IsResourceExhausted(run()));
  state_->fail_next_snapshot = absl::OkStatus();
  open();
  state_->digest_error = 1;
  source_.append(0, click_of(1));
  EXPECT_TRUE(absl::IsDataLoss(run()));
}

TEST_F(SnapshotsTest, AFallbackGoesOnFromTheSnapshotsOffsetsUnderANewEpoch) {
  ASSERT_NO_FATAL_FAILURE(damage_after_two_batches());
  source_.expire(1, 1);  // what the snapshot holds already
  auto ready = start();
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(ready->next, (std::map<PartitionId, Offset>{{0, 1}, {1, 1}, {2, 1}}));
  EXPECT_EQ(checkpoint_->last().epoch, 1);
  EXPECT_FALSE(checkpoint_->last_was_shown());
}

TEST_F(SnapshotsTest, AFallbackIsRefusedWhereKafkaLacksRecordsAndNothingIsTouched) {
  ASSERT_NO_FATAL_FAILURE(damage_after_two_batches());
  source_.expire(1, 3);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status refused = start().status();
    ASSERT_TRUE(absl::IsOutOfRange(refused)) << refused;
    EXPECT_NE(refused.message().find("partition 1 lacks 2 records, from offset 1 to 2"),
              absl::string_view::npos)
        << refused;
    EXPECT_TRUE(checkpoint_->fallback());
  }
  EXPECT_FALSE(exists(*disk_, layout_.live_damaged()));
}

// A partition that the live state knew and the snapshot does not: its beginning is needed again.
TEST_F(SnapshotsTest, AFallbackIsRefusedWhereANewPartitionHasLostItsBeginningAndNothingIsTouched) {
  ASSERT_NO_FATAL_FAILURE(damage_after_two_batches());
  source_.add_partition(3);
  for (int i = 0; i < 5; ++i) source_.append(3, click_of(9));
  source_.expire(3, 2);
  const absl::Status refused = start().status();
  ASSERT_TRUE(absl::IsOutOfRange(refused)) << refused;
  EXPECT_NE(refused.message().find("partition 3, which came after the snapshot, lacks its first 2"),
            absl::string_view::npos)
      << refused;
  EXPECT_TRUE(checkpoint_->fallback());
  EXPECT_FALSE(exists(*disk_, layout_.live_damaged()));
  EXPECT_FALSE(exists(*disk_, layout_.live_next()));
  source_.expire(3, 0);
  auto ready = start();
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(ready->new_partitions, (std::map<PartitionId, Offset>{{3, 0}}));
}

}  // namespace
}  // namespace clicktally
