// Opening what a command reads.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/checkpoint_reader.h"
#include "state/count_store.h"

namespace clicktally {

absl::StatusOr<std::unique_ptr<CountStore>> open_any_state(Disk& disk, const std::string& path,
                                                           OpenMode mode);

// What a command that reads a checkpoint is to read.
absl::StatusOr<CheckpointReader> open_reader(Disk& disk, const std::string& path);

}  // namespace clicktally
