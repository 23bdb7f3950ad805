// The linear digest of a set of counts: D = sum over users of count x h(user), modulo 2^128, where
// h(user) is XXH3-128 of the user's state key. Because it is linear, a commit updates it from its
// deltas alone, and the digests of any files that together hold the counts add up to it (I4).
// 128 bits: two different sets of counts met by accident agree with probability 2^-128 or so. It is
// no defence against someone who forges counts on purpose.
#pragma once

#include <span>

#include "absl/numeric/int128.h"
#include "model/user_key.h"

namespace clicktally {

using Digest = absl::uint128;

Digest digest_of(UserKey user, std::int64_t clicks);
Digest digest_of(std::span<const UserClicks> rows);

}  // namespace clicktally
