// The checkpoint directory of one job, held by the one process that may write it.
//
// Invariants kept here
//   I2  a batch that commit() returned OK for survives kill -9 and power loss: it was synced.
//   I3  recovery finds batch N or N+1 whole, never a mix.
//   I4  the commit's digest and totals agree with the files; checked before RocksDB may write.
//   I5  damage ends in an announced fallback to a snapshot or in a refusal (kDataLoss), never in a
//       wrong count or a new start.
//   I6  within an epoch batch ids and offsets never go backwards; epochs never do.
//   I8  two processes never have one checkpoint open for writing.
//   I9  the dead letters that are kept stay within most_dead_letter_bytes.
//
// Recovery, in the order in which it happens; docs/recovery.md has every crash window:
//   1 the directory: there, owned by us, not writable by others, no links, on a local file system
//   2 the lock                                                (I8)
//   3 job.json: whole and of our format
//   4 a repair or a fallback that was cut short is gone on with   (repair.h, fallback.h)
//   5 the state, opened without the power to write; its commit record, checksummed
//   6 the sum of the files' digests and the log's part equals the record's digest   (I4)
//   7 nothing knows better: no note of damage, no newer snapshot, COMMITTED and SHOWN not ahead
//     (I5)
//   8 the state is opened for writing
//   9 what a crash left of snapshots is swept
// Proof of damage in 5 to 8 makes a FallbackPlan, if a snapshot can take over; whoever can ask
// Kafka decides on it.
//
// A new checkpoint is made in live.new, then SHOWN, then renamed to live, then job.json. Until that
// is there the checkpoint holds no batch and making it is simply gone on with. COMMITTED comes with
// the first opening for writing.
//
// Threads: one. Errors: see base/exit_code.h; every message names the file and the next step.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/fallback.h"
#include "checkpoint/layout.h"
#include "checkpoint/snapshot_keeper.h"
#include "checkpoint/witness.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct CheckpointOptions {
  bool must_exist = false;     // refuse to make a new one
  bool may_fall_back = false;  // the caller asks fallback() and decides
  std::int64_t most_dead_letter_bytes = 64 << 20;
  SnapshotOptions snapshots = {};
  StoreOpener open_state;
};

class Checkpoint {
 public:
  // Recovery. Borrows `disk`. After it is_new() says whether create() must be called before the
  // rest, and fallback() whether fall_back() must.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> open(Disk& disk, const std::string& path,
                                                          const CheckpointOptions& options);

  bool is_new() const { return store_ == nullptr && !fallback_; }

  // Set while a snapshot waits to take over from a damaged state. To refuse it, stop.
  const std::optional<FallbackPlan>& fallback() const { return fallback_; }
  // It takes over. Afterwards last() is its batch under a new epoch, not shown yet.
  absl::Status fall_back(std::int64_t time_ms);

  // Makes the checkpoint: `start` pins the first offsets, has no batch and no counts. Durable when
  // OK.
  absl::Status create(const CommitRecord& start);

  // Of an import that did not know its cluster: from now on it belongs to this one, durably.
  absl::Status belong_to(const std::string& cluster_id);

  // The record of the last commit, or of create().
  const CommitRecord& last() const { return last_; }
  // Whether the last batch was handed to the sinks, as far as is known.
  bool last_was_shown() const { return last_was_shown_; }

  // One atomic, synced step from last() to `next`: batch id one higher, digest and counters those
  // of the counts after `changed` (sorted, unique) was added; `dead_letters` (sorted, unique) join
  // those that are kept, and the oldest beyond the bound are dropped. COMMITTED says so, and is
  // made anew if a person removed it. After an error stop and recover.
  absl::Status commit(CommitRecord next, std::span<const UserClicks> changed,
                      std::vector<DeadLetter> dead_letters = {});
  // Every sink has been handed last(). SHOWN says so, and is made anew in the same way.
  absl::Status mark_shown();

  // A snapshot of last(), between two commits: milliseconds here, the rest beside the commits.
  // False if the one before is still being read back, or the log is being written out for this
  // one: try again. True also when there is nothing new.
  absl::StatusOr<bool> snapshot() { return keeper_->take(*store_, last_); }
  // The one of a clean stop; what is new is read back while `may_read` holds.
  absl::Status final_snapshot(const std::function<bool()>& may_read) {
    return keeper_->finish(*store_, last_, may_read);
  }
  // What reading back found wrong; nothing may be committed or shown after it.
  absl::Status failure() const { return keeper_->failure(); }

  // The counts as of last(); must not outlive the checkpoint.
  absl::StatusOr<std::unique_ptr<CountView>> view() const { return store_->view(); }

 private:
  Checkpoint(Disk& disk, CheckpointLayout layout, const CheckpointOptions& options)
      : disk_(disk), layout_(std::move(layout)), options_(options) {}
  absl::Status prepare_directory();
  absl::Status lock();
  absl::Status recover();
  absl::Status open_live();
  absl::Status begin_commits();
  absl::Status note_last(WitnessOf what);
  absl::Status finish_creation();
  absl::Status may_be_made() const;
  absl::Status still_there();

  Disk& disk_;
  const CheckpointLayout layout_;
  const CheckpointOptions options_;
  std::unique_ptr<DiskLock> lock_;
  std::unique_ptr<CountStore> store_;
  std::unique_ptr<SnapshotKeeper> keeper_;  // its thread ends before the store does
  std::optional<FallbackPlan> fallback_;
  CommitRecord last_;
  bool last_was_shown_ = false;
};

}  // namespace clicktally
