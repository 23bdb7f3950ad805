// The checks that every reader of a state makes before it believes it, writer or not.
#pragma once

#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct VerifiedState {
  CommitRecord record;
  bool was_shown = false;
};

// The commit record of a store, whole, and in agreement with the digests of its files (I4), the
// totals with themselves (I7). O(files), never O(users). kDataLoss otherwise.
absl::StatusOr<CommitRecord> verify_record(const CountStore& store);

// That, of the live state; and its agreement with COMMITTED and SHOWN, with the newest snapshot,
// and with what an earlier run noted of its damage (I5). kDataLoss otherwise.
absl::StatusOr<VerifiedState> verify_state(Disk& disk, const CheckpointLayout& layout,
                                           const CountStore& store);

}  // namespace clicktally
