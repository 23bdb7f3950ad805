// The counts of a state that nobody writes to, added up from its table files and its log. Private
// to this room.
//
// Counts are only ever added to, so a user's count is the sum of what the files and the log say of
// it, in whatever order (I4 stands on the same); its last batch is the greatest. So neither
// sequence numbers nor levels matter, and no file may come or go meanwhile: for OpenMode::kReadOnly
// alone.
//
// Threads: one at a time. Errors: as TableRows (state/rocks_table_rows.h).
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "base/disk.h"
#include "state/count_store.h"
#include "state/rocks_parts.h"
#include "state/rocks_table_rows.h"

namespace clicktally {

class SettledCounts {
 public:
  // Both are asked here and not kept. What RocksDB answers is put in words by `words`.
  static absl::StatusOr<std::unique_ptr<SettledCounts>> open(Disk& disk, rocksdb::DB& db,
                                                             const StatusWords& words);

  // Users in [from, to], in order, until `visit` answers false.
  absl::Status scan(UserKey from, UserKey to,
                    const std::function<bool(const UserCount&)>& visit) const;

 private:
  std::vector<std::unique_ptr<TableRows>> files_;
  std::vector<UserCount> logged_;  // by user
};

}  // namespace clicktally
