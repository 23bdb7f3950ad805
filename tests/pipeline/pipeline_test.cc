// Checks I1, I2, I6, I7, I9 and I10 of the pipeline.
#include <algorithm>
#include <thread>

#include "tests/pipeline/pipeline_fixture.h"

namespace clicktally {
namespace {

TEST_F(PipelineTest, AvailableNowCountsWhatIsThereOnceAndEnds) {
  std::map<UserKey, std::int64_t> expected;
  for (int i = 0; i < 30000; ++i) {
    source_.append(i % 3, click_of(i % 701));
    ++expected[i % 701];
  }
  options_.available_now = true;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(counts(), expected);
  EXPECT_EQ(sink_.shown().size(), 1U) << "the first batch ends when all of it was read";
  const CommitRecord& last = checkpoint_->last();
  EXPECT_EQ(last.totals().clicks, 30000);
  EXPECT_EQ(last.partitions.at(1).next, 10000);
  EXPECT_EQ(last.partitions.at(1).last->offset, 9999);
  EXPECT_EQ(source_.reported().at(2), 10000);
}

// A tick can close a batch while workers go on to the end: what they read then is one more batch.
TEST_F(PipelineTest, AvailableNowEndsOnlyWhenAllOfItIsCommitted) {
  for (int i = 0; i < 200000; ++i) source_.append(i % 3, click_of(i % 7));
  options_.available_now = true;
  options_.trigger_ms = 10;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(checkpoint_->last().totals().clicks, 200000);
}

TEST_F(PipelineTest, AnEmptyStartMakesAnEmptyBatch0AndThenNoneUntilAnOffsetMoves) {
  options_.trigger_ms = kTickMs;
  std::thread job([&] { EXPECT_TRUE(run(StartingOffsets::kLatest).ok()); });
  ASSERT_TRUE(sink_.wait_for(1));
  EXPECT_EQ(sink_.shown()[0], (ShownBatch{0, {}, false}));
  std::this_thread::sleep_for(200ms);  // ten triggers
  EXPECT_EQ(sink_.shown().size(), 1U);
  source_.append(0, click_of(5));
  ASSERT_TRUE(sink_.wait_for(2));
  EXPECT_EQ(sink_.shown()[1], (ShownBatch{1, {{5, 1}}, false}));
  source_.append(1, "{\"action\": \"view\"}");
  ASSERT_TRUE(sink_.wait_for(3)) << "an offset moved, so there is a batch";
  stop_ = true;
  job.join();
}

// Fault row 15.
TEST_F(PipelineTest, AWallClockThatJumpsAnHourMovesNoTrigger) {
  constexpr std::int64_t kTriggerMs = 5000;
  constexpr std::int64_t kHourMs = 3'600'000;
  MovedClock clock;
  options_.trigger_ms = kTriggerMs;
  options_.snapshot_ms = 0;
  std::vector<std::int64_t> times_ms;
  clock_ = &clock;
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(1));  // before the first tick: all was read
  std::size_t batches = 1;
  for (const std::int64_t jump_ms : {kHourMs, -2 * kHourMs, kHourMs}) {
    source_.append(0, click_of(7));
    clock.wall_ms_ += jump_ms;
    while (source_.status().at(0).next < static_cast<Offset>(batches)) {
      std::this_thread::sleep_for(1ms);  // until a worker has it
    }
    std::this_thread::sleep_for(100ms);  // several looks at the clock
    EXPECT_EQ(sink_.shown().size(), batches) << "no tick, so no batch, whatever the wall says";
    clock.monotonic_ms_ += kTriggerMs;
    ++batches;
    EXPECT_TRUE(sink_.wait_for(batches)) << "a tick, so a batch, though the wall went back";
    times_ms.push_back(clock.wall_ms_);
  }
  stop_ = true;
  job.join();
  EXPECT_EQ(counts(), (std::map<UserKey, std::int64_t>{{7, 3}}));
  EXPECT_EQ(checkpoint_->last().time_ms, times_ms.back()) << "what people read is the wall's";
}

TEST_F(PipelineTest, EachBatchOfALifeSaysHowLongTheOneBeforeTook) {
  MovedClock clock;
  clock_ = &clock;
  sink_.on_show_ = [&] { clock.monotonic_ms_ += 70; };
  source_.append(0, click_of(7));
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(1));
  EXPECT_EQ(checkpoint_->last().previous_duration_ms, std::nullopt) << "there was none";
  source_.append(0, click_of(7));
  while (source_.status().at(0).next < 2) std::this_thread::sleep_for(1ms);
  stop_ = true;
  job.join();
  EXPECT_EQ(checkpoint_->last().batch, 1);
  EXPECT_EQ(checkpoint_->last().previous_duration_ms, 70);
  source_.append(0, click_of(7));
  options_.available_now = true;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(checkpoint_->last().batch, 2);
  EXPECT_EQ(checkpoint_->last().previous_duration_ms, std::nullopt) << "another life made that one";
}

