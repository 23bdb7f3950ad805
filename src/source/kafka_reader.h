// KafkaReader, the Source over librdkafka: the claims on partitions and the life of the handle.
// What one partition does is in kafka_partition.h, the thread beside the workers in kafka_keeper.h.
//
// Locks: mutex_ guards the list of partitions, who claims which, limits and published offsets, and
// is never held while librdkafka is called or records are taken. A partition's own state belongs to
// the worker that claims it.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "source/kafka_events.h"
#include "source/kafka_handles.h"
#include "source/kafka_keeper.h"
#include "source/kafka_partition.h"
#include "source/kafka_queries.h"
#include "source/source.h"
#include "source/wake_up.h"

namespace clicktally {

class KafkaReader final : public Source {
 public:
  // Takes a handle of a consumer whose conf `events` is attached to.
  KafkaReader(rd_kafka_t* handle, std::shared_ptr<KafkaEvents> events, KafkaTopic topic);
  ~KafkaReader() override;
  KafkaReader(const KafkaReader&) = delete;
  KafkaReader& operator=(const KafkaReader&) = delete;

  absl::StatusOr<TopicDescription> describe(std::chrono::milliseconds timeout) override;
  absl::Status start(const std::map<PartitionId, Offset>& next) override;
  absl::StatusOr<bool> poll(std::size_t most, RecordChunk* chunk) override;
  void release(RecordChunk* chunk) override;
  void wait(std::chrono::milliseconds longest) override;
  void set_limits(const std::map<PartitionId, Offset>& limits) override;
  std::map<PartitionId, PartitionStatus> status() override;
  absl::StatusOr<std::map<PartitionId, Offset>> take_new_partitions() override;
  void report_committed(const std::map<PartitionId, Offset>& next) override;
  void stop() override;

 private:
  struct Slot {
    Slot(rd_kafka_t* handle, const std::string& topic, PartitionId id, Offset first,
         WakeUp* wake_up, KafkaEvents* events)
        : partition(handle, topic, id, first, wake_up, events), next(first) {}

    KafkaPartition partition;  // belongs to the claimer
    bool claimed = false;      // guarded by mutex_, as the rest
    // A broker says that this offset is out of range: the partition rests until that is settled.
    std::optional<PartitionTrouble> doubted;
    Offset next;  // as the last claimer left it
    Offset limit = OffsetTrack::kNoLimit;
  };

  absl::Status assign(const std::map<PartitionId, Offset>& next);
  // The `number`-th slot, if it is free, below its limit and not in doubt; else null.
  Slot* claim(std::size_t number);
  // After a take: true if the chunk has progress and goes out; if not, the claim ends.
  bool publish(Slot* slot, std::size_t number, const RecordChunk& chunk,
               const std::optional<PartitionTrouble>& doubted);
  Slot* slot_of(PartitionId id) const;  // null if there is none
  std::vector<PartitionId> hungry();
  std::vector<PartitionTrouble> doubted();
  void resume(PartitionId id);
  void fail(absl::Status status);
  absl::Status failure() const;

  rd_kafka_t* handle_;
  const std::shared_ptr<KafkaEvents> events_;
  KafkaTopic topic_;
  const std::string topic_name_;
  KafkaQueries queries_;
  WakeUp wake_up_;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Slot>> slots_;  // ascending by partition
  std::size_t turn_ = 0;                      // where the next poll begins to look
  absl::Status failure_;                      // the first that ends the job

  std::atomic<bool> failed_ = false;
  std::unique_ptr<KafkaKeeper> keeper_;  // while started
};

}  // namespace clicktally
