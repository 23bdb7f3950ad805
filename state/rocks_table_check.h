// Proves the properties of a table file before RocksDB reads them.
//
// RocksDB 7.8 takes the block of a file's properties apart first and looks at its checksum
// afterwards; bytes that are wrong end the process there, by an assertion or a bad address, where
// damage must be told (I5). Every other block is checked first.
//
// Threads: any. Errors: kDataLoss for what is damaged here; what the disk said if it refused. A
// file that is no such table at all is left for RocksDB to refuse, which it does in order.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/disk.h"

namespace clicktally {

absl::Status check_table_properties(const RandomFile& file, std::uint64_t size_bytes,
                                    const std::string& path);

}  // namespace clicktally