TEST_F(PipelineTest, LatestSkipsWhatWasThereAndNothingAfter) {
  source_.append(0, click_of(1));
  options_.available_now = true;
  ASSERT_TRUE(run(StartingOffsets::kLatest).ok());
  source_.append(0, click_of(2));
  open();
  ASSERT_TRUE(run(StartingOffsets::kLatest).ok())
      << "pinned: the second start begins where the first did";
  EXPECT_EQ(counts(), (std::map<UserKey, std::int64_t>{{2, 1}}));
}

TEST_F(PipelineTest, AStopCommitsWhatWasConsumed) {
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(1));  // the first batch does not wait for the tick
  for (int i = 0; i < 100; ++i) source_.append(i % 3, click_of(9));
  const auto all_read = [&] {
    Offset read = 0;
    for (const auto& [id, partition] : source_.status()) read += partition.next;
    return read == 100;
  };
  while (!all_read()) std::this_thread::sleep_for(1ms);
  stop_ = true;
  job.join();
  EXPECT_EQ(counts().at(9), 100);
  EXPECT_TRUE(checkpoint_->last_was_shown());
}

TEST_F(PipelineTest, ABatchThatWasNotShownIsShownAgainWithTheSameRowsAndOnlyThen) {
  for (int i = 0; i < 10; ++i) source_.append(0, click_of(i));
  options_.available_now = true;
  sink_.fail_ = absl::AbortedError("pipe closed");
  EXPECT_TRUE(absl::IsAborted(run()));
  ASSERT_EQ(sink_.shown().size(), 1U);
  sink_.fail_ = absl::OkStatus();
  open();
  ASSERT_TRUE(run().ok());
  ASSERT_EQ(sink_.shown().size(), 2U);
  EXPECT_EQ(sink_.shown()[0], sink_.shown()[1]);
  open();
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(sink_.shown().size(), 2U) << "it was shown: nothing to show";
}

TEST_F(PipelineTest, UpdateModeShowsChangedUsersOnlyAlsoWhenShownAgain) {
  options_.output_mode = OutputMode::kUpdate;
  options_.available_now = true;
  source_.append(0, click_of(1));
  source_.append(0, click_of(2));
  ASSERT_TRUE(run().ok());
  source_.append(1, click_of(2));
  source_.append(1, click_of(3));
  open();
  sink_.fail_ = absl::AbortedError("pipe closed");
  EXPECT_FALSE(run().ok());
  sink_.fail_ = absl::OkStatus();
  open();
  ASSERT_TRUE(run().ok());
  const std::vector<UserClicks> changed{{2, 2}, {3, 1}};
  ASSERT_EQ(sink_.shown().size(), 3U);
  EXPECT_EQ(sink_.shown()[1], (ShownBatch{1, changed, false}));
  EXPECT_EQ(sink_.shown()[2], (ShownBatch{1, changed, false}));
}

TEST_F(PipelineTest, MoreRowsThanTheSinkWantsAreCutAndSaidSo) {
  for (int i = 0; i < 10; ++i) source_.append(0, click_of(i));
  options_.available_now = true;
  sink_.rows_wanted_ = 3;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(sink_.shown()[0], (ShownBatch{0, {{0, 1}, {1, 1}, {2, 1}}, true}));
}

TEST_F(PipelineTest, ConsumptionGoesOnWhileASinkBlocksAndNothingIsCommittedMeanwhile) {
  options_.trigger_ms = kTickMs;
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(1));
  sink_.block(true);
  source_.append(0, click_of(1));
  ASSERT_TRUE(sink_.wait_for(2));
  for (int i = 0; i < 1000; ++i) source_.append(i % 3, click_of(2));
  std::this_thread::sleep_for(300ms);
  EXPECT_EQ(state_->commits, 3) << "creation, batch 0, batch 1";
  EXPECT_EQ(source_.status().at(1).next, 333) << "read on while the sink blocked";
  sink_.block(false);
  ASSERT_TRUE(sink_.wait_for(3));
  stop_ = true;
  job.join();
  EXPECT_EQ(counts().at(2), 1000);
}

