#include "checkpoint/unfinished.h"

#include <fmt/format.h>

#include "checkpoint/commit_record_codec.h"
#include "checkpoint/verification.h"
#include "checkpoint/witness.h"

namespace clicktally {
namespace {

// Making a checkpoint may be cut short at any moment, so a live.new that cannot be read is a
// leftover; one with a batch in it never is, for it is renamed to live before the first.
absl::Status check_leftover(Disk& disk, const CheckpointLayout& layout,
                            const StoreOpener& open_state) {
  if (!exists(disk, layout.live_new())) return absl::OkStatus();
  auto store = open_state(disk, layout.live_new(), OpenMode::kReadOnly);
  const bool refused =
      absl::IsResourceExhausted(store.status()) || absl::IsPermissionDenied(store.status());
  if (refused) return store.status();
  if (!store.ok()) return absl::OkStatus();
  const auto bytes = (*store)->last_record();
  if (!bytes.ok()) return absl::OkStatus();
  const auto record = decode_commit_record(*bytes);
  if (!record.ok() || record->batch == kNoBatch) return absl::OkStatus();
  return absl::DataLossError(
      fmt::format("{}: holds batch {}, so it is not left from the making of a checkpoint, but "
                  "job.json is missing beside it; restore the checkpoint from a backup",
                  layout.live_new(), record->batch));
}

}  // namespace

absl::StatusOr<std::optional<CommitRecord>> read_unfinished(Disk& disk,
                                                            const CheckpointLayout& layout,
                                                            const StoreOpener& open_state) {
  const absl::Status damaged = lost_job_file(layout);
  const auto shown = read_witness(disk, layout, WitnessOf::kShown);
  // A higher epoch than the first comes from a fallback or a backup, and so has counts.
  if (shown.ok() && (shown->batch != kNoBatch || shown->epoch != 0)) return damaged;
  if (!shown.ok() && !absl::IsNotFound(shown.status())) return shown.status();
  if (absl::Status s = check_leftover(disk, layout, open_state); !s.ok()) return s;
  if (!exists(disk, layout.live())) return std::nullopt;
  auto store = open_state(disk, layout.live(), OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto verified = verify_state(disk, layout, **store);
  if (!verified.ok()) return verified.status();
  if (verified->record.batch != kNoBatch) return damaged;
  return std::move(verified->record);
}

}  // namespace clicktally
