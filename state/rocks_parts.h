// What we plug into RocksDB: how counts merge, what a table file says of itself, and where
// RocksDB's own messages go. Private to this room.
#pragma once

#include <rocksdb/merge_operator.h>
#include <rocksdb/options.h>

#include <memory>
#include <optional>
#include <string>

#include "base/disk.h"
#include "model/digest.h"
#include "state/count_store.h"
#include "state/rocks_file_system.h"

namespace clicktally {

// The user property under which a table file carries the digest of its own entries.
inline constexpr char kDigestProperty[] = "clicktally.digest";

// Options that every opening of a state shares. `file_system` and `env` outlive the database.
rocksdb::Options rocks_options(const CountStoreOptions& options, rocksdb::Env* env);

// The digest that a table file carries; nothing if it carries none or one that is marked as wrong.
std::optional<Digest> digest_property(const rocksdb::TableProperties& properties);

}  // namespace clicktally
