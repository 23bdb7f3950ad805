// What we plug into RocksDB: how counts merge, what a table file says of itself, and where
// RocksDB's own messages go. Private to this room.
#pragma once

#include <rocksdb/listener.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/options.h>
#include <rocksdb/status.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/disk.h"
#include "model/digest.h"
#include "state/count_store.h"
#include "state/rocks_file_system.h"

namespace clicktally {

// The user property under which a table file carries the digest of its own entries.
inline constexpr char kDigestProperty[] = "clicktally.digest";

// From where on the dead letters of each partition are still needed. Compactions ask it from
// threads of RocksDB.
class DeadLetterFloors {
 public:
  void raise(const std::map<PartitionId, Offset>& floors);
  std::map<PartitionId, Offset> get() const;

 private:
  mutable std::mutex mutex_;
  std::map<PartitionId, Offset> floors_;
};

// Wakes a commit that waits for compaction, and keeps the first error of background work.
class CompactionWatch final : public rocksdb::EventListener {
 public:
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    const std::lock_guard lock(mutex_);
    if (error_.ok()) error_ = *status;
    changed_.notify_all();
  }
  rocksdb::Status error() const {
    const std::lock_guard lock(mutex_);
    return error_;
  }
  template <typename Condition>
  rocksdb::Status wait_until(Condition condition) {
    std::unique_lock lock(mutex_);
    while (error_.ok()) {
      lock.unlock();  // the condition asks RocksDB, which may be calling us
      const bool met = condition();
      lock.lock();
      if (met) break;
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    return error_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  rocksdb::Status error_;
};

// Options that every opening of a state shares. `env` outlives the database.
rocksdb::Options rocks_options(const CountStoreOptions& options, rocksdb::Env* env,
                               std::shared_ptr<const DeadLetterFloors> floors);

// RocksDB's words for a person: said once, and with the name that the file has.
std::string words_of(const rocksdb::Status& status);

// The digest that a table file carries; nothing if it carries none or one that is marked as wrong.
std::optional<Digest> digest_property(const rocksdb::TableProperties& properties);

}  // namespace clicktally
