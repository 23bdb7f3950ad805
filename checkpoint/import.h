// A new checkpoint made of counts that something else counted, and of the offsets up to which it
// did: so a team moves over without replaying its topic.
//
// The checkpoint is made whole beside its place, in CHECKPOINT.importing/, read back, and then
// renamed to CHECKPOINT in one step: a crash at any moment leaves no checkpoint there, or the whole
// one. What is left of an earlier import that was cut short is removed by the next.
//
// Invariants kept here
//   I4  digest, totals and rows agree with a scan, before it gets its name.
//   I7  what is imported is a term of its own: no partition claims to have counted it.
//   I8  two imports never make one checkpoint: CHECKPOINT.importing/ is flock'ed.
//   I9  memory does not grow with the number of users: rows come in any order, are sorted in pieces
//       on disk, and merged.
//
// Its one batch is 0 of epoch 1, not shown yet; it is snapshot 0 too. The next offset of every
// partition is its start.
//
// Errors: kInvalidArgument for rows that cannot be counts, naming their lines.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct ImportedRow {
  UserKey user = kNullUser;
  std::int64_t clicks = 0;
  std::int64_t line = 0;  // of the input, from 1, for a person
};
// The next row, nothing at the end.
using RowReader = std::function<absl::StatusOr<std::optional<ImportedRow>>()>;

struct ImportOptions {
  JobFingerprint job;  // without a cluster id, the first start fills it in
  std::map<PartitionId, Offset> next;
  std::int64_t time_ms = 0;
  std::string command;  // for the audit trail
  std::size_t rows_in_memory = 1 << 20;
};

// kFailedPrecondition unless `checkpoint` is absent or empty, in a directory that is there.
absl::Status may_import_to(Disk& disk, const std::string& checkpoint);

// What would be imported. `rows` are read to their end; nothing is written but to `folder`, files
// that the caller removes, where the rows are too many for memory.
absl::StatusOr<CommitRecord> check_import(Disk& disk, const std::string& folder,
                                          const RowReader& rows, const ImportOptions& options);

// Makes the checkpoint, which must be absent or empty, and returns its record.
absl::StatusOr<CommitRecord> import_checkpoint(Disk& disk, const std::string& checkpoint,
                                               const StoreOpener& open_state, const RowReader& rows,
                                               const ImportOptions& options);

}  // namespace clicktally
