// Questions to Kafka: what the topic looks like and which offsets it has. Every one is bounded,
// which rd_kafka_query_watermark_offsets() of librdkafka 2.0.2 is not; offsets are therefore asked
// by rd_kafka_offsets_for_times() with the protocol's special times (-2 the earliest, -1 the
// latest). Under read_committed the latest is the last stable offset, as the brokers answer it.
//
// Threads: any.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "source/kafka_handles.h"
#include "source/source.h"

namespace clicktally {

class KafkaEvents;

// What one question about the topic gave.
struct TopicAnswer {
  enum class Kind { kExists, kNoSuchTopic, kForbidden, kNoAnswer };
  Kind kind = Kind::kNoAnswer;
  std::vector<PartitionId> partitions;  // ascending
  std::string words;                    // why not kExists
};

class KafkaQueries {
 public:
  // All three must outlive this object.
  KafkaQueries(rd_kafka_t* handle, rd_kafka_topic_t* topic, KafkaEvents* events);

  // Asks again and again for at most `timeout`. See Source::describe().
  absl::StatusOr<TopicDescription> describe(std::chrono::milliseconds timeout);

  // One question each; kDeadlineExceeded or the brokers' refusal (kUnavailable).
  TopicAnswer ask_topic(std::chrono::milliseconds timeout);
  absl::StatusOr<std::map<PartitionId, Offset>> ask_earliest(const std::vector<PartitionId>& ids,
                                                             std::chrono::milliseconds timeout);
  absl::StatusOr<OffsetRange> ask_range(PartitionId id, std::chrono::milliseconds timeout);

  // Sends something small to the brokers that lead these partitions. The answer is of no interest:
  // it makes librdkafka's broker threads look whether they should fetch.
  void wake_brokers_of(const std::vector<PartitionId>& ids);

 private:
  using Offsets = absl::StatusOr<std::map<PartitionId, Offset>>;
  Offsets ask_offsets(const std::vector<PartitionId>& ids, Offset special_time,
                      std::chrono::milliseconds timeout);
  absl::StatusOr<TopicDescription> ask_offsets_of(const std::vector<PartitionId>& ids,
                                                  std::chrono::milliseconds timeout);
  std::string ask_cluster_id(std::chrono::milliseconds timeout);
  void serve_callbacks(std::chrono::milliseconds longest);

  rd_kafka_t* const handle_;
  rd_kafka_topic_t* const topic_;
  KafkaEvents* const events_;
  const std::string name_;
  const std::string bootstrap_servers_;
};

}  // namespace clicktally
