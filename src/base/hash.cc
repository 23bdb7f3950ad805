#include "base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>

namespace clicktally {

std::uint64_t hash64(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

absl::uint128 hash128(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return absl::MakeUint128(hash.high64, hash.low64);
}

std::string to_hex(absl::uint128 value) {
  return fmt::format("{:016x}{:016x}", absl::Uint128High64(value), absl::Uint128Low64(value));
}

bool from_hex(std::string_view text, absl::uint128* value) {
  if (text.size() != 32) return false;
  std::uint64_t halves[2] = {0, 0};
  for (int half = 0; half < 2; ++half) {
    const char* begin = text.data() + 16 * half;
    const auto [end, error] = std::from_chars(begin, begin + 16, halves[half], 16);
    if (error != std::errc() || end != begin + 16) return false;
  }
  *value = absl::MakeUint128(halves[0], halves[1]);
  return to_hex(*value) == text;
}

}  // namespace clicktally
