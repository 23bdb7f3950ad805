#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/snapshots.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using nlohmann::ordered_json;

// What can be said of the snapshots without reading their rows.
struct SnapshotSummary {
  std::size_t count = 0;
  BatchId newest = kNoBatch;
  std::optional<std::int64_t> newest_ms;  // when it was committed; nothing if it cannot be read
};

absl::StatusOr<SnapshotSummary> summary_of_snapshots(Disk& disk, const CheckpointLayout& layout) {
  auto names = list_snapshots(disk, layout);
  if (!names.ok()) return names.status();
  SnapshotSummary summary{.count = names->size(), .newest_ms = {}};
  if (names->empty()) return summary;
  summary.newest = names->back().batch;
  auto newest = open_snapshot(disk, layout, summary.newest, open_any_state);
  if (newest.ok()) summary.newest_ms = newest->record.time_ms;
  return summary;
}

// What a scan of every row finds. It proves the digest, and it is the only way to know how many
// users there are: commits never read, so they cannot tell a new user from a known one.
struct ScanResult {
  std::int64_t users = 0;
  std::int64_t clicks = 0;
  std::int64_t null_clicks = 0;
};

absl::StatusOr<ScanResult> scan_and_check(const CheckpointReader& reader) {
  ScanResult found;
  Digest digest = 0;
  const absl::Status scanned =
      reader.view->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
        ++found.users;
        found.clicks += count.clicks;
        if (count.user == kNullUser) found.null_clicks = count.clicks;
        digest += digest_of(count.user, count.clicks);
        return true;
      });
  if (!scanned.ok()) return scanned;
  const CommitRecord& record = reader.state.record;
  const PartitionCounters totals = record.totals();
  if (digest == record.digest && found.clicks == totals.clicks &&
      found.null_clicks == sum_of(totals.null_users)) {
    return found;
  }
  return absl::DataLossError(
      fmt::format("the rows add up to {} clicks, {} of NULL, and digest {}; batch {} has {}, {} "
                  "and {}: the state "
                  "is damaged; restore the checkpoint from a backup",
                  found.clicks, found.null_clicks, to_hex(digest), record.batch, totals.clicks,
                  sum_of(totals.null_users), to_hex(record.digest)));
}

std::string batch_text(BatchId batch) {
  return batch == kNoBatch ? "none yet" : std::to_string(batch);
}

template <std::size_t n>
std::string causes_text(const std::array<std::int64_t, n>& counts,
                        const std::array<std::string_view, n>& names) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    if (counts[i] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", names[i], group_thousands(counts[i]));
  }
  return text.empty() ? "none" : text;
}

DeadLetterCounters dead_letter_totals(const CommitRecord& record) {
  DeadLetterCounters sum;
  for (const auto& [id, partition] : record.partitions) {
    sum.kept += partition.dead_letters.kept;
    sum.bytes += partition.dead_letters.bytes;
    sum.dropped += partition.dead_letters.dropped;
  }
  return sum;
}

std::string snapshots_text(const SnapshotSummary& snapshots) {
  if (snapshots.count == 0) return "none";
  return fmt::format("{}, the newest of batch {}, {}", snapshots.count, snapshots.newest,
                     snapshots.newest_ms ? local_time(*snapshots.newest_ms) : "which is damaged");
}

