// The blocks of a table file, as they lie on the disk. Private to this room.
//
// The format is that of RocksDB's table/format.h, version 5, as rocks_options() asks for it: the
// last 53 bytes are
//
//     kind of checksum (1) | handle of the metaindex | handle of the index | zeros | version (4) |
//     magic number (8)
//
// and a handle is two varints: where a block begins, and its bytes. Behind a block stand its kind
// of compression (1) and its checksum (4), XXH3 of both.
//
// Threads: any. Errors: the caller's own `damaged` for what is not where it should be or does not
// fit its checksum; what the disk said if it refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/disk.h"

namespace clicktally {

inline constexpr std::size_t kBlockTrailerBytes = 5;

struct BlockHandle {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t end() const { return offset + bytes + kBlockTrailerBytes; }
};
// Takes one from the front of `bytes`; nothing if there is none that a file could have.
std::optional<BlockHandle> take_handle(std::string_view* bytes);

struct TableFooter {
  BlockHandle metaindex;
  BlockHandle index;
};
// Nothing if the file does not end as any table of RocksDB's does that has our checksums.
absl::StatusOr<std::optional<TableFooter>> read_footer(const RandomFile& file,
                                                       std::uint64_t size_bytes,
                                                       const absl::Status& damaged);

// Whether a block and the bytes behind it fit. `stored` is both.
bool is_sound(std::string_view stored);

// What was packed into a sound block, in `unpacked` if it was packed at all, else in `stored`
// itself. Nothing if that cannot be.
std::optional<std::string_view> unpack(std::string_view stored, std::string* unpacked);

// A block that is no row's, and the bytes behind it, found sound.
absl::StatusOr<std::string> read_block(const RandomFile& file, std::uint64_t size_bytes,
                                       const BlockHandle& handle, const absl::Status& damaged);

}  // namespace clicktally
