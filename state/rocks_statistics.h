// What can be told of the rows without reading the files': from what each table file says of
// itself, from its index, and from the part that is in the log only. O(files). Private to this
// room.
#pragma once

#include <rocksdb/db.h>

#include <cstddef>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "model/digest.h"
#include "state/statistics.h"

namespace clicktally {

// The user property under which a table file carries how many different users it holds.
inline constexpr char kUsersProperty[] = "clicktally.users";

// The counts that the log holds and no table file does yet, in order of users. Corruption for a
// deletion in it, or for a row that is no count.
rocksdb::Status scan_log(rocksdb::DB& db, const std::function<void(const UserCount&)>& visit);

struct LogPart {
  Digest digest = 0;
  std::int64_t users = 0;
};
rocksdb::Status read_log_part(rocksdb::DB& db, LogPart* part);

rocksdb::Status bound_users(rocksdb::DB& db, UserBounds* bounds);

// Users that part the rows into `parts` of about the same size on disk, by bisection of the
// files' indexes. Fewer where the rows are few.
std::vector<UserKey> split_users(rocksdb::DB& db, std::size_t parts);

}  // namespace clicktally
