// COMMITTED and SHOWN: the batch that was last committed, and the one that was last handed to every
// sink. Witnesses, never a source: nothing is ever read back from them, they only say whether the
// state that was found can be the one that was left.
//
// Each one line of fixed length, overwritten in place without sync, COMMITTED after the commit and
// before the output, SHOWN after the output:
//
//     clicktally WHICH 1 epoch E(20) batch B(20) digest D(32 hex) check C(16 hex)\n
//
// WHICH is "committed" or "shown". C is XXH3-64 of what stands before " check ". Each file is made,
// whole and synced, before it is overwritten for the first time; overwriting changes no length and
// no block, so after a power loss it holds an older line or a newer one. Power loss may therefore
// leave it several batches behind the state; it can never be ahead of it, for the commit it speaks
// of was synced before. A kill leaves it exact.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"

namespace clicktally {

enum class WitnessOf { kCommitted, kShown };

struct Witness {
  std::int64_t epoch = 0;
  BatchId batch = kNoBatch;
  Digest digest = 0;

  static Witness of(const CommitRecord& record) {
    return {record.epoch, record.batch, record.digest};
  }
  friend bool operator==(const Witness&, const Witness&) = default;
};

// kNotFound without the file, kDataLoss for one that does not hold a whole line of its own.
absl::StatusOr<Witness> read_witness(Disk& disk, const CheckpointLayout& layout, WitnessOf what);

// Makes the file, durably.
absl::Status create_witness(Disk& disk, const CheckpointLayout& layout, WitnessOf what,
                            const Witness& witness);
// Overwrites it.
absl::Status write_witness(Disk& disk, const CheckpointLayout& layout, WitnessOf what,
                           const Witness& witness);

// What a witness says of a recovered state: true if it knows of its last batch, false if the state
// is newer. kDataLoss if the state cannot be the one that was left: it is older, or it is the same
// batch with another digest (I3, I6).
absl::StatusOr<bool> check_witness(WitnessOf what, const Witness& witness,
                                   const CommitRecord& state);

}  // namespace clicktally