TEST_F(PipelineTest, ABatchThatOutgrowsItsShareOfMemoryIsEndedEarly) {
  options_.most_delta_bytes = 3 * 500 * sizeof(UserClicks);
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(1));
  for (int i = 0; i < 30000; ++i) source_.append(i % 3, click_of(i));
  ASSERT_TRUE(sink_.wait_for(3)) << "no tick for an hour, yet batches are committed";
  std::this_thread::sleep_for(500ms);
  stop_ = true;
  job.join();
  EXPECT_EQ(counts().size(), 30000U);
  EXPECT_EQ(checkpoint_->last().totals().clicks, 30000);
}

TEST_F(PipelineTest, AFailedCommitStopsTheJobAtTheLastCommit) {
  source_.append(0, click_of(1));
  options_.available_now = true;
  ASSERT_TRUE(run().ok());
  source_.append(0, click_of(1));
  open();
  state_->fail_next_commit = absl::ResourceExhaustedError("no space left on device");
  EXPECT_TRUE(absl::IsResourceExhausted(run()));
  EXPECT_EQ(counts().at(1), 1);
  state_->fail_next_commit = absl::OkStatus();
  open();
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(counts().at(1), 2);
}

TEST_F(PipelineTest, AFatalEventOfTheSourceVoidsTheBatch) {
  options_.trigger_ms = kTickMs;
  std::thread job([&] { EXPECT_TRUE(absl::IsOutOfRange(run())); });
  ASSERT_TRUE(sink_.wait_for(1));
  source_.fail(absl::OutOfRangeError("gone"));
  job.join();
  EXPECT_EQ(sink_.shown().size(), 1U);
}

TEST_F(PipelineTest, MaxOffsetsPerTriggerBoundsEveryBatchAndLosesNone) {
  for (int i = 0; i < 1000; ++i) source_.append(i % 10 == 0 ? 1 : 0, click_of(4));
  options_.available_now = true;
  options_.max_offsets_per_trigger = 70;
  ASSERT_TRUE(run().ok());
  EXPECT_EQ(counts().at(4), 1000);
  const auto shown = sink_.shown();
  ASSERT_EQ(shown.size(), 15U) << "14 full batches of 70 and one of 20";
  std::int64_t before = 0;
  for (const ShownBatch& batch : shown) {
    EXPECT_LE(batch.rows[0].clicks - before, 70);
    before = batch.rows[0].clicks;
  }
}

TEST_F(PipelineTest, AnUpdateIsShownAgainAsItWasAndWithoutAScan) {
  options_.available_now = true;
  options_.output_mode = OutputMode::kUpdate;
  for (int user = 0; user < 9; ++user) source_.append(0, click_of(user));
  ASSERT_TRUE(run().ok());
  for (int user = 3; user < 9; ++user) source_.append(0, click_of(user));
  sink_.rows_wanted_ = 4;
  sink_.fail_ = absl::AbortedError("closed");
  open();
  EXPECT_TRUE(absl::IsAborted(run()));
  const ShownBatch lost = sink_.shown().back();
  EXPECT_EQ(lost.rows, (std::vector<UserClicks>{{3, 2}, {4, 2}, {5, 2}, {6, 2}}));
  EXPECT_TRUE(lost.more);
  state_->scans = 0;
  EXPECT_TRUE(absl::IsAborted((open(), run())));
  EXPECT_EQ(sink_.shown().back(), lost);
  EXPECT_EQ(state_->scans, 0);
  // A sink that wants more rows than the one before it.
  sink_.rows_wanted_ = 100;
  sink_.fail_ = absl::OkStatus();
  ASSERT_TRUE((open(), run()).ok());
  EXPECT_EQ(sink_.shown().back().rows.size(), 6U);
  EXPECT_FALSE(sink_.shown().back().more);
}

