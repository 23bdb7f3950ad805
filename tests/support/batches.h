// A small job without Kafka: its batches have known contents, so that a test knows what the state
// of any batch must be. The oracle is arithmetic, not the product.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "state/count_store.h"

namespace clicktally {

// A state in which batches of forty users take one commit path, and larger ones the other.
inline absl::StatusOr<std::unique_ptr<CountStore>> open_small_state(Disk& disk,
                                                                    const std::string& path,
                                                                    OpenMode mode) {
  CountStoreOptions options;
  options.ingest_above_users = 40;
  options.most_logged_rows = 8;
  return open_count_store(disk, path, mode, options);
}

// Batch b gives each user u in [-users/2, users/2) and the NULL group 1 + (b + u) mod 3 clicks, all
// read from partition 0.
class Batches {
 public:
  explicit Batches(int users) : users_(users) {}

  static CommitRecord start() {
    CommitRecord record;
    record.job = {.cluster_id = "cluster", .topic = "topic"};
    record.partitions[0] = {.start = 10, .next = 10, .last = {}, .counters = {}};
    return record;
  }
  std::vector<UserClicks> changed(BatchId batch) const {
    std::vector<UserClicks> rows{{kNullUser, 1}};
    for (int user = -users_ / 2; user < users_ - users_ / 2; ++user) {
      rows.push_back({user, 1 + (batch + user + users_) % 3});
    }
    return rows;
  }
  CommitRecord next(const CommitRecord& last) const {
    CommitRecord record = last;
    ++record.batch;
    record.time_ms = 1'700'000'000'000 + 1000 * record.batch;
    for (const UserClicks& row : changed(record.batch)) {
      record.partitions[0].next += row.clicks;
      record.partitions[0].counters.clicks += row.clicks;
      if (row.user == kNullUser) record.partitions[0].counters.null_users[0] += row.clicks;
      record.digest += digest_of(row.user, row.clicks);
    }
    return record;
  }
  // The next batch, committed and shown.
  absl::Status commit(Checkpoint& checkpoint) const {
    const CommitRecord record = next(checkpoint.last());
    const auto rows = changed(record.batch);
    if (absl::Status s = checkpoint.commit(record, rows); !s.ok()) return s;
    return checkpoint.mark_shown();
  }
  // What a state whose last batch is `last` must hold.
  std::map<UserKey, std::int64_t> counts_at(BatchId last) const {
    std::map<UserKey, std::int64_t> counts;
    for (BatchId batch = 0; batch <= last; ++batch) {
      for (const UserClicks& row : changed(batch)) counts[row.user] += row.clicks;
    }
    return counts;
  }
  static std::map<UserKey, std::int64_t> counts_of(const CountView& view) {
    std::map<UserKey, std::int64_t> counts;
    const absl::Status scanned = view.scan(kFirstUser, kLastUser, [&](const UserCount& count) {
      counts[count.user] = count.clicks;
      return true;
    });
    EXPECT_TRUE(scanned.ok()) << scanned;
    return counts;
  }

 private:
  int users_;
};

}  // namespace clicktally
