#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "checkpoint/layout.h"
#include "checkpoint/snapshots.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using nlohmann::ordered_json;

struct SnapshotLine {
  SnapshotName name;
  absl::StatusOr<CommitRecord> record;
  std::uint64_t bytes = 0;  // shared with the live state and with one another
};

// A snapshot that is removed while it is looked at is left out.
absl::StatusOr<std::optional<SnapshotLine>> look_at(Disk& disk, const CheckpointLayout& layout,
                                                    const SnapshotName& name) {
  SnapshotLine line{.name = name, .record = absl::UnknownError(""), .bytes = 0};
  auto snapshot = open_snapshot(disk, layout, name.batch, open_any_state);
  if (absl::IsNotFound(snapshot.status())) return std::nullopt;
  if (!snapshot.ok() && !absl::IsDataLoss(snapshot.status())) return snapshot.status();
  if (snapshot.ok()) {
    line.record = snapshot->record;
  } else {
    line.record = snapshot.status();
  }
  auto files = disk.list(layout.snapshot(name.batch));
  if (!files.ok()) return files.status();
  for (const std::string& file : *files) {
    auto info = disk.stat(layout.snapshot(name.batch) + "/" + file);
    if (info.ok()) line.bytes += info->size_bytes;
  }
  return line;
}

std::string as_text(const SnapshotLine& line) {
  const auto when = line.record.ok() ? local_time(line.record->time_ms) : std::string("damaged");
  return fmt::format("{:>12} {:<24} {:>6} {:>16} {}{}\n", line.name.batch, when,
                     line.record.ok() ? std::to_string(line.record->epoch) : "",
                     group_thousands(static_cast<std::int64_t>(line.bytes)),
                     line.name.scanned ? "read back" : "not read back yet",
                     line.name.pinned ? ", pinned" : "");
}

ordered_json as_json(const SnapshotLine& line) {
  ordered_json out{{"batchId", line.name.batch},
                   {"bytes", line.bytes},
                   {"readBack", line.name.scanned},
                   {"pinned", line.name.pinned},
                   {"damaged", !line.record.ok()}};
  if (line.record.ok()) {
    out["timeMs"] = line.record->time_ms;
    out["epoch"] = line.record->epoch;
    out["totalClicks"] = line.record->totals().clicks;
  }
  return out;
}

}  // namespace

absl::Status snapshots_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  const CheckpointLayout layout(line.checkpoint);
  auto kind = checkpoint_kind(disk, layout);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kWhole) {
    return absl::FailedPreconditionError(
        line.checkpoint + ": not a checkpoint of clicktally (it has no job.json); check the path");
  }
  auto names = list_snapshots(disk, layout);
  if (!names.ok()) return names.status();
  Output output;
  ordered_json all = ordered_json::array();
  if (line.format == Format::kText && !names->empty()) {
    output.write(
        fmt::format("{:>12} {:<24} {:>6} {:>16}\n", "batch", "committed", "epoch", "bytes"));
  }
  for (const SnapshotName& name : *names) {
    auto found = look_at(disk, layout, name);
    if (!found.ok()) return found.status();
    if (!*found) continue;
    if (line.format == Format::kText) {
      output.write(as_text(**found));
    } else {
      all.push_back(as_json(**found));
    }
  }
  if (line.format == Format::kJson) output.write(all.dump(2) + "\n");
  return output.finish();
}

}  // namespace clicktally
