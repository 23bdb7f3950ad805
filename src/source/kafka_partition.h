// One partition on its way in: librdkafka's queue of it, the records taken out of the queue, and
// how far we are (OffsetTrack).
//
// librdkafka 2.0.2 stops fetching for a partition whose queue is full (queued.min.messages and
// queued.max.messages.kbytes) and looks again only after a second, unless its broker thread is
// woken by something else. A worker drains a full queue in a tenth of that. So we watch the length:
// when a queue that was full is half empty the partition is hungry, and the keeper wakes the broker
// thread.
//
// Threads: take() and give_back() are for the worker that claimed the partition; the wake-up is
// called by librdkafka's threads; is_hungry() is for any thread.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "source/kafka_errors.h"
#include "source/kafka_handles.h"
#include "source/offset_track.h"
#include "source/wake_up.h"

namespace clicktally {

class KafkaEvents;

class KafkaPartition {
 public:
  // Opens the partition's own queue. Must come before the partition is assigned, so that no record
  // can have gone to the consumer's common queue.
  KafkaPartition(rd_kafka_t* handle, const std::string& topic, PartitionId id, Offset next,
                 WakeUp* wake_up, KafkaEvents* events);
  // Must come after the partition was unassigned.
  ~KafkaPartition();
  KafkaPartition(const KafkaPartition&) = delete;
  KafkaPartition& operator=(const KafkaPartition&) = delete;

  PartitionId id() const { return id_; }
  OffsetTrack& track() { return track_; }

  // Fills an empty chunk with up to `most` records. The chunk may stay without progress. Returns a
  // trouble that is final, or an offset out of range: then librdkafka fetches no more, and what the
  // chunk holds is good.
  std::optional<PartitionTrouble> take(std::size_t most, RecordChunk* chunk);
  // Ends the life of the last chunk's values. True if there is more to take already.
  bool give_back();
  // Lets librdkafka fetch again from `offset`, below which it had delivered everything.
  absl::Status restart(rd_kafka_t* handle, Offset offset);

  // Whether the queue was full and is now at most half full; asking resets it.
  bool is_hungry() { return hungry_.exchange(false); }
  bool needs_feeding() const { return hungry_; }

 private:
  void pull(std::size_t most);
  void watch_length(std::size_t pulled);
  std::optional<PartitionTrouble> judge(const rd_kafka_message_t& message);

  const PartitionId id_;
  const std::string topic_;
  KafkaEvents* const events_;
  KafkaQueue queue_;
  const std::size_t full_records_;
  const std::size_t full_bytes_;

  OffsetTrack track_;
  // What was pulled and not given back: items_[0, given_) belong to the chunk that is out, the
  // others wait for their turn or for a higher limit. The vector's size only grows; count_ is what
  // is in use.
  std::vector<rd_kafka_message_t*> items_;
  std::size_t count_ = 0;
  std::size_t given_ = 0;
  bool queue_was_short_ = true;  // the last pull emptied the queue

  bool was_full_ = false;
  std::atomic<bool> hungry_ = false;
};

}  // namespace clicktally
