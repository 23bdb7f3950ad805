#include "state/rocks_table_check.h"

#include <optional>
#include <string_view>

#include "state/rocks_blocks.h"
#include "state/varint.h"

namespace clicktally {
namespace {

constexpr std::string_view kPropertiesName = "rocksdb.properties";

// The entries are whole (restart interval 1): shared, own and value lengths, key, value.
std::optional<BlockHandle> find_properties(std::string_view metaindex) {
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
  auto footer = read_footer(file, size_bytes, damaged("its end"));
  if (!footer.ok()) return footer.status();
  if (!*footer) return absl::OkStatus();
  auto metaindex =
      read_block(file, size_bytes, (*footer)->metaindex, damaged("the list of its blocks"));
  if (!metaindex.ok()) return metaindex.status();
  metaindex->resize(metaindex->size() - kBlockTrailerBytes);
  const auto properties_at = find_properties(*metaindex);
  if (!properties_at) return damaged("the list of its blocks names no properties");
  return read_block(file, size_bytes, *properties_at, damaged("its properties")).status();
}

}  // namespace clicktally
