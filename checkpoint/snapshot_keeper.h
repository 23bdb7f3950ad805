// Makes snapshots of a running state, reads them back, and removes old ones.
//
// Invariants kept here
//   I4, I5  what is written is read back: a snapshot before it gets its name, every new table file
//           once, the others again and again, slowly. What disagrees is a failure() that ends the
//           process, and is noted in live/ for the next start.
//   I9      an old snapshot goes only after a newer one was read back whole; there is never more
//           than one being made.
//
// A snapshot's way: what the log holds is written out, beside the commits, so that whoever opens
// the snapshot has little to play back; then take() copies the state under the name snapshots/new
// (links, and what the log holds): milliseconds, between two commits. The rest is done by a thread
// of our own, beside the commits: open it, compare its record with the one that was committed, add
// up its digests, name it after the batch that was read from it; read its new table files whole;
// prune. One at a time: while that lasts, take() says so, and the thread hurries.
//
// Between snapshots the thread reads table files again, those of the newest snapshot, by their
// number, round and round. A snapshot that is taken meanwhile is kept at once, in the midst of a
// file, and then the reading goes on where it was: with the next file of the next snapshot. So a
// job that makes snapshots faster than they can be read comes to its oldest, largest files too.
//
// Threads: begin, take, finish and the rest by the thread that commits; one thread inside.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "checkpoint/layout.h"
#include "checkpoint/snapshots.h"
#include "model/commit_record.h"
#include "state/count_store.h"

namespace clicktally {

struct SnapshotOptions {
  int retain = 10;
  // How fast files are read back: new ones, and those that were read before.
  std::uint64_t scan_bytes_per_s = 8 << 20;
  std::uint64_t scrub_bytes_per_s = 64 << 10;
};

class SnapshotKeeper {
 public:
  // Borrows `disk`.
  SnapshotKeeper(Disk& disk, CheckpointLayout layout, SnapshotOptions options,
                 StoreOpener open_state);
  ~SnapshotKeeper();  // whatever is under way is given up; the next start sweeps it
  SnapshotKeeper(const SnapshotKeeper&) = delete;
  SnapshotKeeper& operator=(const SnapshotKeeper&) = delete;

  // Sweeps what a crash left, and starts the thread.
  absl::Status begin();

  // Begins a snapshot of `store`, whose last record is `last`. False if one is under way, or the
  // log is being written out first; then try again. True also if there is one of this batch, or no
  // batch yet.
  absl::StatusOr<bool> take(CountStore& store, const CommitRecord& last);

  // The last one before a stop: waits for the one under way and for the log to be written out,
  // takes one of `last`, and reads back what is new for as long as `may_read` holds.
  absl::Status finish(CountStore& store, const CommitRecord& last,
                      const std::function<bool()>& may_read);

  // What was found wrong, if anything was: stop before another batch is shown.
  absl::Status failure() const;

 private:
  void work();
  void keep_taken();
  absl::Status keep(const CommitRecord& taken);
  absl::Status verify_and_publish(const CommitRecord& expected);
  absl::Status read_back(BatchId batch);
  absl::Status scan_new(BatchId batch);
  absl::Status scrub();
  absl::Status scrub_snapshot(BatchId batch);
  void load_scanned();
  bool pace(std::uint64_t bytes, bool again);
  void note_damage(const std::string& file, const absl::Status& damage);
  void wait_until_idle(const std::function<bool()>& may_read);
  bool stopping() const;

  Disk& disk_;
  const CheckpointLayout layout_;
  const SnapshotOptions options_;
  const StoreOpener open_state_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<CommitRecord> taken_;  // stands in snapshots/new; guarded, as all that follow
  bool busy_ = false;
  bool hurry_ = false;    // somebody waits
  bool give_up_ = false;  // reading back, because nobody can wait any longer
  bool stopping_ = false;
  absl::Status failure_;
  BatchId newest_ = kNoBatch;

  // The thread's.
  std::set<TableFile> scanned_;
  bool loaded_ = false;               // what an earlier run had read
  std::uint64_t scrubbed_up_to_ = 0;  // the number of the file that was read again last
  std::thread thread_;
};

}  // namespace clicktally
