// A state directory made from another, changed, proved, and put in the place of the live one: what
// fallback, repair, import and restore have in common. The order of the steps is theirs
// (fallback.h, repair.h).
//
// Borrow everything; one thread, under the checkpoint's lock. Errors: kDataLoss is proof of damage.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "model/commit_record.h"
#include "model/dead_letter.h"
#include "state/count_store.h"

namespace clicktally {

// With kDryRun all that can be checked is checked, what would be is said, and nothing is written.
enum class ChangeMode { kCarryOut, kDryRun };

// Whether it is a file of ours beside those of the state, which says something of this directory
// and not of a copy.
bool is_mark(const std::string& name);

// `to`, which must not exist: links to the table files, which never change, and copies of the
// others, which RocksDB writes to. Marks stay behind. Durable but for its own name.
absl::Status copy_state(Disk& disk, const std::string& from, const std::string& to);

// One commit without clicks. The dead letters that are `forgotten` go with it.
absl::Status commit_record_to(Disk& disk, const std::string& state, const StoreOpener& open_state,
                              const CommitRecord& record,
                              std::span<const DeadLetter> forgotten = {});

// The record of an open store of which every table file was read (I4).
absl::StatusOr<CommitRecord> read_store_whole(const CountStore& store);
// And in which the rows add up to what the record says: O(users).
absl::Status check_rows(const CountStore& store, const CommitRecord& record);

// The record of a state that is not whole yet in the eyes of the checkpoint: digests and totals.
absl::StatusOr<CommitRecord> verify_copy(Disk& disk, const std::string& state,
                                         const StoreOpener& open_state);

// SHOWN says: of `epoch` nothing is shown. From here on a state of an older epoch is behind it.
absl::Status announce_epoch(Disk& disk, const CheckpointLayout& layout, std::int64_t epoch);
// live/, if it is there, becomes `aside`; then `next` becomes live/. Each durable.
absl::Status move_in(Disk& disk, const CheckpointLayout& layout, const std::string& next,
                     const std::string& aside);

}  // namespace clicktally
