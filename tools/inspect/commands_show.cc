#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/text.h"
#include "checkpoint/snapshots.h"
#include "state/statistics.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/history.h"
#include "tools/inspect/open.h"
#include "tools/inspect/rows.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using nlohmann::ordered_json;

constexpr std::int64_t kLargestSeed = std::int64_t{1} << 62;

// What show says beside the record.
struct Findings {
  std::vector<SnapshotName> snapshots;
  std::optional<std::int64_t> newest_ms;   // when the newest one's batch was committed
  std::optional<std::int64_t> scanned_ms;  // when the newest one that was read back, was
  BatchId scanned = kNoBatch;
  std::int64_t bytes = 0;  // of all files, those that snapshots share counted once
  std::int64_t live_bytes = 0;
  UserBounds users;  // equal: exact
  std::optional<Spread> spread;
  std::int64_t seed = 1;
  std::int64_t age_ms = 0;
};

// Table files are never changed and their numbers never used again: one name and size, one file.
void add_sizes(Disk& disk, const std::string& path, std::set<TableFile>* seen, Findings* found) {
  auto names = disk.list(path);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    auto info = disk.stat(path + "/" + name);
    if (!info.ok()) continue;  // a job has removed it meanwhile
    const bool table = name.ends_with(".sst");
    if (table && !seen->insert({name, info->size_bytes}).second) continue;
    found->bytes += static_cast<std::int64_t>(info->size_bytes);
  }
}

absl::Status find_snapshots(Disk& disk, const Source& source, Findings* found) {
  auto names = list_snapshots(disk, source.layout);
  if (!names.ok()) return names.status();
  found->snapshots = *std::move(names);
  std::set<TableFile> seen;
  add_sizes(disk, source.layout.live(), &seen, found);
  found->live_bytes = found->bytes;
  for (const SnapshotName& name : found->snapshots) {
    add_sizes(disk, source.layout.snapshot(name.batch), &seen, found);
    if (!name.scanned) continue;
    auto info =
        disk.stat(source.layout.snapshot(name.batch) + "/" + CheckpointLayout::kScannedName);
    if (!info.ok()) continue;
    found->scanned = name.batch;
    found->scanned_ms = info->modified_s * 1000;
  }
  if (!found->snapshots.empty()) {
    auto newest = past_record(source, found->snapshots.back().batch);
    if (!newest.ok()) return newest.status();
    if (*newest) found->newest_ms = (*newest)->time_ms;
  }
  return absl::OkStatus();
}

// Reads every row: users, their spread, and the digest.
absl::Status scan_all(const Source& source, Findings* found) {
  struct alignas(kCacheLineBytes) Part {
    RowSums sums;
    Spread spread;
  };
  std::array<Part, kParts> parts;
  const absl::Status scanned =
      scan_in_parts(*source.store, [&](std::size_t part, const UserCount& count) {
        parts[part].sums.add(count);
        parts[part].spread.add(count.clicks);
        return true;
      });
  if (!scanned.ok()) return scanned;
  RowSums sum;
  Spread spread{.users = {}, .looked_at = 0, .of_all = true};
  for (const Part& part : parts) {
    sum.users += part.sums.users;
    sum.clicks += part.sums.clicks;
    sum.null_clicks += part.sums.null_clicks;
    sum.digest += part.sums.digest;
    spread.looked_at += part.spread.looked_at;
    for (const auto& [digits, users] : part.spread.users) spread.users[digits] += users;
  }
  found->users = {sum.users, sum.users};
  found->spread = std::move(spread);
  return sum.check(source.record);
}

