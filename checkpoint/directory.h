// What must hold of a checkpoint's directory before anyone writes into it: the processor, or a
// repair. (I8)
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"

namespace clicktally {

// The directory is there and ours (check_ours), nothing of ours in it is a link, it is on a local
// file system. kFailedPrecondition otherwise.
absl::Status check_directory(Disk& disk, const CheckpointLayout& layout);

// The writer's lock. Waits a few seconds for readers, who hold theirs for the moment of opening
// only, and not at all for another writer: kAlreadyExists, with its pid and `next_step`.
absl::StatusOr<std::unique_ptr<DiskLock>> lock_for_writing(Disk& disk,
                                                           const CheckpointLayout& layout,
                                                           std::string_view next_step);

// The same words, and then what to do.
absl::Status with_next_step(const absl::Status& status, std::string_view next_step);

}  // namespace clicktally
