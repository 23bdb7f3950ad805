// The per-user counts, on disk: a RocksDB database that this room alone knows to be one.
//
// Invariants kept here
//   I3  a commit is all there or not there: counts, record and history travel in one atomic write.
//       An import writes its counts first, and the record that makes them a state last.
//   I4  the sum of the digests of the files and of the log's part equals the digest of the counts.
//
// Keys, one column family:
//
//   'b' BE16(slot)      the commit record of a past batch; slot = batch mod kHistorySlots, so the
//                       history is bounded without ever deleting
//   'd' ...             a dead letter (state/dead_letter_row.h)
//   'm' "commit"        the commit record of the last batch
//   'u' ...             a user's count (model/state_key.h), merged, never deleted, and never read
//                       before it is written; put only where the state is made (first_counts)
//
// No commit writes a tombstone. Dead letters below the floor of their partition, which
// the commit record knows, are passed over when read and left out by compaction.
//
// A count's value is 16 bytes: LE64 clicks, LE64 batch. Merging adds the clicks and keeps the
// greater batch, the last one that changed the user. A value of any other size is refused: among
// them what RocksDB's own `ldb` leaves behind, which joins operands with ':'. Never open a state
// read-write with `ldb`.
//
// Two ways to commit, both one atomic synced step. Few users: one write through the write-ahead
// log. Many, or first counts: a sorted table file with all of the commit in it, built aside and
// ingested; its MANIFEST record is the commit point. RocksDB does not slow ingestion down, so the
// store does: at `most_level0_files` a commit waits for compaction.
//
// Threads: one thread commits; views may be made by that thread and used by any one other.
// Errors: kDataLoss is proof of damage (a checksum, a missing file, a digest). What the disk
// refuses (ENOSPC, EIO, EACCES, ...) comes back as the Disk said it, never as damage. After a
// failed commit the store refuses every further one: reopen it (design: stop and recover).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "model/commit_record.h"
#include "model/dead_letter.h"
#include "model/digest.h"
#include "model/user_key.h"

namespace clicktally {

inline constexpr std::uint16_t kHistorySlots = 1024;

struct CountStoreOptions {
  // Commits of more users and dead letters than this are ingested as one sorted file; so are those
  // whose dead letters have more bytes than ingest_above_bytes, and first counts. Others are
  // logged. Measured: the two cost the same near 1,000 users.
  std::size_t ingest_above_users = 1000;
  std::int64_t ingest_above_bytes = 1 << 20;
  int most_level0_files = 20;
  // A log of more rows than this is written out before a snapshot: whoever opens that would have to
  // play it back, at some 5 us a row. In a large state it takes more, one row for each 10,000 bytes
  // of table files: ten such files make a compaction, which may rewrite them all.
  std::uint64_t most_logged_rows = 2000;
  std::size_t block_cache_bytes = 32 << 20;
  std::size_t memtable_bytes = 8 << 20;
  int background_threads = 2;
};

struct UserCount {
  UserKey user = kNullUser;
  std::int64_t clicks = 0;
  BatchId last_batch = 0;  // the last batch that changed it
};

// The state as of one commit, whatever is committed after it.
class CountView {
 public:
  virtual ~CountView() = default;
  // Users in [from, to], in order, until `visit` answers false.
  virtual absl::Status scan(UserKey from, UserKey to,
                            const std::function<bool(const UserCount&)>& visit) const = 0;
  virtual absl::StatusOr<std::optional<UserCount>> get(UserKey user) const = 0;
  // The counts of many users, in order and in one pass; those that have none are left out.
  virtual absl::Status get_sorted(std::span<const UserKey> users,
                                  const std::function<void(const UserCount&)>& visit) const = 0;
  // Dead letters of a partition from an offset on, by offset, until `visit` answers false.
  virtual absl::Status scan_dead_letters(
      PartitionId partition, Offset from,
      const std::function<bool(const DeadLetter&)>& visit) const = 0;
};

// What one commit writes; borrowed for the call.
struct StateCommit {
  BatchId batch = kNoBatch;  // marks the changed users and names the history slot (kNoBatch: none)
  std::string_view record = {};              // kept as it is; empty, for first_counts alone: none
  std::span<const UserClicks> changed = {};  // sorted, unique
  // None of `changed` has a count yet, and none is below a user committed before: a state being
  // made. Its files do not overlap.
  bool first_counts = false;
  std::span<const DeadLetter> dead_letters = {};  // sorted (stands_before), unique
  // Dead letters of the state that are none any more, in the same order, by their places alone; not
  // together with new ones.
  std::span<const DeadLetter> forgotten = {};
};

// A file that is written once and never changed.
struct TableFile {
  std::string name;
  std::uint64_t size_bytes = 0;
  friend auto operator<=>(const TableFile&, const TableFile&) = default;
};

// Told how many bytes were read since it was called last; may wait; false ends the reading.
using ScanPace = std::function<bool(std::uint64_t bytes)>;

class CountStore {
 public:
  virtual ~CountStore() = default;

  // Atomic and durable when it returns OK.
  virtual absl::Status commit(const StateCommit& commit) = 0;

  // Dead letters of each partition below these offsets are not needed any more. The caller has
  // committed a record that says so.
  virtual void drop_dead_letters_below(const std::map<PartitionId, Offset>& floors) = 0;

  // The last record committed; kNotFound in a store that has none.
  virtual absl::StatusOr<std::string> last_record() const = 0;
  // The record of a past batch, if its slot still holds one (perhaps a later batch's).
  virtual absl::StatusOr<std::optional<std::string>> history(BatchId batch) const = 0;

  virtual absl::StatusOr<std::unique_ptr<CountView>> view() const = 0;

  // Before a snapshot: begins to write out what only the log holds, if that is much, beside the
  // commits. False while that goes on; then ask again. By the thread that commits.
  virtual absl::StatusOr<bool> shorten_log() = 0;
  // A copy of the store as of the last commit in `path`, which must not exist; table files are hard
  // links. What is in it is durable when it returns OK, its own name is not. By the thread that
  // commits. Leaves nothing but `path`, or `path`.tmp if it was cut short.
  virtual absl::Status snapshot_to(const std::string& path) = 0;

  // What the store consists of, beside its log.
  virtual std::vector<TableFile> table_files() const = 0;
  // Reads a table file whole: every block against its checksum, all counts against the digest that
  // the file carries. kDataLoss if they disagree, kCancelled if `pace` said so. Any thread.
  virtual absl::Status scan_table_file(const std::string& name, const ScanPace& pace) const = 0;

  // What the table files say of themselves, plus the part that is in the log only. Costs O(files).
  virtual absl::StatusOr<Digest> sum_of_file_digests() const = 0;
};

enum class OpenMode {
  kCreate,     // the directory must not hold a store
  kReadWrite,  // the one writer; the caller holds the lock
  // Never writes a byte, whatever the state of the directory; commit() is refused.
  kReadOnly,
};

// How whoever stands on a state opens one; a test can hand in another.
using StoreOpener = std::function<absl::StatusOr<std::unique_ptr<CountStore>>(
    Disk& disk, const std::string& path, OpenMode mode)>;

// Borrows `disk`.
absl::StatusOr<std::unique_ptr<CountStore>> open_count_store(Disk& disk, const std::string& path,
                                                             OpenMode mode,
                                                             const CountStoreOptions& options);

}  // namespace clicktally
