// Reads a state in RocksDB as of one commit (state/count_store.h, CountView).
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "state/count_store.h"
#include "state/rocks_settled_counts.h"

namespace clicktally {

// What a status of RocksDB means to the store that it comes from.
using StatusWords = std::function<absl::Status(const rocksdb::Status&)>;

// As of now. Borrows `db`. Threads: made by the one that commits, used by any one.
std::unique_ptr<CountView> make_rocks_view(rocksdb::DB& db, StatusWords status);

// The same of a state that was opened to be read: whole scans take a sixth of the time. `counts`
// are asked for by each scan, and borrowed.
using AskCounts = std::function<absl::StatusOr<const SettledCounts*>()>;
std::unique_ptr<CountView> make_settled_view(rocksdb::DB& db, StatusWords status, AskCounts counts);

}  // namespace clicktally
