// The snapshots of a checkpoint: immutable, hard-linked copies of the state, each of one batch.
//
//     snapshots/
//       N/           the state at batch N; N is read from it before it gets this name
//         SCANNED    empty: every table file in it was read back whole, and agreed
//         PINNED     never pruned; holds the name that an operator gave it, or nothing
//       N.damaged/   a newer one than a fallback could use; left for a person to look at
//       new/ ...     only while one is being made (new.tmp/, a repair's N.repaired/), or removed
//                    (N.gone/, a repair's old.gone/); swept
//
// Invariants kept here
//   I5  a snapshot is believed only after its record, its digests and the totals were read from it.
//   I8  one that a reader holds a shared lock on is not removed.
//   I9  at most `retain` are kept, beside those that are pinned or being read.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct SnapshotName {
  BatchId batch = kNoBatch;
  bool scanned = false;
  bool pinned = false;
};

// By batch, the oldest first. Names only: nothing in them is read. A directory without a single
// file of a state is none. kFailedPrecondition if one is a link.
absl::StatusOr<std::vector<SnapshotName>> list_snapshots(Disk& disk,
                                                         const CheckpointLayout& layout);
// kNoBatch if there is none.
absl::StatusOr<BatchId> newest_snapshot(Disk& disk, const CheckpointLayout& layout);

// kFailedPrecondition, naming those that are there.
absl::Status no_such_snapshot(const CheckpointLayout& layout, BatchId batch,
                              const std::vector<SnapshotName>& there);

// A snapshot that somebody reads: while `lock` is held, it is not removed.
struct SnapshotReader {
  std::unique_ptr<DiskLock> lock;
  CommitRecord record;
  std::unique_ptr<CountStore> store;
};
// By anyone, also while a job runs. kNotFound if there is none of this batch (any more), kDataLoss
// if it is damaged. Table files are not read.
absl::StatusOr<SnapshotReader> open_snapshot(Disk& disk, const CheckpointLayout& layout,
                                             BatchId batch, const StoreOpener& open_state);

// Removes what a crash left of the making and the removing of snapshots, and of a fallback or
// repair that did not come to its end. Makes snapshots/ if it is not there.
absl::Status prepare_snapshots(Disk& disk, const CheckpointLayout& layout);

// Gives snapshots/new the name of `batch`, durably.
absl::Status publish_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch);

// Removes what is older than the newest `retain` and neither pinned nor read by anyone. The caller
// has seen that the newest is whole.
absl::Status prune_snapshots(Disk& disk, const CheckpointLayout& layout, int retain);

// Marks, for whoever looks next. No promise: it is not synced.
absl::Status mark_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch,
                           std::string_view mark);

// Pins, which an operator sets and takes away, also while a job runs: a mark changes no state, and
// the snapshot is locked meanwhile, so it is not removed just then. Durable when OK. With `dry`
// they only say what would be. kFailedPrecondition without such a snapshot, kInvalidArgument
// without such a pin.
absl::Status pin_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch,
                          const std::string& name, bool dry);
absl::Status unpin_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch, bool dry);
// Letters, digits, '.', '_' and '-', at most 64; or none.
absl::Status check_pin_name(std::string_view name);
// The name inside the mark, made safe to show.
absl::StatusOr<std::string> pin_name(Disk& disk, const CheckpointLayout& layout, BatchId batch);

// Reads every table file of an open store of which `is_known` does not hold.
absl::Status scan_files(const CountStore& store, const ScanPace& pace,
                        const std::function<bool(const TableFile&)>& is_known,
                        const std::function<void(const TableFile&)>& found_whole);

}  // namespace clicktally
