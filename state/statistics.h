// What a store may be able to say of its rows without reading them: how many
// users there are at least and at most, since commits never read and so nothing
// knows it; and where to cut the rows into even parts. O(files).
//
// Threads and errors are those of the store (count_store.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/user_key.h"
#include "state/count_store.h"

namespace clicktally {

// Equal where one file, or one level of files, holds all users.
struct UserBounds {
  std::int64_t least = 0;
  std::int64_t most = 0;
};

class Statistics {
 public:
  virtual ~Statistics() = default;
  virtual absl::StatusOr<UserBounds> user_bounds() const = 0;
  // Users, in order, at which the rows can be cut into `parts` of about the
  // same size; fewer where there are few rows.
  virtual std::vector<UserKey> split(std::size_t parts) const = 0;
};

// Of a store that open_count_store() opened.
const Statistics& statistics_of(const CountStore& store);

}  // namespace clicktally
