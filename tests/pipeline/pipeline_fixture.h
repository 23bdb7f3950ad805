// What the tests of the pipeline stand on: a log, a state and a sink in memory, all of it
// instrumented by the sanitizers.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/pipeline.h"
#include "tests/support/fake_count_store.h"
#include "tests/support/fake_source.h"
#include "tests/support/temp_dir.h"

namespace clicktally {

using namespace std::chrono_literals;

struct ShownBatch {
  BatchId batch;
  std::vector<UserClicks> rows;
  bool more;
  friend bool operator==(const ShownBatch&, const ShownBatch&) = default;
};

class FakeSink final : public Sink {
 public:
  explicit FakeSink(std::shared_ptr<FakeState> state) : state_(std::move(state)) {}
  std::int64_t rows_wanted() const override { return rows_wanted_; }
  absl::Status begin(std::string_view) override { return absl::OkStatus(); }
  absl::Status show(const BatchRows& batch) override {
    std::unique_lock lock(mutex_);
    {
      // I2: what is shown was committed, and I10: nothing later was.
      const std::lock_guard state_lock(state_->mutex);
      EXPECT_EQ(state_->commits, commits_when_shown(batch.record->batch));
    }
    shown_.push_back({batch.record->batch, {batch.rows.begin(), batch.rows.end()}, batch.more});
    changed_.notify_all();
    changed_.wait(lock, [this] { return !blocked_; });
    if (on_show_) on_show_();
    return fail_;
  }
  std::vector<ShownBatch> shown() const {
    const std::lock_guard lock(mutex_);
    return shown_;
  }
  void block(bool blocked) {
    const std::lock_guard lock(mutex_);
    blocked_ = blocked;
    changed_.notify_all();
  }
  bool wait_for(std::size_t batches) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 120s, [&] { return shown_.size() >= batches; });
  }
  std::int64_t rows_wanted_ = 1000;
  absl::Status fail_;
  std::function<void()> on_show_;

 private:
  // One for the creation, one for each batch.
  static int commits_when_shown(BatchId batch) { return static_cast<int>(batch) + 2; }
  std::shared_ptr<FakeState> state_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ShownBatch> shown_;
  bool blocked_ = false;
};

constexpr std::int64_t kTickMs = 20;  // of the tests that live by their ticks

class PipelineTest : public ::testing::Test {
 protected:
  PipelineTest() {
    options_.trigger_ms = 3'600'000;  // no tick comes before a test is ready, on any machine
    options_.workers = 3;
    open();
  }
  void open() {
    checkpoint_.reset();
    auto opened = Checkpoint::open(*disk_, dir_.file("checkpoint"),
                                   {.must_exist = false, .open_state = fake_opener(state_)});
    ASSERT_TRUE(opened.ok()) << opened.status();
    checkpoint_ = std::move(*opened);
  }
  absl::Status run(StartingOffsets from = StartingOffsets::kEarliest) {
    stop_ = false;
    auto start = start_up(
        source_, *checkpoint_, *clock_, stop_,
        {.topic = "topic", .checkpoint_path = "c", .starting_offsets = from, .began_ms = 0});
    if (!start.ok()) return start.status();
    Pipeline pipeline(source_, *checkpoint_, sink_, *clock_, stop_, options_);
    return pipeline.run(*start);
  }
  std::map<UserKey, std::int64_t> counts() {
    std::map<UserKey, std::int64_t> out;
    for (const auto& [user, count] : state_->counts) out[user] = count.clicks;
    return out;
  }

  TempDir dir_;
  std::unique_ptr<Disk> disk_ = make_posix_disk();
  std::shared_ptr<FakeState> state_ = std::make_shared<FakeState>();
  FakeSource source_{3};
  FakeSink sink_{state_};
  SystemClock system_clock_;
  const Clock* clock_ = &system_clock_;
  std::atomic<bool> stop_{false};
  PipelineOptions options_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

// Time as a test moves it.
class MovedClock final : public Clock {
 public:
  std::int64_t monotonic_ms() const override { return monotonic_ms_; }
  std::int64_t wall_ms() const override { return wall_ms_; }
  std::atomic<std::int64_t> monotonic_ms_{1000};
  std::atomic<std::int64_t> wall_ms_{1'700'000'000'000};
};

}  // namespace clicktally
