#include "pipeline/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/crash_points.h"
#include "base/last_resort.h"
#include "base/log.h"
#include "decode/click_decoder.h"
#include "pipeline/offset_quota.h"

namespace clicktally {
namespace {

// Long enough to cost nothing, short enough that a batch is ended soon after it is due.
constexpr std::size_t kRecordsPerChunk = 2048;
constexpr auto kLook = std::chrono::milliseconds(20);
constexpr auto kIdle = std::chrono::milliseconds(100);
// A trigger of 0 means "as soon as there is something"; this is how often we look, as Spark does.
constexpr std::int64_t kShortestTriggerMs = 10;
// A stop must be over within seconds; what is not read back by then is read by the next run.
constexpr std::int64_t kReadBackAtStopMs = 1000;

}  // namespace

Pipeline::Pipeline(Source& source, Checkpoint& checkpoint, Sink& sink, const Clock& clock,
                   const std::atomic<bool>& stop, const PipelineOptions& options)
    : source_(source),
      checkpoint_(checkpoint),
      sink_(sink),
      clock_(clock),
      stop_(stop),
      options_(options),
      report_(clock),
      accumulators_(static_cast<std::size_t>(options.workers),
                    Accumulator(options.keep_dead_letters)) {}

absl::Status Pipeline::run(const StartUp& start) {
  new_partitions_ = start.new_partitions;
  for (const auto& [id, range] : start.topic.partitions) targets_[id] = range.latest;
  if (checkpoint_.last().batch != kNoBatch && !checkpoint_.last_was_shown()) {
    reached(CrashPoint::kRepeatDue);
    if (absl::Status status = show({}, /*again=*/true); !status.ok()) return status;
  }
  if (absl::Status status = source_.start(start.next); !status.ok()) return status;
  share_limits();

  // Whatever is thrown here, by a thread that does not start or by the ruler, ends the workers.
  const absl::Status status = run_with_workers();
  source_.stop();
  reached(CrashPoint::kWorkersEnded);
  return status.ok() ? last_snapshot() : status;
}

absl::Status Pipeline::run_with_workers() {
  std::vector<std::thread> workers;
  absl::Status status;
  const absl::Status not_thrown = status_of_body([&] {
    for (std::size_t i = 0; i < accumulators_.size(); ++i) {
      workers.emplace_back([this, i] {
        const absl::Status whole = status_of_body([&] { work(i); });
        if (!whole.ok()) fail(whole);
      });
    }
    status = rule();
  });
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }
  for (std::thread& worker : workers) worker.join();
  return not_thrown.ok() ? status : not_thrown;
}

// --- Workers -------------------------------------------------------------------------------------

void Pipeline::work(std::size_t worker) {
  ClickDecoder decoder;
  const Explain explain = [&decoder](const Record& record) { return decoder.explain(record); };
  RecordChunk chunk;
  std::vector<Decoded> decoded;
  Accumulator& accumulator = accumulators_[worker];
  const std::size_t share = options_.most_delta_bytes / accumulators_.size();
  while (!ended_) {
    bool found = false;
    bool room = true;
    {
      const Gate::Passage passage(gate_);
      auto polled = source_.poll(kRecordsPerChunk, &chunk);
      if (!polled.ok()) return fail(polled.status());
      found = *polled;
      if (found) {
        decoded.clear();
        for (const Record& record : chunk.records) decoded.push_back(decoder.decode(record));
        accumulator.fold(chunk, decoded, explain);
        source_.release(&chunk);
        room = !accumulator.fills(share);
      }
    }
    if (!room) wait_for_room();
    if (!found) source_.wait(kIdle);
  }
}

void Pipeline::fail(const absl::Status& status) {
  const std::lock_guard lock(mutex_);
  if (failed_.ok()) failed_ = status;
  changed_.notify_all();
}

absl::Status Pipeline::failure() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

// Asks for the batch to be ended and pauses until it was.
void Pipeline::wait_for_room() {
  std::unique_lock lock(mutex_);
  full_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return !full_ || ended_; });
}

