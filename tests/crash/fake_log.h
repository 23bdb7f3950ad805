// A topic whose every record is a function of (seed, partition, offset), so that an oracle outside
// can tell what a job must have counted. The function stands once more, on its own, in oracle.py;
// the two change together.
//
//     x    = mix(seed, partition, offset)
//     kind = x mod 20:  0 a gap, 1 no JSON, 2 an object without action, 3 and 4 another event,
//            5 a click without user, else a click
//     user = (x >> 8) mod 400 - 100
//
// As a Source it hands out records up to what was released. Each trigger of the pipeline (it asks
// for new partitions once in each, inside the closed gate) releases the records of the next batch:
// none, a few or many, as the dice fall; the clock waits until they are read, so a run of a
// thousand triggers takes no longer than its work. After the last trigger `stop` is raised.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crash/disk_image.h"
#include "source/source.h"

namespace clicktally {

std::uint64_t mix(std::uint64_t seed, PartitionId partition, Offset offset);
// The bytes of a record; nothing for a gap.
std::string log_value(std::uint64_t seed, PartitionId partition, Offset offset);

struct FakeLogOptions {
  std::uint64_t seed = 0;  // of the records
  std::uint64_t dice = 0;  // of how many come when
  int partitions = 3;
  std::int64_t triggers = 100;
  // Of 100 triggers, so many find nothing and so many find a large batch.
  int empty_percent = 20;
  int large_percent = 10;
  std::vector<Offset> earliest;  // by partition; none are gone where it ends
  int small_records = 15;   // at most, in a small batch
  int large_records = 120;  // at most, in a large one
  std::function<void(const std::map<PartitionId, Offset>&)> committed;
};

class FakeLog final : public Source {
 public:
  FakeLog(FakeLogOptions options, std::atomic<bool>& stop);

  std::int64_t triggers() const { return triggers_; }
  // Waits until all that was released is read and folded.
  void drain();

  absl::StatusOr<TopicDescription> describe(std::chrono::milliseconds timeout) override;
  absl::Status start(const std::map<PartitionId, Offset>& next) override;
  absl::StatusOr<bool> poll(std::size_t most, RecordChunk* chunk) override;
  void release(RecordChunk* chunk) override;
  void wait(std::chrono::milliseconds longest) override;
  void set_limits(const std::map<PartitionId, Offset>& limits) override;
  std::map<PartitionId, PartitionStatus> status() override;
  absl::StatusOr<std::map<PartitionId, Offset>> take_new_partitions() override;
  void report_committed(const std::map<PartitionId, Offset>& next) override;
  void stop() override {}

 private:
  bool drained() const;
  bool has_some() const;
  void release_batch();

  const FakeLogOptions options_;
  std::atomic<bool>& stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Dice dice_;
  std::atomic<std::int64_t> triggers_{0};
  std::map<PartitionId, Offset> next_, released_;
  std::map<PartitionId, std::vector<std::string>> held_;  // of the chunks that are out
};

// Its monotonic time goes on by one trigger whenever the ruler asks, so nobody ever waits for a
// tick; its wall clock goes with it.
class FakeClock final : public Clock {
 public:
  FakeClock(FakeLog& log, std::int64_t trigger_ms, std::int64_t wall_ms)
      : log_(log), trigger_ms_(trigger_ms), wall_ms_(wall_ms) {}
  std::int64_t monotonic_ms() const override {
    log_.drain();
    return now_ms_ += trigger_ms_;
  }
  std::int64_t wall_ms() const override { return wall_ms_ + now_ms_; }

 private:
  FakeLog& log_;
  const std::int64_t trigger_ms_;
  const std::int64_t wall_ms_;
  mutable std::atomic<std::int64_t> now_ms_{0};
};

}  // namespace clicktally
