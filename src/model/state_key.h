// The state key of a user, the bytes under which its count is stored:
//
//   'u' 0x00                      the NULL group
//   'u' 0x01 BE32(user_id ^ 2^31) a user; big-endian with the sign flipped, so bytes sort as
//   numbers
//
// Part of the checkpoint format: the digest hashes these bytes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "model/user_key.h"

namespace clicktally {

inline constexpr char kUserPrefix = 'u';

class StateKey {
 public:
  explicit StateKey(UserKey user) {
    bytes_[0] = kUserPrefix;
    if (user == kNullUser) {
      bytes_[1] = 0;
      size_ = 2;
      return;
    }
    const std::uint32_t flipped =
        static_cast<std::uint32_t>(static_cast<std::int32_t>(user)) ^ 0x80000000U;
    bytes_[1] = 1;
    for (unsigned i = 0; i < 4; ++i) {
      bytes_[2 + i] = static_cast<char>(flipped >> (24 - 8 * i));
    }
    size_ = 6;
  }
  // Borrowed from this object.
  std::string_view bytes() const { return {bytes_.data(), size_}; }

  // Nothing if `bytes` is not the key of a user.
  static std::optional<UserKey> parse(std::string_view bytes) {
    if (bytes.size() == 2 && bytes[0] == kUserPrefix && bytes[1] == 0) return kNullUser;
    if (bytes.size() != 6 || bytes[0] != kUserPrefix || bytes[1] != 1) return std::nullopt;
    std::uint32_t flipped = 0;
    for (unsigned i = 0; i < 4; ++i) {
      flipped = (flipped << 8) | static_cast<unsigned char>(bytes[2 + i]);
    }
    return static_cast<std::int32_t>(flipped ^ 0x80000000U);
  }

 private:
  std::array<char, 6> bytes_{};
  std::size_t size_ = 0;
};

}  // namespace clicktally
