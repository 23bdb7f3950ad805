// Opening what a command reads, and believing it.
//
//   CHECKPOINT          stopped: the live state. While a job runs: its newest snapshot, and how old
//                       that is goes to standard error (the live state where there is none yet).
//                       Damaged: the newest snapshot that is whole, or what the live state still
//                       says of itself; `damage` says so, and the command ends with it.
//   CHECKPOINT@N        the snapshot of batch N
//   CHECKPOINT@newest   the newest snapshot
//   CHECKPOINT@live     the live state, also under a running job; a damaged one is refused
//
// Invariants kept here
//   I3, I4  what is opened is one whole batch, whose record agrees with its files; or `damage`.
//   I8  nothing is written; a snapshot is locked against removal for as long as it is read, and a
//       reader beside a job is niced.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"
#include "state/count_store.h"
#include "tools/inspect/commands.h"

namespace clicktally {

absl::StatusOr<std::unique_ptr<CountStore>> open_any_state(Disk& disk, const std::string& path,
                                                           OpenMode mode);

struct Source {
  CheckpointLayout layout;
  CommitRecord record;
  bool was_shown = false;
  bool job_is_running = false;
  std::optional<BatchId> snapshot;  // nothing: the live state
  absl::Status damage;              // kDataLoss: why this is not what was asked for, or not proved
  std::unique_ptr<DiskLock> lock;
  std::unique_ptr<CountStore> store;
  std::unique_ptr<CountView> view;  // destroyed before the store

  std::string name() const;  // "the live state", "snapshot 12"
};

// A checkpoint as the command line names it (above). With --fresh a running job is asked for a new
// snapshot first.
absl::StatusOr<Source> open_source(Disk& disk, const CommandLine& line);
absl::StatusOr<Source> open_source(Disk& disk, const std::string& name, bool fresh);

// The directory in "DIRECTORY@WHAT".
CheckpointLayout layout_of(Disk& disk, const std::string& name);

// What every reading command takes.
inline constexpr Flag kFresh{"fresh", "", "ask a running job for a new snapshot, and wait for it"};

}  // namespace clicktally
