// A user as the job groups them: an int32 user_id, or the NULL group.
#pragma once

#include <cstdint>
#include <limits>

namespace clicktally {

// Sorts as the rows are printed: NULL first, then by user_id. Any int32, or kNullUser.
using UserKey = std::int64_t;

inline constexpr UserKey kNullUser = std::int64_t{std::numeric_limits<std::int32_t>::min()} - 1;
inline constexpr UserKey kFirstUser = kNullUser;
inline constexpr UserKey kLastUser = std::numeric_limits<std::int32_t>::max();

// Clicks of one user: added since the last commit, or counted in all.
struct UserClicks {
  UserKey user = kNullUser;
  std::int64_t clicks = 0;
  friend bool operator==(const UserClicks&, const UserClicks&) = default;
};

}  // namespace clicktally
