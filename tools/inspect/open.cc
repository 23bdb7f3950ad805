#include "tools/inspect/open.h"

#include <fmt/format.h>

#include "base/text.h"
#include "checkpoint/snapshots.h"

namespace clicktally {

absl::StatusOr<std::unique_ptr<CountStore>> open_any_state(Disk& disk, const std::string& path,
                                                           OpenMode mode) {
  return open_count_store(disk, path, mode, CountStoreOptions{});
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

}  // namespace clicktally
