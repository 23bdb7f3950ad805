#include "pipeline/start_up.h"

#include <fmt/format.h>

#include "absl/time/time.h"
#include "base/log.h"
#include "base/text.h"

namespace clicktally {
namespace {

// Each attempt begins anew, so a slow network needs a longer one; a stop must not wait too long.
constexpr auto kAskFor = std::chrono::milliseconds(500);
constexpr auto kAskForAtMost = std::chrono::milliseconds(3000);
constexpr std::int64_t kStatusEveryMs = 5000;
constexpr std::string_view kFellBack = "FELL BACK";

absl::StatusOr<TopicDescription> wait_for_kafka(Source& source, const Clock& clock,
                                                const std::atomic<bool>& stop) {
  const std::int64_t asked_ms = clock.monotonic_ms();
  std::int64_t next_status_ms = asked_ms + kStatusEveryMs;
  auto ask_for = kAskFor;
  while (!stop) {
    auto topic = source.describe(ask_for);
    ask_for = std::min(2 * ask_for, kAskForAtMost);
    if (topic.ok() || !absl::IsDeadlineExceeded(topic.status())) return topic;
    if (const std::int64_t now_ms = clock.monotonic_ms(); now_ms >= next_status_ms) {
      log_warning("waiting for Kafka for {} s: {}", (now_ms - asked_ms) / 1000,
                  message_of(topic.status()));
      next_status_ms = now_ms + kStatusEveryMs;
    }
  }
  return absl::CancelledError("stopped before Kafka answered");
}

CommitRecord pinned_record(const TopicDescription& topic, const StartUpOptions& options,
                           std::int64_t time_ms) {
  CommitRecord record;
  record.time_ms = time_ms;
  record.job.cluster_id = topic.cluster_id;
  record.job.topic = options.topic;
  for (const auto& [id, range] : topic.partitions) {
    const Offset start =
        options.starting_offsets == StartingOffsets::kEarliest ? range.earliest : range.latest;
    record.partitions[id] =
        PartitionRecord{.start = start, .next = start, .last = {}, .counters = {}};
  }
  return record;
}

absl::Status check_job(const JobFingerprint& counted, const TopicDescription& topic,
                       const StartUpOptions& options) {
  const JobFingerprint wanted{.cluster_id = topic.cluster_id, .topic = options.topic};
  std::string differences;
  const auto compare = [&](std::string_view what, const std::string& is, const std::string& was) {
    if (is == was) return;
    differences += fmt::format("{}{} is '{}', the checkpoint's is '{}'",
                               differences.empty() ? "" : "; ", what, is, was);
  };
  // An import may not have known it; then this start fills it in.
  if (!counted.cluster_id.empty()) compare("cluster id", wanted.cluster_id, counted.cluster_id);
  compare("topic", wanted.topic, counted.topic);
  compare("filter", wanted.filter, counted.filter);
  compare("key", wanted.key, counted.key);
  if (differences.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      fmt::format("{}: the checkpoint counts another job: {}; give this job its own --checkpoint, "
                  "or point it at "
                  "the cluster and topic of the checkpoint",
                  options.checkpoint_path, differences));
}

absl::Status check_offsets(const CommitRecord& record, const TopicDescription& topic,
                           const StartUpOptions& options) {
  for (const auto& [id, partition] : record.partitions) {
    const auto found = topic.partitions.find(id);
    if (found == topic.partitions.end()) {
      return absl::OutOfRangeError(
          fmt::format("{} partition {}: counted up to offset {}, but the topic has no such "
                      "partition any more; it "
                      "was made anew? start a new checkpoint",
                      options.topic, id, partition.next));
    }
    const OffsetRange& range = found->second;
    if (partition.next < range.earliest) {
      return absl::OutOfRangeError(fmt::format(
          "{} partition {}: offset {} is wanted, {} is the earliest that Kafka still has: {} "
          "records "
          "are gone uncounted; restore them, or start a new checkpoint",
          options.topic, id, partition.next, range.earliest, range.earliest - partition.next));
    }
    if (partition.next > range.latest) {
      return absl::OutOfRangeError(fmt::format(
          "{} partition {}: counted up to offset {}, but Kafka's log ends at {}: the topic was "
          "made anew, or lost {} records that are counted: start a new checkpoint; or, if "
          "uncommitted "
          "records were read before, a transaction is open: wait for its end",
          options.topic, id, partition.next, range.latest, partition.next - range.latest));
    }
  }
  return absl::OkStatus();
}

// One line says all that is gone: what Kafka lacks of a snapshot it lacks of every older one too.
absl::Status check_fallback(const FallbackPlan& plan, const TopicDescription& topic,
                            const StartUpOptions& options) {
  if (absl::Status s = check_job(plan.record.job, topic, options); !s.ok()) return s;
  std::string gone;
  for (const auto& [id, partition] : plan.record.partitions) {
    const auto found = topic.partitions.find(id);
    if (found == topic.partitions.end() || found->second.earliest <= partition.next) continue;
    gone += fmt::format("{}partition {} lacks {} records, from offset {} to {}",
                        gone.empty() ? "" : ", ", id, found->second.earliest - partition.next,
                        partition.next, found->second.earliest - 1);
  }
  for (const auto& [id, range] : topic.partitions) {
    if (plan.record.partitions.contains(id) || range.earliest == 0) continue;
    gone += fmt::format("{}partition {}, which came after the snapshot, lacks its first {} records",
                        gone.empty() ? "" : ", ", id, range.earliest);
  }
  if (!gone.empty()) {
    return absl::OutOfRangeError(
        fmt::format("{}; snapshot {} is whole but cannot take over, for Kafka does not have what "
                    "came after it any more: {}; restore the checkpoint from a backup",
                    plan.damage, plan.record.batch, gone));
  }
  return check_offsets(plan.record, topic, options);
}

absl::Status fall_back(Checkpoint& checkpoint, const TopicDescription& topic, const Clock& clock,
                       const StartUpOptions& options) {
  const FallbackPlan& plan = *checkpoint.fallback();
  if (absl::Status s = check_fallback(plan, topic, options); !s.ok()) return s;
  log_warning("FALLING BACK to snapshot {}, epoch {}: {}", plan.record.batch, plan.next_epoch,
              plan.damage);
  if (absl::Status s = checkpoint.fall_back(clock.wall_ms()); !s.ok()) return s;
  log_warning("{}: the damaged state is kept in live.damaged; look at it, and at the disk",
              options.checkpoint_path);
  return absl::OkStatus();
}

// What an operator did to the state, until the first batch after it.
std::string changed_text(const CommitRecord& record) {
  if (record.adjustments.empty()) return "";
  const Adjustment& last = record.adjustments.back();
  if (last.automatic || !last.after) return "";
  if (last.after->epoch != record.epoch || last.after->batch != record.batch) return "";
  const std::string when = absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixMillis(last.time_ms),
                                            absl::LocalTimeZone());
  return fmt::format(", CHANGED by an operator at {}: {}", when, escape_controls(last.command));
}

// The line that ends start-up: which batch, from where, how old, what is redone, how long it took.
void say_ready(const Checkpoint& checkpoint, const StartUp& ready, std::string_view began_as,
               const Clock& clock, const StartUpOptions& options) {
  const CommitRecord& record = checkpoint.last();
  const double seconds = static_cast<double>(clock.monotonic_ms() - options.began_ms) / 1000;
  if (record.batch == kNoBatch) {
    log_info("{} checkpoint {}: no batch yet{}, offsets {}, ready in {:.3f} s", began_as,
             options.checkpoint_path, changed_text(record), offsets_json(record), seconds);
    return;
  }
  std::int64_t behind = 0;
  for (const auto& [id, next] : ready.next) behind += ready.topic.partitions.at(id).latest - next;
  const double age = static_cast<double>(clock.wall_ms() - record.time_ms) / 1000;
  const std::string from =
      began_as == kFellBack ? fmt::format("snapshot {} under epoch {}", record.batch, record.epoch)
                            : "the live state";
  log_info(
      "{} checkpoint {}: batch {}{}{}, offsets {}, from {}, committed {:.1f} s ago, {} offsets to "
      "count since, ready in {:.3f} s",
      began_as, options.checkpoint_path, record.batch,
      checkpoint.last_was_shown() ? "" : " (shown again: nothing proves it was shown)",
      changed_text(record), offsets_json(record), from, age, behind, seconds);
}

absl::StatusOr<StartUp> starting_points(const CommitRecord& record, TopicDescription topic,
                                        const StartUpOptions& options) {
  StartUp out{.topic = std::move(topic), .next = {}, .new_partitions = {}};
  for (const auto& [id, range] : out.topic.partitions) {
    const auto known = record.partitions.find(id);
    if (known == record.partitions.end()) {
      if (absl::Status s = check_new_partition(options.topic, id, range.earliest); !s.ok()) {
        return s;
      }
      out.new_partitions[id] = range.earliest;
      out.next[id] = range.earliest;
    } else {
      out.next[id] = known->second.next;
    }
  }
  return out;
}

// Creates the checkpoint; what Kafka has is asked again, because "the end at this start" of
// --available-now must not lie before the offsets that were pinned.
absl::StatusOr<TopicDescription> pin(Source& source, Checkpoint& checkpoint, const Clock& clock,
                                     const std::atomic<bool>& stop, const StartUpOptions& options,
                                     const TopicDescription& topic) {
  if (absl::Status s = checkpoint.create(pinned_record(topic, options, clock.wall_ms())); !s.ok()) {
    return s;
  }
  return wait_for_kafka(source, clock, stop);
}

}  // namespace

