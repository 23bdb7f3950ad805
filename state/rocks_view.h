// Reads a state in RocksDB as of one commit (state/count_store.h, CountView).
#pragma once

#include <rocksdb/db.h>

#include <memory>

#include "state/count_store.h"
#include "state/rocks_parts.h"

namespace clicktally {

// As of now. Borrows `db`. Threads: made by the one that commits, used by any one.
std::unique_ptr<CountView> make_rocks_view(rocksdb::DB& db, StatusWords status);

// The same of a state that nobody writes to: whole scans take a fifth
// (state/rocks_settled_counts.h). Borrows `disk` too.
std::unique_ptr<CountView> make_settled_view(Disk& disk, rocksdb::DB& db, StatusWords status);

}  // namespace clicktally
