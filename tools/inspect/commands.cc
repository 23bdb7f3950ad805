#include "tools/inspect/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/snapshots.h"
#include "tools/inspect/output.h"

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

// A damaged state is not the end: what can take over is named.
absl::StatusOr<CheckpointReader> open_reader(Disk& disk, const std::string& path) {
  auto reader = open_checkpoint_reader(disk, path, open_any_state);
  if (!absl::IsDataLoss(reader.status())) return reader;
  auto newest = newest_snapshot(disk, CheckpointLayout(path));
  if (!newest.ok() || *newest == kNoBatch) return reader;
  return absl::DataLossError(
      fmt::format("{}; or let its newest snapshot, of batch {}, take over: start the job",
                  message_of(reader.status()), *newest));
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

absl::StatusOr<UserKey> parse_user(const std::string& text) {
  std::int32_t user = 0;
  if (text == "NULL" || text == "null") return kNullUser;
  if (absl::SimpleAtoi(text, &user)) return user;
  return absl::InvalidArgumentError(
      fmt::format("get: '{}' is not a user: a number from -2147483648 to 2147483647, or NULL",
                  escape_controls(text)));
}

std::string user_text(UserKey user, std::string_view null_word) {
  return user == kNullUser ? std::string(null_word) : std::to_string(user);
}

}  // namespace

absl::StatusOr<std::unique_ptr<CountStore>> open_any_state(Disk& disk, const std::string& path,
                                                           OpenMode mode) {
  return open_count_store(disk, path, mode, CountStoreOptions{});
}

absl::Status refuse_format(const CommandLine& line, std::string_view takes) {
  return absl::InvalidArgumentError(fmt::format(
      "{}: --format takes {} here; see clicktally-inspect --help", line.command, takes));
}

absl::Status refuse_arguments(const CommandLine& line, std::string_view takes) {
  return absl::InvalidArgumentError(
      fmt::format("{} takes {}; see clicktally-inspect --help", line.command, takes));
}

std::string local_time(std::int64_t time_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E3S", absl::FromUnixMillis(time_ms),
                          absl::LocalTimeZone());
}

absl::Status show_command(Disk& disk, const CommandLine& line) {
  const Format format = line.format.value_or(Format::kText);
  if (format == Format::kCsv) return refuse_format(line, "text or json");
  if (!line.arguments.empty()) return refuse_arguments(line, "nothing but the checkpoint");
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  auto found = scan_and_check(*reader);
  if (!found.ok()) return found.status();
  auto snapshots = summary_of_snapshots(disk, CheckpointLayout(line.checkpoint));
  if (!snapshots.ok()) return snapshots.status();
  Output output;
  output.write(format == Format::kJson ? show_as_json(*reader, *found, *snapshots)
                                       : show_as_text(*reader, *found, *snapshots));
  return output.finish();
}

absl::Status get_command(Disk& disk, const CommandLine& line) {
  const Format format = line.format.value_or(Format::kText);
  if (format == Format::kCsv) return refuse_format(line, "text or json");
  if (line.arguments.empty()) return refuse_arguments(line, "a checkpoint and users");
  std::vector<UserKey> users;
  for (const std::string& argument : line.arguments) {
    auto user = parse_user(argument);
    if (!user.ok()) return user.status();
    users.push_back(*user);
  }
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  Output output;
  for (const UserKey user : users) {
    auto count = reader->view->get(user);
    if (!count.ok()) return count.status();
    const std::int64_t clicks = *count ? (*count)->clicks : 0;
    output.write(format == Format::kJson
                     ? fmt::format("{{\"user_id\":{},\"total_clicks\":{}}}\n",
                                   user_text(user, "null"), clicks)
                     : fmt::format("{}\t{}\n", user_text(user, "NULL"), clicks));
  }
  return output.finish();
}

absl::Status export_command(Disk& disk, const CommandLine& line) {
  if (line.format.value_or(Format::kCsv) != Format::kCsv) return refuse_format(line, "csv");
  if (!line.arguments.empty()) return refuse_arguments(line, "nothing but the checkpoint");
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  Output output;
  Digest digest = 0;
  bool wanted = output.write("user_id,total_clicks\n");
  const absl::Status scanned =
      reader->view->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
        digest += digest_of(count.user, count.clicks);
        wanted = output.write(fmt::format("{},{}\n", user_text(count.user, ""), count.clicks));
        return wanted;
      });
  if (!scanned.ok()) return scanned;
  if (absl::Status status = output.finish(); !status.ok() || !wanted) return status;
  if (digest == reader->state.record.digest) return absl::OkStatus();
  return absl::DataLossError(
      "the rows just written do not add up to the digest of their batch: the state is damaged; do "
      "not use them, restore the checkpoint from a backup");
}

namespace {

std::string dead_letter_json(const std::string& topic, const DeadLetter& letter) {
  ordered_json out{{"topic", topic},
                   {"partition", letter.partition},
                   {"offset", letter.offset},
                   {"timestamp", letter.timestamp_ms},
                   {"batch", letter.batch},
                   {"cause", kRejectionCauseNames[static_cast<std::size_t>(letter.cause)]},
                   {"detail", letter.detail}};
  // A tombstone has no value, which is not an empty one.
  const bool tombstone = letter.cause == RejectionCause::kTombstone;
  out["value"] = tombstone ? ordered_json() : ordered_json(absl::Base64Escape(letter.value));
  return out.dump(-1, ' ', true, ordered_json::error_handler_t::replace) + "\n";
}

// A line for a producer that reads lines; nothing for a value that a line cannot hold.
std::string raw_line(const DeadLetter& letter, std::int64_t* skipped) {
  const bool fits =
      letter.cause != RejectionCause::kTombstone && letter.value.find('\n') == std::string::npos;
  if (fits) return letter.value + "\n";
  ++*skipped;
  return "";
}

}  // namespace

absl::Status dead_letters_command(Disk& disk, const CommandLine& line) {
  if (line.format.value_or(Format::kJson) != Format::kJson) return refuse_format(line, "json");
  if (!line.arguments.empty()) return refuse_arguments(line, "nothing but the checkpoint");
  if (line.raw && ::isatty(STDOUT_FILENO) == 1) {
    return absl::InvalidArgumentError(
        "dead-letters --raw: bytes of a topic could command a terminal; send them to a file or a "
        "pipe");
  }
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  const CommitRecord& record = reader->state.record;
  Output output;
  bool wanted = true;
  std::int64_t skipped = 0;
  for (const auto& [id, partition] : record.partitions) {
    const absl::Status scanned = reader->view->scan_dead_letters(
        id, partition.dead_letters.first, [&](const DeadLetter& letter) {
          if (line.cause && letter.cause != *line.cause) return true;
          wanted = output.write(line.raw ? raw_line(letter, &skipped)
                                         : dead_letter_json(record.job.topic, letter));
          return wanted;
        });
    if (!scanned.ok()) return scanned;
    if (!wanted) break;
  }
  if (absl::Status status = output.finish(); !status.ok() || skipped == 0) return status;
  return absl::AbortedError(fmt::format(
      "dead-letters: left out {} that no line can hold (tombstones, values with line breaks); take "
      "them from the base64 of the JSON lines, without --raw",
      skipped));
}

}  // namespace clicktally
