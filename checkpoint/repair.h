// An operator changes the state of a stopped job. One path does every change: only how the next
// record is made differs.
//
// Invariants kept here
//   I4, I5  what takes over was read back whole, every file and every row, before it is announced.
//   I6  a repair is a batch of its own under a higher epoch: the id after the greatest that the
//       checkpoint knows of. So no id is ever used twice, no snapshot is ahead of the live state,
//       and a repair can be undone by rolling back to the snapshot of what was before.
//   I7  what an operator moves or brings along is a term of its own in the sums.
//   I8  under the writer's lock, from the first look to the last step.
//
// The steps, each durable before the next begins. A crash before C6 leaves the old state, and what
// is left of the repair is swept; after it resume_repair() goes on. B is the repair's batch.
//   C1  the live state becomes a snapshot, if it is whole and there is none of its batch
//   C2  snapshots/B.repaired/ is made: links to the table files of the state it begins with, copies
//       of the others
//   C3  in it one commit: the new record, with its line of the audit trail; no clicks
//   C4  it is read back whole, and compared with the plan
//   C5  live.repaired/ is made of it in the same way, and compared
//   C6  SHOWN says: of the new epoch nothing is shown. This is the moment of the change.
//   C7  snapshots/B.repaired becomes snapshots/B
//   C8  live/ becomes snapshots/old.gone/ if a snapshot says what it says, or else live.damaged/
//   C9  live.repaired/ becomes live/
//   C10 snapshots/old.gone/ is removed
//
// A state that is damaged can be rolled back too; then C1 is left out, and there must be no
// live.damaged/ from before.
//
// Borrow everything; one thread. Errors: kDataLoss is proof of damage, kInvalidArgument a wish that
// cannot be granted, kFailedPrecondition no checkpoint or no such snapshot, kAlreadyExists a
// running job.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "checkpoint/state_copies.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

// What will be done, and nothing else.
struct RepairPlan {
  std::string source;                  // the directory of the state it begins with
  std::optional<CommitRecord> before;  // of the live state; nothing if that is damaged
  std::string damage;                  // then why, for a person
  CommitRecord after;                  // the last adjustment in it is this repair's
  std::vector<DeadLetter> forgotten;   // which the job will read, and keep, again; their places
};

class Repair {
 public:
  // Takes the lock, reads the live state whole. Goes on with what an earlier repair or fallback
  // left unfinished; kDryRun writes nothing, and refuses if there is such a thing.
  static absl::StatusOr<std::unique_ptr<Repair>> open(Disk& disk, const std::string& checkpoint,
                                                      const StoreOpener& open_state,
                                                      ChangeMode mode);

  // Back to the counts and offsets of a snapshot, which is read whole.
  absl::StatusOr<RepairPlan> plan_rollback(BatchId snapshot, std::int64_t time_ms) const;

  // Other next offsets, the same counts. A partition that the checkpoint does not know is begun at
  // its offset. The last record of a changed partition cannot be compared any more.
  absl::StatusOr<RepairPlan> plan_offsets(const std::map<PartitionId, Offset>& next,
                                          std::int64_t time_ms) const;

  // Steps C1 to C10, of a plan of this repair. Once only.
  absl::Status carry_out(const RepairPlan& plan);

 private:
  Repair(Disk& disk, const std::string& checkpoint, const StoreOpener& open_state)
      : disk_(disk), layout_(checkpoint), open_state_(open_state) {}
  absl::Status prepare(ChangeMode mode);
  absl::Status read_live();
  absl::Status become_batch(std::string command, std::int64_t time_ms, CommitRecord* record) const;
  absl::Status keep_what_is(const RepairPlan& plan);
  absl::Status build(const RepairPlan& plan);

  Disk& disk_;
  const CheckpointLayout layout_;
  const StoreOpener open_state_;
  std::unique_ptr<DiskLock> lock_;
  std::optional<CommitRecord> live_;
  std::string damage_;
};

// Steps C7 to C10 again, if a crash came after C6. Otherwise nothing. Under the writer's lock.
absl::Status resume_repair(Disk& disk, const CheckpointLayout& layout,
                           const StoreOpener& open_state);

// Where the live state stands, for whoever may write nothing: live/, but live.repaired/ from C6 on.
absl::StatusOr<std::string> live_path(Disk& disk, const CheckpointLayout& layout,
                                      const StoreOpener& open_state);

}  // namespace clicktally