TEST_F(PipelineTest, RejectedRecordsAreCountedByCauseAndKeptWithTheirBatch) {
  source_.append(0, click_of(1));
  source_.append(0, "{broken");
  source_.append(1, "[1]");
  source_.append(1, R"({"action": "click", "user_id": "x"})");
  source_.append(2, "");
  options_.available_now = true;
  options_.keep_dead_letters = true;
  ASSERT_TRUE(run().ok());
  const PartitionCounters totals = checkpoint_->last().totals();
  EXPECT_EQ(totals.clicks, 2);
  EXPECT_EQ(totals.null_users[static_cast<std::size_t>(NullUserCause::kWrongType)], 1);
  EXPECT_EQ(sum_of(totals.null_users), 1);
  EXPECT_EQ(totals.rejected(), 3);
  EXPECT_EQ(state_->dead_letters.size(), 3U);
  const DeadLetter& broken = state_->dead_letters.at({0, 1});
  EXPECT_EQ(broken.cause, RejectionCause::kNotJson);
  EXPECT_EQ(broken.value, "{broken");
  EXPECT_EQ(broken.batch, 0);
  EXPECT_NE(broken.detail, "");
  EXPECT_EQ(checkpoint_->last().partitions.at(0).dead_letters.kept, 1);
}

TEST_F(PipelineTest, ANewPartitionIsReadFromItsBeginning) {
  options_.trigger_ms = kTickMs;
  std::thread job([&] { EXPECT_TRUE(run(StartingOffsets::kLatest).ok()); });
  ASSERT_TRUE(sink_.wait_for(1));
  source_.add_partition(3);
  source_.append(3, click_of(8));
  ASSERT_TRUE(sink_.wait_for(2));
  stop_ = true;
  job.join();
  EXPECT_EQ(checkpoint_->last().partitions.at(3).start, 0);
  EXPECT_EQ(checkpoint_->last().partitions.at(3).next, 1);
  EXPECT_EQ(counts().at(8), 1);
}

TEST_F(PipelineTest, ANewPartitionWhoseFirstRecordsAreGoneIsRefused) {
  options_.trigger_ms = kTickMs;
  std::thread job([&] { EXPECT_TRUE(absl::IsOutOfRange(run(StartingOffsets::kLatest))); });
  ASSERT_TRUE(sink_.wait_for(1));
  source_.add_partition(3, 17);
  job.join();
}

TEST_F(PipelineTest, AQuotaOfOneStarvesNoPartitionWhileAnotherIsStuck) {
  options_.trigger_ms = kTickMs;
  source_.block_partition(0);
  source_.append(0, click_of(1));
  source_.append(1, click_of(2));
  options_.max_offsets_per_trigger = 1;
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  ASSERT_TRUE(sink_.wait_for(2)) << "partition 1 gets its turn";
  stop_ = true;
  job.join();
  EXPECT_EQ(counts().at(2), 1);
}

TEST_F(PipelineTest, APartitionThatIsStuckKeepsItsPartOfTheQuotaFromTheOthersForOneBatchOnly) {
  options_.trigger_ms = kTickMs;
  options_.max_offsets_per_trigger = 100;
  source_.block_partition(0);
  for (int i = 0; i < 2000; ++i) source_.append(0, click_of(1));
  for (int i = 0; i < 400; ++i) source_.append(1, click_of(2));
  std::thread job([&] { EXPECT_TRUE(run().ok()); });
  EXPECT_TRUE(sink_.wait_for(5));
  stop_ = true;
  job.join();
  EXPECT_GT(counts().at(2), 200) << "16 in the first batch, 99 in each that follows";
}

TEST_F(PipelineTest, ACheckpointOfAnotherTopicIsRefused) {
  options_.available_now = true;
  ASSERT_TRUE(run().ok());
  open();
  const auto other =
      start_up(source_, *checkpoint_, *clock_, stop_,
               {.topic = "other", .checkpoint_path = "c", .starting_offsets = {}, .began_ms = 0});
  EXPECT_TRUE(absl::IsFailedPrecondition(other.status())) << other.status();
}

TEST_F(PipelineTest, OffsetsThatKafkaNoLongerHasAreRefused) {
  for (int i = 0; i < 10; ++i) source_.append(0, click_of(1));
  options_.available_now = true;
  ASSERT_TRUE(run().ok());
  open();
  FakeSource shorter(3);
  const auto start =
      start_up(shorter, *checkpoint_, *clock_, stop_,
               {.topic = "topic", .checkpoint_path = "c", .starting_offsets = {}, .began_ms = 0});
  EXPECT_TRUE(absl::IsOutOfRange(start.status())) << start.status();
}

TEST_F(PipelineTest, AWorkerThatGetsNoMemoryFailsTheJobInOrder) {
  source_.append(0, click_of(1));  // so that the first batch waits for it
  source_.throw_from_poll([] { throw std::bad_alloc(); });
  EXPECT_TRUE(absl::IsResourceExhausted(run()));
  EXPECT_EQ(state_->commits, 1) << "the creation, and no batch";
}

}  // namespace
}  // namespace clicktally
