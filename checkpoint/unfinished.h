// A directory without job.json: the making of a checkpoint that was cut short or is going on, or a
// checkpoint that has lost its job.json. What the writer may finish and what every reader says of
// it is decided here, by one rule: whatever holds a batch is no leftover (I5).
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

// The record of live/, whose offsets are pinned and which has no batch; nothing if live/ is not
// there, so that the checkpoint is to be made anew. kDataLoss if SHOWN, live/ or live.new/ knows of
// a batch. Writes nothing.
absl::StatusOr<std::optional<CommitRecord>> read_unfinished(Disk& disk,
                                                            const CheckpointLayout& layout,
                                                            const StoreOpener& open_state);

}  // namespace clicktally