std::string show_as_text(const CheckpointReader& reader, const ScanResult& found,
                         const SnapshotSummary& snapshots) {
  const CommitRecord& record = reader.state.record;
  const PartitionCounters totals = record.totals();
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<14}{}\n", name, value);
  };
  line("topic", escape_controls(record.job.topic));
  line("cluster", escape_controls(record.job.cluster_id));
  line("counts", fmt::format("{} where {}", escape_controls(record.job.key),
                             escape_controls(record.job.filter)));
  line("batch", batch_text(record.batch));
  line("epoch", std::to_string(record.epoch));
  line("committed", local_time(record.time_ms));
  line("shown", reader.state.was_shown ? "yes" : "not known; the job will show the batch again");
  line("job", reader.job_is_running ? "running" : "stopped");
  line("snapshots", snapshots_text(snapshots));
  line("users", group_thousands(found.users));
  line("clicks", group_thousands(totals.clicks));
  line("  of NULL", causes_text(totals.null_users, kNullUserCauseNames));
  line("other events", group_thousands(totals.other_events));
  line("rejected", causes_text(totals.rejections, kRejectionCauseNames));
  const DeadLetterCounters dead_letters = dead_letter_totals(record);
  line("dead letters",
       fmt::format("{} kept, {} bytes; {} dropped", group_thousands(dead_letters.kept),
                   group_thousands(dead_letters.bytes), group_thousands(dead_letters.dropped)));
  line("gaps", group_thousands(totals.gaps));
  line("repeated", group_thousands(totals.repeated));
  line("digest", to_hex(record.digest));
  text += fmt::format("\n{:>9} {:>14} {:>14} {:>14} {:>14} {:>10} {:>8}\n", "partition", "start",
                      "next", "clicks", "other", "rejected", "gaps");
  for (const auto& [id, partition] : record.partitions) {
    const PartitionCounters& counters = partition.counters;
    text += fmt::format("{:>9} {:>14} {:>14} {:>14} {:>14} {:>10} {:>8}\n", id, partition.start,
                        partition.next, counters.clicks, counters.other_events, counters.rejected(),
                        counters.gaps);
  }
  return text;
}

template <std::size_t n>
ordered_json causes_json(const std::array<std::int64_t, n>& counts,
                         const std::array<std::string_view, n>& names) {
  ordered_json out = ordered_json::object();
  for (std::size_t i = 0; i < n; ++i) out[std::string(names[i])] = counts[i];
  return out;
}

ordered_json counters_json(const PartitionCounters& counters) {
  return {{"clicks", counters.clicks},
          {"nullUsers", causes_json(counters.null_users, kNullUserCauseNames)},
          {"otherEvents", counters.other_events},
          {"rejections", causes_json(counters.rejections, kRejectionCauseNames)},
          {"gaps", counters.gaps},
          {"repeated", counters.repeated}};
}

ordered_json dead_letters_json(const DeadLetterCounters& counters) {
  return {{"kept", counters.kept}, {"bytes", counters.bytes}, {"dropped", counters.dropped}};
}

std::string show_as_json(const CheckpointReader& reader, const ScanResult& found,
                         const SnapshotSummary& snapshots) {
  const CommitRecord& record = reader.state.record;
  ordered_json offsets = ordered_json::object();
  ordered_json partitions = ordered_json::object();
  for (const auto& [id, partition] : record.partitions) {
    offsets[std::to_string(id)] = partition.next;
    ordered_json fields{{"start", partition.start}, {"next", partition.next}};
    fields.update(counters_json(partition.counters));
    fields["deadLetters"] = dead_letters_json(partition.dead_letters);
    partitions[std::to_string(id)] = std::move(fields);
  }
  ordered_json out{{"topic", record.job.topic},
                   {"clusterId", record.job.cluster_id},
                   {"epoch", record.epoch},
                   {"batchId", record.batch},
                   {"timeMs", record.time_ms},
                   {"shown", reader.state.was_shown},
                   {"jobRunning", reader.job_is_running},
                   {"users", found.users},
                   {"totalClicks", record.totals().clicks},
                   {"offsets", std::move(offsets)},
                   {"totals", counters_json(record.totals())},
                   {"deadLetters", dead_letters_json(dead_letter_totals(record))},
                   {"partitions", std::move(partitions)},
                   {"digest", to_hex(record.digest)}};
  out["snapshots"] = {{"count", snapshots.count}};
  if (snapshots.count > 0) out["snapshots"]["newestBatchId"] = snapshots.newest;
  if (snapshots.newest_ms) out["snapshots"]["newestTimeMs"] = *snapshots.newest_ms;
  // ensure_ascii: whatever a name holds, nothing but printable ASCII reaches the terminal.
  return out.dump(2, ' ', true, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

absl::Status show_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  auto found = scan_and_check(*reader);
  if (!found.ok()) return found.status();
  auto snapshots = summary_of_snapshots(disk, CheckpointLayout(line.checkpoint));
  if (!snapshots.ok()) return snapshots.status();
  Output output;
  output.write(line.format == Format::kJson ? show_as_json(*reader, *found, *snapshots)
                                            : show_as_text(*reader, *found, *snapshots));
  return output.finish();
}

}  // namespace clicktally
