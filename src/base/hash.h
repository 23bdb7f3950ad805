// XXH3 (https://xxhash.com, the 64 and 128 bit variants), the one hash of the program: checksums of
// what we store, fingerprints of records, and h(user) of the state's digest. Its values are part of
// the checkpoint format and never change.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/numeric/int128.h"

namespace clicktally {

std::uint64_t hash64(std::string_view bytes);
absl::uint128 hash128(std::string_view bytes);

// 32 lower-case hexadecimal digits, most significant first, and back. False if `text` is not that.
std::string to_hex(absl::uint128 value);
bool from_hex(std::string_view text, absl::uint128* value);

}  // namespace clicktally
