// The checkpoint directory: every name in it is made here and nowhere else.
//
//     CHECKPOINT/        0700, flock'ed by the one processor that writes
//       job.json         the format's version; written once, last: with it the checkpoint is whole
//       COMMITTED        a witness: the last batch that was committed (witness.h)
//       SHOWN            another: the last batch that was handed to the sinks
//       live/            counts, commit record, batch history (state/count_store.h)
//       live.new/        only while a checkpoint is being made; looked into before it is removed
//       snapshots/N/     the state at batch N, immutable (snapshots.h)
//       live.next/       only during a fallback: the state that takes over (fallback.h)
//       live.repaired/   only during a repair: the state that an operator wants (repair.h)
//       live.damaged/    after a fallback: the state that was found damaged; at most one
//
// live/ may hold a file DAMAGED: what a reading-back of its files found, in words. A later start
// believes it, however well the state opens.
//
// Nothing inside holds an absolute path: a checkpoint may be copied while stopped, or moved.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/disk.h"

namespace clicktally {

inline constexpr int kCheckpointFormat = 1;

class CheckpointLayout {
 public:
  explicit CheckpointLayout(std::string root) : root_(std::move(root)) {
    while (root_.size() > 1 && root_.back() == '/') root_.pop_back();
  }
  const std::string& root() const { return root_; }
  std::string job_file() const { return root_ + "/" + kJobName; }
  std::string committed_file() const { return root_ + "/" + kCommittedName; }
  std::string shown_file() const { return root_ + "/" + kShownName; }
  std::string live() const { return root_ + "/live"; }
  std::string live_new() const { return root_ + "/live.new"; }
  std::string live_next() const { return root_ + "/live.next"; }
  std::string live_damaged() const { return root_ + "/live.damaged"; }
  std::string live_repaired() const { return root_ + "/live.repaired"; }
  std::string damage_note() const { return live() + "/" + kDamageName; }
  std::string snapshots() const { return root_ + "/snapshots"; }
  std::string snapshot(std::int64_t batch) const {
    return snapshots() + "/" + std::to_string(batch);
  }
  // One that a repair made and that is none yet: it gets its name with the repair.
  std::string repaired_snapshot(std::int64_t batch) const {
    return snapshot(batch) + kRepairedSuffix;
  }
  // The live state of before a repair, which is a snapshot too: about to be removed.
  std::string old_gone() const { return snapshots() + "/old.gone"; }
  std::string new_snapshot() const { return snapshots() + "/" + kNewSnapshotName; }

  static constexpr char kJobName[] = "job.json";
  static constexpr char kCommittedName[] = "COMMITTED";
  static constexpr char kShownName[] = "SHOWN";
  static constexpr char kDamageName[] = "DAMAGED";
  static constexpr char kNewSnapshotName[] = "new";
  static constexpr char kScannedName[] = "SCANNED";
  static constexpr char kPinnedName[] = "PINNED";
  static constexpr char kRepairedSuffix[] = ".repaired";

 private:
  std::string root_;
};

// What a directory is, told by its names alone.
enum class CheckpointKind {
  kAbsent,      // no such directory, or nothing in it: a new checkpoint may be made
  kUnfinished,  // the making of a checkpoint was cut short before job.json
  kWhole,
  kLost,     // it has what only a whole checkpoint gets, and no job.json: damage, never a new one
  kForeign,  // not empty, and not ours
};
absl::StatusOr<CheckpointKind> checkpoint_kind(Disk& disk, const CheckpointLayout& layout);

// kDataLoss: job.json is missing from a checkpoint that has counted.
absl::Status lost_job_file(const CheckpointLayout& layout);

// The directory and those in it must be ours, for others could change the counts: our own (whoever
// we are: root too is at the mercy of a directory's owner), not writable by anyone else, and, but
// for the checkpoint's own path, no links: what is read and removed through one could lie anywhere.
absl::Status check_ours(Disk& disk, const CheckpointLayout& layout);
// Of that, what concerns links.
absl::Status check_no_links(Disk& disk, const CheckpointLayout& layout);
// kFailedPrecondition if a link or a file stands where only a directory can be.
absl::Status check_no_link(Disk& disk, const std::string& path);

// job.json: {"format":1,"checksum":"<hash64 of the format's name>"}
std::string job_file_text();
// kDataLoss for bytes that are no job.json, kFailedPrecondition for another version's.
absl::Status check_job_file(Disk& disk, const CheckpointLayout& layout);

}  // namespace clicktally
