#include <fmt/format.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "checkpoint/backup.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

ChangeMode mode_of(const CommandLine& line) {
  if (!line.has("dry-run")) return ChangeMode::kCarryOut;
  note("dry run: nothing is written");
  return ChangeMode::kDryRun;
}

}  // namespace

absl::Status backup_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, 1); !s.ok()) return s;
  const ChangeMode mode = mode_of(line);
  auto made = back_up(disk, line.checkpoint, line.arguments[0], open_any_state, mode);
  if (!made.ok()) return made.status();
  Output output;
  output.write(fmt::format("batch {} of {}: {} bytes {}, {} were there already\n",
                           made->record.batch, local_time(made->record.time_ms),
                           group_thousands(static_cast<std::int64_t>(made->copied_bytes)),
                           mode == ChangeMode::kDryRun ? "to copy" : "copied",
                           group_thousands(static_cast<std::int64_t>(made->reused_bytes))));
  return output.finish();
}

absl::Status restore_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, 1); !s.ok()) return s;
  const ChangeMode mode = mode_of(line);
  auto made = restore_backup(disk, line.checkpoint, line.arguments[0], open_any_state,
                             absl::ToUnixMillis(absl::Now()), mode);
  if (!made.ok()) return made.status();
  Output output;
  output.write(fmt::format("batch {} of {}, offsets {}: {}restored under epoch {}\n", made->batch,
                           local_time(made->time_ms), offsets_json(*made),
                           mode == ChangeMode::kDryRun ? "would be " : "", made->epoch));
  return output.finish();
}

}  // namespace clicktally
