// Reads a table file back, whole. Private to this room.
//
// I4 of one file: what it says of itself (its digest property, by which every start adds up the
// files) is what its rows are. RocksDB's checksums are compared on the way, block by block.
#pragma once

#include <rocksdb/options.h>

#include <string>

#include "state/count_store.h"

namespace clicktally {

// Corruption if checksums or digest disagree, Aborted if `pace` said so.
rocksdb::Status scan_table(const rocksdb::Options& options, const std::string& path,
                           const ScanPace& pace);

}  // namespace clicktally
