// RocksDB's variable-length numbers (util/coding.h): seven bits a byte, the lowest first, the
// highest bit of a byte set if another follows. Private to this room.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace clicktally {

// Takes one from the front of `bytes`; nothing if there is none.
inline std::optional<std::uint64_t> take_varint(std::string_view* bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes->front());
    bytes->remove_prefix(1);
    value |= std::uint64_t{byte & 0x7FU} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

}  // namespace clicktally
