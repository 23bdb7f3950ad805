// The way of the data, written once. Read run() in pipeline.cc first.
//
//     source -> decode -> aggregate -> [trigger] -> checkpoint (one atomic commit) -> sink
//
// Invariants kept here
//   I1   a batch holds the deltas of exactly the offsets that its record says.
//   I2   a batch is shown after its commit, never before.
//   I5   what reading back finds wrong ends the run before another batch is committed or shown.
//   I6   batch ids go up by one; a trigger in which no offset moved makes no batch.
//   I9   memory does not grow with time or a blocked sink: a batch is ended at most_delta_bytes.
//   I10  batch N+1 is committed after batch N was handed to the sink.
//
// Threads: run() rules on the calling thread: it ends batches, commits and shows them. Workers, one
// for each core at most, read and fold all the time, also while a batch is committed or shown; when
// the next batch has grown to its share of memory they pause.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "aggregate/accumulator.h"
#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "pipeline/batch_report.h"
#include "pipeline/gate.h"
#include "pipeline/start_up.h"
#include "sink/sink.h"
#include "source/source.h"

namespace clicktally {

enum class OutputMode { kComplete, kUpdate };

struct PipelineOptions {
  std::int64_t trigger_ms = 5000;
  bool available_now = false;
  std::optional<std::int64_t> max_offsets_per_trigger;
  OutputMode output_mode = OutputMode::kComplete;
  int workers = 1;
  // Memory that the batch being filled may take before it is ended early. The batch that is being
  // committed meanwhile takes up to twice as much.
  std::size_t most_delta_bytes = 64 << 20;
  // Rejected records are kept in the checkpoint.
  bool keep_dead_letters = false;
  // Between snapshots of the state; 0: only at a clean stop and when asked for.
  std::int64_t snapshot_ms = 300'000;
  // Raised from outside to ask for a snapshot now, lowered when it is taken. Borrowed; may be null.
  std::atomic<bool>* snapshot_wanted = nullptr;
};

class Pipeline {
 public:
  // Borrows everything.
  Pipeline(Source& source, Checkpoint& checkpoint, Sink& sink, const Clock& clock,
           const std::atomic<bool>& stop, const PipelineOptions& options);

  // From the start-up's offsets until `stop` is set, everything available at the start was counted
  // (available_now), or an error. Commits what was consumed before it returns OK.
  absl::Status run(const StartUp& start);

 private:
  struct ClosedBatch {
    BatchDeltas deltas;
    std::int64_t time_ms = 0;
  };

  absl::Status run_with_workers();

  // Workers.
  void work(std::size_t worker);
  void fail(const absl::Status& status);
  absl::Status failure() const;
  void wait_for_room();

  // The ruler.
  absl::Status rule();
  absl::Status wait_for_trigger(std::int64_t tick_ms);
  absl::Status keep_snapshots();
  absl::Status last_snapshot();
  bool due(bool first);
  bool targets_read();
  bool targets_committed() const;
  Offset committed_next(PartitionId id) const;
  bool quota_used();
  void share_limits();
  Offset known_end(PartitionId id, const PartitionStatus& partition) const;
  void note_stuck();
  void set_limits();
  absl::StatusOr<ClosedBatch> close_batch();
  absl::Status commit_and_show(ClosedBatch batch);
  absl::Status show(std::span<const UserClicks> changed, bool again);
  absl::StatusOr<std::vector<UserClicks>> rows_of(std::span<const UserKey> changed) const;
  std::size_t rows_to_ask_for() const;

  Source& source_;
  Checkpoint& checkpoint_;
  Sink& sink_;
  const Clock& clock_;
  const std::atomic<bool>& stop_;
  const PipelineOptions options_;
  BatchReport report_;

  Gate gate_;
  std::vector<Accumulator> accumulators_;  // one a worker; touched inside the gate
  std::atomic<bool> ended_{false};         // workers leave
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // failed_ or full_ or ended_
  absl::Status failed_;              // the first; guarded by mutex_
  bool full_ = false;                // a share of memory is used up; guarded by mutex_

  std::map<PartitionId, Offset> targets_;         // the ends listed at this start
  std::set<PartitionId> stuck_;                   // those that gave the last batch none of theirs
  std::map<PartitionId, Offset> new_partitions_;  // being read, not in a commit yet
  bool caught_up_once_ = false;
  std::optional<std::int64_t> duration_ms_;  // of the last batch
  std::int64_t snapshot_ms_ = 0;             // when the last one was taken, on the monotonic clock
  std::int64_t triggers_ = 0;  // whose turn it is when a quota is too small for all partitions
};

}  // namespace clicktally