absl::Status check_new_partition(const std::string& topic, PartitionId id, Offset earliest) {
  if (earliest == 0) return absl::OkStatus();
  return absl::OutOfRangeError(
      fmt::format("{} partition {}: new since the last commit, but its first {} records are gone "
                  "from Kafka uncounted; restore them, or start a new checkpoint",
                  topic, id, earliest));
}

absl::StatusOr<StartUp> start_up(Source& source, Checkpoint& checkpoint, const Clock& clock,
                                 const std::atomic<bool>& stop, const StartUpOptions& options) {
  if (checkpoint.fallback()) {
    log_warning("{}; asking Kafka whether snapshot {} can take over", checkpoint.fallback()->damage,
                checkpoint.fallback()->record.batch);
  }
  auto topic = wait_for_kafka(source, clock, stop);
  if (!topic.ok()) return topic.status();
  std::string_view began_as = "RESUMED";
  if (checkpoint.is_new()) {
    began_as = "NEW";
    topic = pin(source, checkpoint, clock, stop, options, *topic);
    if (!topic.ok()) return topic.status();
  } else if (checkpoint.fallback()) {
    began_as = kFellBack;
    if (absl::Status s = fall_back(checkpoint, *topic, clock, options); !s.ok()) return s;
  } else {
    if (absl::Status s = check_job(checkpoint.last().job, *topic, options); !s.ok()) return s;
  }
  if (absl::Status s = check_offsets(checkpoint.last(), *topic, options); !s.ok()) return s;
  if (checkpoint.last().job.cluster_id.empty() && !topic->cluster_id.empty()) {
    if (absl::Status s = checkpoint.belong_to(topic->cluster_id); !s.ok()) return s;
    log_info("{}: the import named no cluster; it belongs to cluster {} from now on",
             options.checkpoint_path, escape_controls(topic->cluster_id));
  }
  auto ready = starting_points(checkpoint.last(), std::move(*topic), options);
  if (ready.ok()) say_ready(checkpoint, *ready, began_as, clock, options);
  return ready;
}

}  // namespace clicktally
