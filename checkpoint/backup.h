// A snapshot copied to another place, with blocks of its own, and brought back: against the loss of
// a disk, and against rot in a table file that state and snapshots share.
//
//     DEST/            0700, flock'ed while a backup is made
//       E-N/           the state at batch N of epoch E, whole; one, but for a moment
//       new/           only while one is being made; swept
//
// Invariants kept here
//   I5  a backup gets its name after it was read back whole; the one before it goes only then. What
//       is brought back is read whole first, and is no checkpoint before it is whole.
//       A backup is replaced only by what goes on from it: not by another job's, nor by an older
//       one.
//   I6  what is brought back goes on under a higher epoch than any that the lost machine can have
//       shown: at least the seconds since 1970 (docs/decisions/0017).
//   I8  the job may run meanwhile: the snapshot is locked, and nothing in the checkpoint is
//   changed.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/state_copies.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct BackupResult {
  CommitRecord record;
  std::uint64_t copied_bytes = 0;
  std::uint64_t reused_bytes = 0;  // of table files that the backup before had, byte for byte
};

// Copies the newest snapshot of `checkpoint` to `dest`, which is made if it is not there.
absl::StatusOr<BackupResult> back_up(Disk& disk, const std::string& checkpoint,
                                     const std::string& dest, const StoreOpener& open_state,
                                     ChangeMode mode = ChangeMode::kCarryOut);

// Makes the checkpoint `checkpoint`, which must be absent or empty, of the backup in `dest`.
absl::StatusOr<CommitRecord> restore_backup(Disk& disk, const std::string& dest,
                                            const std::string& checkpoint,
                                            const StoreOpener& open_state, std::int64_t time_ms,
                                            ChangeMode mode = ChangeMode::kCarryOut);

}  // namespace clicktally
