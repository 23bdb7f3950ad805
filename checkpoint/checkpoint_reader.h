// A checkpoint read by anyone but its writer: the offline tool. Writes nothing, ever, and holds the
// directory's shared lock only while it opens the state, so that a job can start at any time.
//
// While a job is running the state under it changes; a view that was caught in between does not
// pass verification (digests, witnesses) and is taken again, so what is returned is the state of
// one whole batch, never a torn one (I3, I8).
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/verification.h"
#include "state/count_store.h"

namespace clicktally {

struct CheckpointReader {
  VerifiedState state;
  std::unique_ptr<CountStore> store;
  std::unique_ptr<CountView> view;  // destroyed before the store
  bool job_is_running = false;
};

// Borrows `disk`. kFailedPrecondition if there is no checkpoint, kDataLoss if it is damaged,
// kUnavailable if the running job changed it faster than it could be read.
absl::StatusOr<CheckpointReader> open_checkpoint_reader(Disk& disk, const std::string& path,
                                                        const StoreOpener& open_state);

}  // namespace clicktally
