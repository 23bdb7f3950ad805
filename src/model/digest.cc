#include "model/digest.h"

#include "base/hash.h"
#include "model/state_key.h"

namespace clicktally {

Digest digest_of(UserKey user, std::int64_t clicks) {
  const StateKey key(user);
  // Sign extension makes a negative correction the exact opposite of the same positive one.
  return static_cast<Digest>(static_cast<absl::int128>(clicks)) * hash128(key.bytes());
}

Digest digest_of(std::span<const UserClicks> rows) {
  Digest sum = 0;
  for (const UserClicks& row : rows) sum += digest_of(row.user, row.clicks);
  return sum;
}

}  // namespace clicktally
