// RocksDB's view of bytes, and ours. Both borrow.
#pragma once

#include <rocksdb/slice.h>

#include <string_view>

namespace clicktally {

inline rocksdb::Slice slice_of(std::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
inline std::string_view view_of(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace clicktally