absl::StatusOr<Findings> find(Disk& disk, const CommandLine& line, bool wants_spread,
                              const Source& source) {
  Findings found;
  auto seed = number_of(line, "seed", 0, kLargestSeed, 1);
  if (!seed.ok()) return seed.status();
  found.seed = *seed;
  found.age_ms = absl::ToUnixMillis(absl::Now()) - source.record.time_ms;
  if (absl::Status s = find_snapshots(disk, source, &found); !s.ok()) return s;
  if (line.has("exact")) {
    if (absl::Status s = scan_all(source, &found); !s.ok()) return s;
    return found;
  }
  auto users = statistics_of(*source.store).user_bounds();
  if (!users.ok()) return users.status();
  found.users = *users;
  if (wants_spread) {
    auto spread =
        sample_spread(*source.store, *source.view, users->most, static_cast<std::uint64_t>(*seed));
    if (!spread.ok()) return spread.status();
    if (spread->of_all) found.users = {spread->looked_at, spread->looked_at};
    found.spread = *std::move(spread);
  }
  return found;
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

std::string snapshots_text(const Findings& found) {
  if (found.snapshots.empty()) return "none";
  return fmt::format("{}, the newest of batch {}{}", found.snapshots.size(),
                     found.snapshots.back().batch,
                     found.newest_ms ? ", " + local_time(*found.newest_ms) : "");
}

std::string users_text(const UserBounds& users) {
  if (users.least == users.most) return group_thousands(users.most);
  return fmt::format("{} to {} (--exact counts them)", group_thousands(users.least),
                     group_thousands(users.most));
}

std::string text_of(const Source& source, const Findings& found) {
  const CommitRecord& record = source.record;
  const PartitionCounters totals = record.totals();
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("{:<14}{}\n", name, value);
  };
  line("topic", escape_controls(record.job.topic));
  line("cluster", escape_controls(record.job.cluster_id));
  line("counts", fmt::format("{} where {}", escape_controls(record.job.key),
                             escape_controls(record.job.filter)));
  line("job", source.job_is_running ? "running" : "stopped");
  line("read from", source.name());
  line("batch", record.batch == kNoBatch ? "none yet" : std::to_string(record.batch));
  line("epoch", std::to_string(record.epoch));
  line("committed",
       fmt::format("{}, {} ago", local_time(record.time_ms), duration_text(found.age_ms)));
  line("shown", source.was_shown ? "yes" : "not known; the job will show the batch again");
  line("snapshots", snapshots_text(found));
  line("read back", found.scanned_ms ? fmt::format("snapshot {}, {}", found.scanned,
                                                   local_time(*found.scanned_ms))
                                     : "not yet");
  line("on disk",
       fmt::format("{}, the live state {}", bytes_text(found.bytes), bytes_text(found.live_bytes)));
  line("users", users_text(found.users));
  line("clicks", group_thousands(totals.clicks));
  line("  of NULL", causes_text(totals.null_users, kNullUserCauseNames));
  if (record.imported.clicks != 0) line("  imported", group_thousands(record.imported.clicks));
  line("other events", group_thousands(totals.other_events));
  line("rejected", causes_text(totals.rejections, kRejectionCauseNames));
  const DeadLetterCounters dead_letters = dead_letter_totals(record);
  line("dead letters",
       fmt::format("{} kept, {} bytes; {} dropped", group_thousands(dead_letters.kept),
                   group_thousands(dead_letters.bytes), group_thousands(dead_letters.dropped)));
  line("gaps", group_thousands(totals.gaps));
  line("repeated", group_thousands(totals.repeated));
  line("digest", to_hex(record.digest));
  for (const auto& [id, partition] : record.partitions) {
    if (partition.moved == 0) continue;
    line("moved", fmt::format("partition {} by {} offsets", id, group_thousands(partition.moved)));
  }
  for (const Adjustment& adjustment : record.adjustments) {
    line("adjusted", fmt::format("{}, {}", local_time(adjustment.time_ms),
                                 escape_controls(adjustment.command)));
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

ordered_json spread_json(const Findings& found) {
  ordered_json rows = ordered_json::array();
  for (const auto& [digits, users] : found.spread->users) {
    const std::int64_t from = digits == 0 ? 0 : std::int64_t{1} << (digits - 1);
    rows.push_back({{"fromClicks", from}, {"users", users}});
  }
  return {{"exact", found.spread->of_all},
          {"usersLookedAt", found.spread->looked_at},
          {"seed", found.seed},
          {"powersOfTwo", std::move(rows)}};
}

ordered_json snapshots_json(const Findings& found) {
  ordered_json out{{"count", found.snapshots.size()}};
  if (!found.snapshots.empty()) out["newestBatchId"] = found.snapshots.back().batch;
  if (found.newest_ms) out["newestTimeMs"] = *found.newest_ms;
  if (found.scanned_ms) {
    out["readBackBatchId"] = found.scanned;
    out["readBackTimeMs"] = *found.scanned_ms;
  }
  return out;
}

std::string json_of(const Source& source, const Findings& found) {
  const CommitRecord& record = source.record;
  ordered_json offsets = ordered_json::object();
  ordered_json partitions = ordered_json::object();
  for (const auto& [id, partition] : record.partitions) {
    offsets[std::to_string(id)] = partition.next;
    ordered_json fields{
        {"start", partition.start}, {"next", partition.next}, {"moved", partition.moved}};
    fields.update(counters_json(partition.counters));
    fields["deadLetters"] = dead_letters_json(partition.dead_letters);
    partitions[std::to_string(id)] = std::move(fields);
  }
  ordered_json out{{"topic", record.job.topic}, {"clusterId", record.job.cluster_id},
                   {"epoch", record.epoch},     {"batchId", record.batch},
                   {"timeMs", record.time_ms},  {"ageMs", found.age_ms},
                   {"shown", source.was_shown}, {"jobRunning", source.job_is_running},
                   {"readFrom", source.name()}};
  if (found.users.least == found.users.most) out["users"] = found.users.most;
  out["usersAtLeast"] = found.users.least;
  out["usersAtMost"] = found.users.most;
  out["totalClicks"] = record.totals().clicks;
  out["importedClicks"] = record.imported.clicks;
  out["offsets"] = std::move(offsets);
  out["totals"] = counters_json(record.totals());
  out["deadLetters"] = dead_letters_json(dead_letter_totals(record));
  out["partitions"] = std::move(partitions);
  out["digest"] = to_hex(record.digest);
  out["snapshots"] = snapshots_json(found);
  out["bytes"] = {{"live", found.live_bytes}, {"all", found.bytes}};
  ordered_json adjustments = ordered_json::array();
  for (const Adjustment& adjustment : record.adjustments) {
    adjustments.push_back({{"timeMs", adjustment.time_ms}, {"command", adjustment.command}});
  }
  out["adjustments"] = std::move(adjustments);
  if (found.spread) out["spread"] = spread_json(found);
  // ensure_ascii: whatever a name holds, nothing but printable ASCII reaches the terminal.
  return out.dump(2, ' ', true, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

absl::Status show_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  Output output;
  const bool json = line.format == Format::kJson;
  const bool spread = line.has("spread") || (!json && output.is_terminal());
  auto found = find(disk, line, spread, *source);
  if (!found.ok()) return found.status();
  if (json) {
    output.write(json_of(*source, *found));
  } else {
    output.write(text_of(*source, *found) + "\n");
    write_partitions(output, Format::kText, source->record);
    if (spread && found->spread) {
      output.write("\n" + picture_of(*found->spread, static_cast<std::uint64_t>(found->seed)));
    }
  }
  return finish(output, source->damage);
}

}  // namespace clicktally
