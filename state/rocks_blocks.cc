#include "state/rocks_blocks.h"

#include <lz4.h>

#include <boost/endian/conversion.hpp>

#include "base/hash.h"
#include "state/varint.h"

namespace clicktally {
namespace {

constexpr std::size_t kFooterBytes = 53;
constexpr std::string_view kMagic("\xf7\xcf\xf4\x85\xb7\x41\xe2\x88", 8);
constexpr std::string_view kVersion("\x05\0\0\0", 4);
constexpr char kXxh3 = 4;
// No index and no list of properties of ours comes near it: what says more is damaged.
constexpr std::uint64_t kLongestBlock = 16 << 20;
// Of rows, which may be long dead letters: as much as LZ4 itself can say.
constexpr std::uint64_t kMostUnpacked = LZ4_MAX_INPUT_SIZE;
constexpr std::uint64_t kMostGrowth = 255;  // LZ4's format says no length in less
constexpr std::uint64_t kLongestFile = std::uint64_t{1} << 62;  // so that sums of two do not wrap
// rocksdb::CompressionType
constexpr char kNotCompressed = 0;
constexpr char kLz4 = 4;

// XXH3 of the block, with the byte behind it mixed in.
std::uint32_t checksum_of(std::string_view block, char kind) {
  const auto low = static_cast<std::uint32_t>(hash64(block));
  return low ^ static_cast<unsigned char>(kind) * 0x6b9083d9U;
}

absl::StatusOr<std::string> read_exactly(const RandomFile& file, std::uint64_t offset,
                                         std::size_t bytes, const absl::Status& damaged) {
  std::string out(bytes, '\0');
  auto got = file.read_at(offset, bytes, out.data());
  if (!got.ok()) return got.status();
  if (*got != bytes) return damaged;
  return out;
}

}  // namespace

std::optional<BlockHandle> take_handle(std::string_view* bytes) {
  const auto offset = take_varint(bytes);
  const auto length = take_varint(bytes);
  if (!offset || !length || *offset > kLongestFile || *length > kLongestFile) return std::nullopt;
  return BlockHandle{*offset, *length};
}

absl::StatusOr<std::optional<TableFooter>> read_footer(const RandomFile& file,
                                                       std::uint64_t size_bytes,
                                                       const absl::Status& damaged) {
  if (size_bytes < kFooterBytes) return std::nullopt;
  auto footer = read_exactly(file, size_bytes - kFooterBytes, kFooterBytes, damaged);
  if (!footer.ok()) return footer.status();
  std::string_view handles = *footer;
  if (!handles.ends_with(kMagic) || handles.front() != kXxh3) return std::nullopt;
  handles.remove_suffix(kMagic.size());
  if (!handles.ends_with(kVersion)) return damaged;
  handles.remove_prefix(1);
  const auto metaindex = take_handle(&handles);
  const auto index = take_handle(&handles);
  if (!metaindex || !index) return damaged;
  return TableFooter{*metaindex, *index};
}

bool is_sound(std::string_view stored) {
  if (stored.size() < kBlockTrailerBytes) return false;
  const std::size_t bytes = stored.size() - kBlockTrailerBytes;
  const auto* checksum = reinterpret_cast<const unsigned char*>(stored.data() + bytes + 1);
  return boost::endian::load_little_u32(checksum) ==
         checksum_of(stored.substr(0, bytes), stored[bytes]);
}

// How many bytes they were stands before LZ4's own, as a varint.
std::optional<std::string_view> unpack(std::string_view stored, std::string* unpacked) {
  const char kind = stored[stored.size() - kBlockTrailerBytes];
  std::string_view packed = stored.substr(0, stored.size() - kBlockTrailerBytes);
  if (kind == kNotCompressed) return packed;
  if (kind != kLz4) return std::nullopt;
  const auto bytes = take_varint(&packed);
  if (!bytes || *bytes > kMostUnpacked || *bytes > kMostGrowth * packed.size()) return std::nullopt;
  if (unpacked->size() < *bytes) unpacked->resize(*bytes);
  const int made = LZ4_decompress_safe(packed.data(), unpacked->data(),
                                       static_cast<int>(packed.size()), static_cast<int>(*bytes));
  if (made < 0 || static_cast<std::uint64_t>(made) != *bytes) return std::nullopt;
  return std::string_view(*unpacked).substr(0, *bytes);
}

absl::StatusOr<std::string> read_block(const RandomFile& file, std::uint64_t size_bytes,
                                       const BlockHandle& handle, const absl::Status& damaged) {
  if (handle.bytes > kLongestBlock || handle.end() > size_bytes) return damaged;
  auto stored = read_exactly(file, handle.offset, handle.bytes + kBlockTrailerBytes, damaged);
  if (stored.ok() && !is_sound(*stored)) return damaged;
  return stored;
}

}  // namespace clicktally
