// The counts of a state as of its opening, added up from its table files and its log. Private to
// this room.
//
// Counts are only ever added to, so a user's count is the sum of what the files and the log say of
// it, in whatever order (I4 stands on the same); its last batch is the greatest. So neither
// sequence numbers nor levels matter. A put, to which RocksDB adds and which it adds to nothing, is
// the oldest row of its user: an import's (StateCommit::first_counts), or what a compaction into
// the lowest level made of merges, below which nothing lies. So no user has two; a second is
// damage.
//
// Threads: any. Errors: as TableRows (state/rocks_table_rows.h).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "state/count_store.h"
#include "state/rocks_table_rows.h"

namespace clicktally {

class SettledCounts {
 public:
  // `logged` is what no file holds yet, by user, one row for each.
  static absl::StatusOr<std::unique_ptr<SettledCounts>> make(
      std::vector<std::unique_ptr<TableRows>> files, std::vector<UserCount> logged);

  // Users in [from, to], in order, until `visit` answers false.
  absl::Status scan(UserKey from, UserKey to,
                    const std::function<bool(const UserCount&)>& visit) const;

 private:
  friend class CursorHeap;
  struct File {
    UserKey first;
    std::unique_ptr<TableRows> rows;
  };

  std::vector<File> files_;  // by their first users; those that hold none are left out
  std::vector<UserCount> logged_;
};

}  // namespace clicktally
