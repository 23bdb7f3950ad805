// SHOWN: which batch was last handed to every sink. A witness, never a source: nothing is ever read
// back from it, it only says whether the state that was found can be the one that was shown.
//
// One line of fixed length, overwritten in place without sync:
//
//     clicktally shown 1 epoch E(20) batch B(20) digest D(32 hex) check C(16 hex)\n
//
// C is XXH3-64 of what stands before " check ". The file is made, whole and synced, with the
// checkpoint; overwriting changes no length and no block, so after a power loss it holds an older
// line or a newer one. Power loss may therefore leave it several batches behind the state; it can
// never be ahead of it, for the commit it speaks of was synced before.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"

namespace clicktally {

struct ShownWitness {
  std::int64_t epoch = 0;
  BatchId batch = kNoBatch;
  Digest digest = 0;

  static ShownWitness of(const CommitRecord& record) {
    return {record.epoch, record.batch, record.digest};
  }
  friend bool operator==(const ShownWitness&, const ShownWitness&) = default;
};

std::string encode_shown(const ShownWitness& shown);

// kNotFound without the file, kDataLoss for one that does not hold a whole line.
absl::StatusOr<ShownWitness> read_shown(Disk& disk, const CheckpointLayout& layout);

// Makes the file, durably.
absl::Status create_shown(Disk& disk, const CheckpointLayout& layout, const ShownWitness& shown);
// Overwrites it.
absl::Status write_shown(Disk& disk, const CheckpointLayout& layout, const ShownWitness& shown);

// What the witness says of a recovered state: true if its last batch was shown, false if it is
// still to be shown (again). kDataLoss if the state cannot be the one that was shown: it is older,
// or it is the same batch with another digest (I3, I6).
absl::StatusOr<bool> check_shown(const ShownWitness& shown, const CommitRecord& state);

}  // namespace clicktally
