// Reads a state in RocksDB as of one commit (state/count_store.h, CountView).
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "state/count_store.h"

namespace clicktally {

// What a word of RocksDB means to the store that it comes from.
using StatusWords = std::function<absl::Status(const rocksdb::Status&)>;

// As of now. Borrows `db`. Threads: made by the one that commits, used by any one.
std::unique_ptr<CountView> make_rocks_view(rocksdb::DB& db, StatusWords status);

}  // namespace clicktally
