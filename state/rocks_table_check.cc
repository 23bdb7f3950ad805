#include "state/rocks_table_check.h"

#include <boost/endian/conversion.hpp>
#include <optional>
#include <string_view>

#include "base/hash.h"
#include "state/varint.h"

namespace clicktally {
namespace {

constexpr std::size_t kFooterBytes = 53;
constexpr std::size_t kTrailerBytes = 5;
constexpr std::string_view kMagic("\xf7\xcf\xf4\x85\xb7\x41\xe2\x88", 8);
constexpr char kXxh3 = 4;
constexpr std::string_view kPropertiesName = "rocksdb.properties";
// No file of ours comes near it: what says more is damaged.
constexpr std::uint64_t kLongestBlock = 16 << 20;

struct Handle {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

std::optional<Handle> take_handle(std::string_view* bytes) {
  const auto offset = take_varint(bytes);
  const auto length = take_varint(bytes);
  if (!offset || !length) return std::nullopt;
  return Handle{*offset, *length};
}

// XXH3 of the block, with the byte behind it mixed in.
std::uint32_t checksum_of(std::string_view block, char kind) {
  const auto low = static_cast<std::uint32_t>(hash64(block));
  return low ^ static_cast<unsigned char>(kind) * 0x6b9083d9U;
}

absl::StatusOr<std::string> read_exactly(const RandomFile& file, std::uint64_t offset,
                                         std::size_t bytes) {
  std::string out(bytes, '\0');
  auto got = file.read_at(offset, bytes, out.data());
  if (!got.ok()) return got.status();
  out.resize(*got);
  return out;
}

// Its bytes, if it is where it can be and its checksum is right; else kDataLoss without words.
absl::StatusOr<std::string> read_block(const RandomFile& file, std::uint64_t size_bytes,
                                       const Handle& handle) {
  const absl::Status damaged = absl::DataLossError("");
  if (handle.bytes > kLongestBlock || handle.offset > size_bytes) return damaged;
  const std::size_t bytes = handle.bytes + kTrailerBytes;
  auto block = read_exactly(file, handle.offset, bytes);
  if (!block.ok()) return block;
  if (block->size() != bytes) return damaged;
  const std::string_view trailer = std::string_view(*block).substr(handle.bytes);
  const std::string_view body = std::string_view(*block).substr(0, handle.bytes);
  const auto* checksum = reinterpret_cast<const unsigned char*>(trailer.data() + 1);
  if (boost::endian::load_little_u32(checksum) != checksum_of(body, trailer[0])) return damaged;
  block->resize(handle.bytes);
  return block;
}

// The entries are whole (restart interval 1): shared, own and value lengths, key, value.
std::optional<Handle> find_properties(std::string_view metaindex) {
  while (!metaindex.empty()) {
    const auto shared = take_varint(&metaindex);
    const auto own = take_varint(&metaindex);
    const auto length = take_varint(&metaindex);
    if (!shared || !own || !length || *shared != 0) return std::nullopt;
    if (*own > metaindex.size() || *length > metaindex.size() - *own) return std::nullopt;
    std::string_view value = metaindex.substr(*own, *length);
    if (metaindex.substr(0, *own) == kPropertiesName) return take_handle(&value);
    metaindex.remove_prefix(*own + *length);
  }
  return std::nullopt;
}

}  // namespace

absl::Status check_table_properties(const RandomFile& file, std::uint64_t size_bytes,
                                    const std::string& path) {
  const auto damaged = [&](std::string_view what) {
    return absl::DataLossError(path + ": damaged: " + std::string(what));
  };
  if (size_bytes < kFooterBytes) return absl::OkStatus();
  auto footer = read_exactly(file, size_bytes - kFooterBytes, kFooterBytes);
  if (!footer.ok()) return footer.status();
  if (!footer->ends_with(kMagic) || footer->front() != kXxh3) return absl::OkStatus();
  std::string_view handles = std::string_view(*footer).substr(1);
  const auto metaindex_at = take_handle(&handles);
  if (!metaindex_at) return damaged("its end");
  auto metaindex = read_block(file, size_bytes, *metaindex_at);
  if (absl::IsDataLoss(metaindex.status())) return damaged("the list of its blocks");
  if (!metaindex.ok()) return metaindex.status();
  const auto properties_at = find_properties(*metaindex);
  if (!properties_at) return damaged("the list of its blocks names no properties");
  const absl::Status read = read_block(file, size_bytes, *properties_at).status();
  return absl::IsDataLoss(read) ? damaged("its properties") : read;
}

}  // namespace clicktally