// --- The ruler -----------------------------------------------------------------------------------

absl::Status Pipeline::rule() {
  const std::int64_t every_ms = std::max(options_.trigger_ms, kShortestTriggerMs);
  const std::int64_t began_ms = clock_.monotonic_ms();
  snapshot_ms_ = began_ms;
  while (true) {
    const std::int64_t ticks = (clock_.monotonic_ms() - began_ms) / every_ms;
    const absl::Status waited = wait_for_trigger(began_ms + (ticks + 1) * every_ms);
    if (!waited.ok()) return waited;
    const bool stopping = stop_;
    const std::int64_t trigger_ms = clock_.monotonic_ms();
    auto batch = close_batch();
    if (!batch.ok()) return batch.status();
    const bool first = checkpoint_.last().batch == kNoBatch && !stopping;
    if (batch->deltas.moved() || first) {
      if (absl::Status status = commit_and_show(*std::move(batch)); !status.ok()) return status;
      duration_ms_ = clock_.monotonic_ms() - trigger_ms;
    }
    if (stopping) return absl::OkStatus();
    if (options_.available_now && targets_committed()) return absl::OkStatus();
  }
}

// Returns at the tick, or before it when the batch is due early, at a stop, or at a failure.
absl::Status Pipeline::wait_for_trigger(std::int64_t tick_ms) {
  const bool first = !caught_up_once_;
  while (!stop_) {
    if (absl::Status s = keep_snapshots(); !s.ok()) return s;
    const std::int64_t left_ms = tick_ms - clock_.monotonic_ms();
    if (left_ms <= 0 || due(first)) break;
    std::unique_lock lock(mutex_);
    if (full_ || !failed_.ok()) break;
    const auto look = std::min(kLook, std::chrono::milliseconds(left_ms));
    changed_.wait_for(lock, look, [this] { return full_ || !failed_.ok(); });
  }
  caught_up_once_ = true;
  return absl::OkStatus();
}

// Between two commits. One that cannot be taken yet is tried again at the next look.
absl::Status Pipeline::keep_snapshots() {
  if (absl::Status s = checkpoint_.failure(); !s.ok()) return s;
  const std::int64_t now_ms = clock_.monotonic_ms();
  const bool due = options_.snapshot_ms > 0 && now_ms - snapshot_ms_ >= options_.snapshot_ms;
  const bool asked = options_.snapshot_wanted != nullptr && *options_.snapshot_wanted;
  if (!due && !asked) return absl::OkStatus();
  auto taken = checkpoint_.snapshot();
  if (!taken.ok() || !*taken) return taken.status();
  snapshot_ms_ = now_ms;
  if (asked) {
    *options_.snapshot_wanted = false;
    const BatchId batch = checkpoint_.last().batch;
    log_info("a snapshot was asked for: {}",
             batch == kNoBatch ? "there is no batch yet" : fmt::format("taken of batch {}", batch));
  }
  return absl::OkStatus();
}

absl::Status Pipeline::last_snapshot() {
  const std::int64_t until_ms = clock_.monotonic_ms() + kReadBackAtStopMs;
  return checkpoint_.final_snapshot([&] { return !stop_ || clock_.monotonic_ms() < until_ms; });
}

// The first batch after a start ends as soon as what was there at the start is read, so that nobody
// waits for a tick to see it. With --available-now that is so for all of them.
bool Pipeline::due(bool first) {
  if (options_.max_offsets_per_trigger) {
    share_limits();
    if (options_.available_now && quota_used()) return true;
  }
  return (first || options_.available_now) && targets_read();
}

bool Pipeline::targets_read() {
  const auto status = source_.status();
  return std::all_of(targets_.begin(), targets_.end(), [&](const auto& target) {
    const auto found = status.find(target.first);
    return found != status.end() && found->second.next >= target.second;
  });
}

// Not the same: workers may have read on to the targets after the last batch was closed.
bool Pipeline::targets_committed() const {
  return std::all_of(targets_.begin(), targets_.end(), [&](const auto& target) {
    return committed_next(target.first) >= target.second;
  });
}

