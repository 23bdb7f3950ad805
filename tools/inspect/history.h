// What a state remembers of past batches, and the offsets that a batch reached.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "model/commit_record.h"
#include "tools/inspect/open.h"
#include "tools/inspect/output.h"

namespace clicktally {

// The record of `batch` as the state that was opened remembers it; nothing if it does not any more.
absl::StatusOr<std::optional<CommitRecord>> past_record(const Source& source, BatchId batch);

// A row for each partition: offsets, and what was counted up to them.
void write_partitions(Output& output, Format format, const CommitRecord& record);

}  // namespace clicktally
