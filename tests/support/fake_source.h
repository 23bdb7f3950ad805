// A log in memory that behaves as a Source must: the records of each partition, in order, handed to
// any number of workers; with limits, failures and new partitions at a test's command.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "source/source.h"

namespace clicktally {

inline std::string click_of(int user) {
  return "{\"user_id\": " + std::to_string(user) + ", \"action\": \"click\"}";
}

class FakeSource final : public Source {
 public:
  explicit FakeSource(int partitions) {
    for (int id = 0; id < partitions; ++id) logs_[id];
  }

  // --- The test's side ---
  void append(PartitionId partition, std::string value) {
    const std::lock_guard lock(mutex_);
    logs_[partition].push_back(std::move(value));
    arrived_.notify_all();
  }
  void fail(absl::Status status) {
    const std::lock_guard lock(mutex_);
    failure_ = std::move(status);
    arrived_.notify_all();
  }
  // What poll() does then, in a worker.
  void throw_from_poll(std::function<void()> thrower) {
    const std::lock_guard lock(mutex_);
    thrower_ = std::move(thrower);
  }
  void add_partition(PartitionId id, Offset earliest = 0) {
    const std::lock_guard lock(mutex_);
    logs_[id];
    added_[id] = earliest;
  }
  // As if retention had deleted what lies before `offset`.
  void expire(PartitionId partition, Offset offset) {
    const std::lock_guard lock(mutex_);
    earliest_[partition] = offset;
  }
  // As if its leader were down: it has records, and none can be read.
  void block_partition(PartitionId id) {
    const std::lock_guard lock(mutex_);
    claimed_.insert(id);
  }
  std::map<PartitionId, Offset> reported() const {
    const std::lock_guard lock(mutex_);
    return reported_;
  }
  std::map<PartitionId, Offset> limits() const {
    const std::lock_guard lock(mutex_);
    return limits_;
  }

  // --- The pipeline's side ---
  absl::StatusOr<TopicDescription> describe(std::chrono::milliseconds) override {
    const std::lock_guard lock(mutex_);
    TopicDescription topic{.cluster_id = "fake", .partitions = {}};
    for (const auto& [id, log] : logs_) {
      topic.partitions[id] = {earliest_[id], static_cast<Offset>(log.size())};
    }
    return topic;
  }
  absl::Status start(const std::map<PartitionId, Offset>& next) override {
    const std::lock_guard lock(mutex_);
    next_ = next;
    return absl::OkStatus();
  }
  absl::StatusOr<bool> poll(std::size_t most, RecordChunk* chunk) override {
    const std::lock_guard lock(mutex_);
    if (thrower_) thrower_();
    if (!failure_.ok()) return failure_;
    for (auto& [id, next] : next_) {
      const auto limit = limits_.find(id);
      const std::vector<std::string>& log = logs_[id];
      Offset end = static_cast<Offset>(log.size());
      if (limit != limits_.end()) end = std::min(end, limit->second);
      if (next >= end || claimed_.contains(id)) continue;
      end = std::min<Offset>(end, next + static_cast<Offset>(most));
      *chunk = RecordChunk{.partition = id, .next_before = next, .next_after = end, .records = {}};
      for (Offset at = next; at < end; ++at) {
        // Strings of a std::vector that grows move; their bytes must outlive the claim.
        held_[id].push_back(log[static_cast<std::size_t>(at)]);
      }
      for (std::size_t i = 0; i < held_[id].size(); ++i) {
        chunk->records.push_back({.offset = next + static_cast<Offset>(i),
                                  .timestamp_ms = 1000,
                                  .value = held_[id][i],
                                  .tombstone = false});
      }
      next = end;
      claimed_.insert(id);
      return true;
    }
    return false;
  }
  void release(RecordChunk* chunk) override {
    const std::lock_guard lock(mutex_);
    claimed_.erase(chunk->partition);
    held_[chunk->partition].clear();
    arrived_.notify_all();
  }
  void wait(std::chrono::milliseconds longest) override {
    std::unique_lock lock(mutex_);
    arrived_.wait_for(lock, std::min(longest, std::chrono::milliseconds(5)));
  }
  void set_limits(const std::map<PartitionId, Offset>& limits) override {
    const std::lock_guard lock(mutex_);
    limits_ = limits;
    arrived_.notify_all();
  }
  std::map<PartitionId, PartitionStatus> status() override {
    const std::lock_guard lock(mutex_);
    std::map<PartitionId, PartitionStatus> out;
    for (const auto& [id, next] : next_) {
      out[id] = {next, static_cast<Offset>(logs_[id].size())};
    }
    return out;
  }
  absl::StatusOr<std::map<PartitionId, Offset>> take_new_partitions() override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, begin] : added_) next_[id] = begin;
    return std::exchange(added_, {});
  }
  void report_committed(const std::map<PartitionId, Offset>& next) override {
    const std::lock_guard lock(mutex_);
    reported_ = next;
  }
  void stop() override {}

 private:
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<PartitionId, std::vector<std::string>> logs_;
  std::map<PartitionId, std::vector<std::string>> held_;
  std::map<PartitionId, Offset> next_, limits_, added_, reported_, earliest_;
  std::set<PartitionId> claimed_;
  absl::Status failure_;
  std::function<void()> thrower_;
};

}  // namespace clicktally