Offset Pipeline::committed_next(PartitionId id) const {
  const auto& partitions = checkpoint_.last().partitions;
  const auto committed = partitions.find(id);
  return committed != partitions.end() ? committed->second.next : new_partitions_.at(id);
}

bool Pipeline::quota_used() {
  std::int64_t used = 0;
  for (const auto& [id, partition] : source_.status()) used += partition.next - committed_next(id);
  return used >= *options_.max_offsets_per_trigger;
}

// Holds the source back: at the ends listed at this start (available_now), and at what is left of
// the batch's quota, shared anew as the backlogs change.
void Pipeline::share_limits() {
  if (!options_.available_now && !options_.max_offsets_per_trigger) return;
  const Gate::Closed closed(gate_);
  set_limits();
}

// Up to where there are records, as far as is known. Before the first fetch that is what was listed
// at the start.
Offset Pipeline::known_end(PartitionId id, const PartitionStatus& partition) const {
  const auto target = targets_.find(id);
  const Offset listed = target != targets_.end() ? target->second : 0;
  return std::max({listed, partition.latest_known, partition.next});
}

// Inside the closed gate, at the end of a batch. A partition that had records and gave none, say
// because of a transaction that hangs, would keep its part of the quota from the others for ever.
void Pipeline::note_stuck() {
  stuck_.clear();
  if (!options_.max_offsets_per_trigger) return;
  for (const auto& [id, partition] : source_.status()) {
    const bool gave_none = partition.next == committed_next(id);
    if (gave_none && known_end(id, partition) > partition.next) stuck_.insert(id);
  }
}

// Inside the closed gate.
void Pipeline::set_limits() {
  if (!options_.available_now && !options_.max_offsets_per_trigger) return;
  std::map<PartitionId, Offset> limits;
  const auto status = source_.status();
  if (options_.available_now) {
    limits = targets_;
    // A partition that the topic got after the start lies wholly beyond what was there at the
    // start.
    for (const auto& [id, partition] : status) limits.emplace(id, partition.next);
  }
  if (options_.max_offsets_per_trigger) {
    std::map<PartitionId, BatchProgress> partitions;
    for (const auto& [id, partition] : status) {
      const Offset end = limits.contains(id) ? limits[id] : known_end(id, partition);
      const std::int64_t read = partition.next - committed_next(id);
      const std::int64_t backlog = std::max<std::int64_t>(0, end - partition.next);
      const bool still_stuck = read == 0 && stuck_.contains(id);
      partitions[id] = {.read = read,
                        .backlog = still_stuck ? std::min<std::int64_t>(backlog, 1) : backlog};
    }
    const auto shares = share_quota(*options_.max_offsets_per_trigger, partitions, triggers_);
    for (const auto& [id, share] : shares) {
      const Offset limit = committed_next(id) + share;
      const auto target = limits.find(id);
      limits[id] = target == limits.end() ? limit : std::min(limit, target->second);
    }
  }
  source_.set_limits(limits);
}

absl::StatusOr<Pipeline::ClosedBatch> Pipeline::close_batch() {
  std::vector<Deltas> parts;
  ClosedBatch batch;
  {
    const Gate::Closed closed(gate_);
    // What a worker saw before the gate closed voids the batch, whoever else read on.
    if (absl::Status status = failure(); !status.ok()) return status;
    auto added = source_.take_new_partitions();
    if (!added.ok()) return added.status();
    for (const auto& [id, earliest] : *added) {
      const absl::Status whole = check_new_partition(checkpoint_.last().job.topic, id, earliest);
      if (!whole.ok()) return whole;
    }
    new_partitions_.merge(*added);
    ++triggers_;
    note_stuck();
    set_limits();
    for (Accumulator& accumulator : accumulators_) parts.push_back(accumulator.take());
    batch.time_ms = clock_.wall_ms();
    const std::lock_guard lock(mutex_);
    full_ = false;
    changed_.notify_all();
  }
  batch.deltas = merge_deltas(parts);
  return batch;
}

