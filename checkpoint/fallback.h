// A snapshot takes over from a live state that is proved to be damaged.
//
// Invariants kept here
//   I5  only proof of damage leads here (kDataLoss), never what a disk refuses; what takes over was
//       read whole; the damaged state is moved aside, never deleted.
//   I6  what takes over goes on under a higher epoch than any that was shown.
//
// The steps, each durable before the next begins. A crash before F5 leaves live/ where it was: the
// next start finds the damage again and begins anew. A crash after it is gone on with by
// resume_fallback(). There is no moment at which two states could both be taken for the live one.
//   F1  live.next/ is made: links to the snapshot's table files, copies of its other files
//   F2  in it a commit without clicks: the snapshot's record under the new epoch; read back
//   F3  newer snapshots, which were found unfit, become snapshots/N.damaged
//   F4  SHOWN says: of the new epoch nothing is shown. From here on the old live/ is behind it.
//   F5  live/ becomes live.damaged/
//   F6  live.next/ becomes live/
//
// The caller asks Kafka for the snapshot's offsets first. Borrow everything; one thread, under the
// checkpoint's lock.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct FallbackPlan {
  std::string damage;           // why, for a person
  CommitRecord record;          // the snapshot's
  std::vector<BatchId> unfit;   // newer snapshots, damaged too
  std::int64_t next_epoch = 0;  // under which it goes on
};

// Which snapshot can take over: the newest that is whole, every file of it read. Changes nothing.
// `damage` itself, with what to do, if none can or may; what the disk said if it refused to tell.
absl::StatusOr<FallbackPlan> plan_fallback(Disk& disk, const CheckpointLayout& layout,
                                           const StoreOpener& open_state,
                                           const absl::Status& damage);

// Steps F1 to F6.
absl::Status fall_back(Disk& disk, const CheckpointLayout& layout, const StoreOpener& open_state,
                       const FallbackPlan& plan, std::int64_t time_ms);

// Step F6 again, if a crash came between F5 and it. Otherwise nothing.
absl::Status resume_fallback(Disk& disk, const CheckpointLayout& layout,
                             const StoreOpener& open_state);

// The words of a damage without the next step that stands behind them.
std::string words_of(const absl::Status& damage);

}  // namespace clicktally
