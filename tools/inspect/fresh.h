// Asking a running job for a snapshot: SIGUSR1, as docs/recovery.md has it, to the process that
// holds the checkpoint's lock as the kernel tells it.
#pragma once

#include "absl/status/status.h"
#include "base/disk.h"
#include "checkpoint/layout.h"

namespace clicktally {

// OK once there is a snapshot at least as new as what the job had shown when it was asked, or
// once no job runs any more. kUnavailable if it does not come in time, or if the holder is a
// process that such a signal would end.
absl::Status ask_for_snapshot(Disk& disk, const CheckpointLayout& layout);

}  // namespace clicktally