absl::Status Pipeline::commit_and_show(ClosedBatch batch) {
  BatchDeltas& deltas = batch.deltas;
  if (absl::Status s = checkpoint_.failure(); !s.ok()) return s;
  CommitRecord next =
      next_record(checkpoint_.last(), deltas, new_partitions_, batch.time_ms, rows_to_ask_for());
  next.previous_duration_ms = duration_ms_;
  log_debug("batch {} commit begins: {} users", next.batch, deltas.changed.size());
  reached(CrashPoint::kCommitBegun);
  const absl::Status committed =
      checkpoint_.commit(next, deltas.changed, std::move(deltas.dead_letters));
  if (!committed.ok()) return committed;
  log_debug("batch {} committed", next.batch);
  reached(CrashPoint::kCommitted);
  report_.say(next.batch, deltas);
  new_partitions_.clear();
  share_limits();
  if (absl::Status s = checkpoint_.failure(); !s.ok()) return s;
  if (absl::Status s = show(deltas.changed, /*again=*/false); !s.ok()) return s;
  std::map<PartitionId, Offset> committed_next;
  for (const auto& [id, partition] : next.partitions) committed_next[id] = partition.next;
  source_.report_committed(committed_next);
  reached(CrashPoint::kOffsetsReported);
  return absl::OkStatus();
}

// One more than the sink wants tells whether there are more.
std::size_t Pipeline::rows_to_ask_for() const {
  return static_cast<std::size_t>(sink_.rows_wanted()) + 1;
}

absl::Status Pipeline::show(std::span<const UserClicks> changed, bool again) {
  std::vector<UserKey> users;
  for (const UserClicks& row : changed.first(std::min(rows_to_ask_for(), changed.size()))) {
    users.push_back(row.user);
  }
  const CommitRecord& record = checkpoint_.last();
  if (again) users = record.changed.first;
  auto rows = rows_of(users);
  if (!rows.ok()) return rows.status();
  const bool more = rows->size() == rows_to_ask_for();
  if (more) rows->pop_back();
  if (absl::Status s = sink_.show({&record, *rows, more}); !s.ok()) return s;
  log_debug("batch {} emitted", record.batch);
  reached(CrashPoint::kEmitted);
  if (absl::Status s = checkpoint_.mark_shown(); !s.ok()) return s;
  log_debug("batch {} shown", record.batch);
  reached(CrashPoint::kNotedInShown);
  return absl::OkStatus();
}

// Complete mode: the first users of the state. Update mode: of `changed`, the first users that the
// last batch changed. A batch that is shown again names too few of them if it was committed for a
// sink that wanted fewer rows; then its users are found by the batch that each count carries.
absl::StatusOr<std::vector<UserClicks>> Pipeline::rows_of(std::span<const UserKey> changed) const {
  auto view = checkpoint_.view();
  if (!view.ok()) return view.status();
  std::vector<UserClicks> rows;
  const ChangedUsers& last = checkpoint_.last().changed;
  const bool complete = options_.output_mode == OutputMode::kComplete;
  const auto wanted = std::min(static_cast<std::int64_t>(rows_to_ask_for()), last.in_all);
  if (complete || std::ssize(changed) < wanted) {
    const BatchId batch = checkpoint_.last().batch;
    const absl::Status scanned = (*view)->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
      if (complete || count.last_batch == batch) rows.push_back({count.user, count.clicks});
      return rows.size() < rows_to_ask_for();
    });
    if (!scanned.ok()) return scanned;
    return rows;
  }
  changed = changed.first(static_cast<std::size_t>(wanted));
  const absl::Status got = (*view)->get_sorted(changed, [&](const UserCount& count) {
    rows.push_back({count.user, count.clicks});
  });
  if (!got.ok()) return got;
  if (rows.size() == changed.size()) return rows;
  return absl::DataLossError("a user of the batch just committed has no count");
}

}  // namespace clicktally
