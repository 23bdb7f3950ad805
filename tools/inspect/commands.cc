#include "tools/inspect/commands.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "tools/inspect/output.h"

namespace clicktally {
namespace {

using nlohmann::ordered_json;

absl::StatusOr<CheckpointReader> open_reader(Disk& disk, const std::string& path) {
  return open_checkpoint_reader(disk, path,
                                [](Disk& seam, const std::string& state, OpenMode mode) {
                                  return open_count_store(seam, state, mode, CountStoreOptions{});
                                });
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

// What a scan of every row finds. It proves the digest, and it is the only way to know how many
// users there are: commits never read, so they cannot tell a new user from a known one.
struct ScanResult {
  std::int64_t users = 0;
  std::int64_t clicks = 0;
};

absl::StatusOr<ScanResult> scan_and_check(const CheckpointReader& reader) {
  ScanResult found;
  Digest digest = 0;
  const absl::Status scanned =
      reader.view->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
        ++found.users;
        found.clicks += count.clicks;
        digest += digest_of(count.user, count.clicks);
        return true;
      });
  if (!scanned.ok()) return scanned;
  const CommitRecord& record = reader.state.record;
  if (digest == record.digest && found.clicks == record.totals().clicks) return found;
  return absl::DataLossError(fmt::format(
      "the rows add up to {} clicks and digest {}, batch {} has {} and {}: the state is damaged; "
      "restore the checkpoint from a backup",
      found.clicks, to_hex(digest), record.batch, record.totals().clicks, to_hex(record.digest)));
}

std::string batch_text(BatchId batch) {
  return batch == kNoBatch ? "none yet" : std::to_string(batch);
}

std::string rejections_text(const PartitionCounters& counters) {
  std::string text;
  for (std::size_t i = 0; i < kRejectionCauses; ++i) {
    if (counters.rejections[i] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", kRejectionCauseNames[i],
                        group_thousands(counters.rejections[i]));
  }
  return text.empty() ? "none" : text;
}

std::string show_as_text(const CheckpointReader& reader, const ScanResult& found) {
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
  line("users", group_thousands(found.users));
  line("clicks", group_thousands(totals.clicks));
  line("other events", group_thousands(totals.other_events));
  line("rejected", rejections_text(totals));
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

ordered_json counters_json(const PartitionCounters& counters) {
  ordered_json rejections = ordered_json::object();
  for (std::size_t i = 0; i < kRejectionCauses; ++i) {
    rejections[std::string(kRejectionCauseNames[i])] = counters.rejections[i];
  }
  return {{"clicks", counters.clicks},
          {"otherEvents", counters.other_events},
          {"rejections", rejections},
          {"gaps", counters.gaps},
          {"repeated", counters.repeated}};
}

std::string show_as_json(const CheckpointReader& reader, const ScanResult& found) {
  const CommitRecord& record = reader.state.record;
  ordered_json offsets = ordered_json::object();
  ordered_json partitions = ordered_json::object();
  for (const auto& [id, partition] : record.partitions) {
    offsets[std::to_string(id)] = partition.next;
    ordered_json fields{{"start", partition.start}, {"next", partition.next}};
    fields.update(counters_json(partition.counters));
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
                   {"partitions", std::move(partitions)},
                   {"digest", to_hex(record.digest)}};
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

absl::Status show_command(Disk& disk, const CommandLine& line) {
  const Format format = line.format.value_or(Format::kText);
  if (format == Format::kCsv) return refuse_format(line, "text or json");
  if (!line.arguments.empty()) return refuse_arguments(line, "nothing but the checkpoint");
  auto reader = open_reader(disk, line.checkpoint);
  if (!reader.ok()) return reader.status();
  auto found = scan_and_check(*reader);
  if (!found.ok()) return found.status();
  Output output;
  output.write(format == Format::kJson ? show_as_json(*reader, *found)
                                       : show_as_text(*reader, *found));
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

}  // namespace clicktally
