// Where records come from: a topic's partitions, each read in order from an offset that we name.
// Nothing of the broker's own position-keeping is ever used.
//
// Life: describe() until Kafka answers -> start() once -> workers poll() and release() chunks, one
// other thread rules with set_limits(), status(), take_new_partitions() -> stop().
//
// Order. A chunk claims its partition until it is released, so at any moment one worker holds a
// partition, and any worker may take whichever partition has records: the load balances itself, and
// a partition's records are still folded one after the other. Every offset is compared with the
// partition's next: a lower one is dropped and counted as repeated, a higher one is a counted gap.
//
// Threads: poll, release and wait are for any number of workers at once; the rest is for one
// thread.
//
// Errors of poll are final: the source must not be polled again, and the batch that was being
// filled must not be committed.
//   kOutOfRange     Kafka no longer has an offset that was not counted
//   kDataLoss       never (it speaks of the checkpoint)
//   kUnavailable    Kafka refuses: authorisation, a topic that went away, a record of a wrong CRC
// Passing troubles (brokers away, leaders moving) are not errors: poll finds nothing meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/record.h"

namespace clicktally {

enum class IsolationLevel { kReadCommitted, kReadUncommitted };

struct SourceOptions {
  std::string bootstrap_servers = "localhost:9092";
  std::string topic = "clickstream_events";
  IsolationLevel isolation = IsolationLevel::kReadCommitted;
  // Memory for records that wait, in bytes, and how many partitions share it (at least one).
  std::int64_t queue_bytes = 128 << 20;
  std::size_t partitions = 1;
  // Passed to librdkafka as they are; checked by check_source_property() before.
  std::vector<std::pair<std::string, std::string>> properties;
};

// The offsets that Kafka had for a partition at one moment.
struct OffsetRange {
  Offset earliest = 0;
  Offset latest = 0;  // the offset after the last record that the isolation level lets us see
  friend bool operator==(const OffsetRange&, const OffsetRange&) = default;
};

struct TopicDescription {
  std::string cluster_id;
  std::map<PartitionId, OffsetRange> partitions;
};

struct PartitionStatus {
  Offset next = 0;           // the first offset not handed out yet
  Offset latest_known = -1;  // the log's end as of the last fetch; -1 before the first
};

class Source {
 public:
  virtual ~Source() = default;

  // Asks Kafka, for at most `timeout`. kDeadlineExceeded while it does not answer: ask again.
  // kUnavailable: it answered and the answer will not get better (no such topic, no rights, ...).
  virtual absl::StatusOr<TopicDescription> describe(std::chrono::milliseconds timeout) = 0;

  // Begins to fetch the named partitions, each from its offset. Nothing is handed out beyond a
  // limit (see set_limits); at first there is none.
  virtual absl::Status start(const std::map<PartitionId, Offset>& next) = 0;

  // Takes the next run of records, at most `most`, of a partition that no other worker holds. False
  // when there is nothing now. The chunk's values live until release(), which must come before the
  // chunk is used again; after false or an error there is nothing to release. A chunk can have no
  // records and still move its partition on.
  virtual absl::StatusOr<bool> poll(std::size_t most, RecordChunk* chunk) = 0;
  virtual void release(RecordChunk* chunk) = 0;
  // Returns when there may be something to poll, or after `longest`.
  virtual void wait(std::chrono::milliseconds longest) = 0;

  // Records at or beyond a partition's limit stay inside until the limit is raised; a partition
  // that is not named has none. Only while no worker holds a chunk.
  virtual void set_limits(const std::map<PartitionId, Offset>& limits) = 0;
  virtual std::map<PartitionId, PartitionStatus> status() = 0;

  // Partitions of the topic that start() did not name; they are being read from their beginning,
  // and have no limit. The offsets given are those beginnings. Only while no worker holds a chunk.
  virtual absl::StatusOr<std::map<PartitionId, Offset>> take_new_partitions() = 0;

  // Tells the consumer group how far the checkpoint is, so that ordinary lag tools work. Advisory:
  // never waits, and its failure is at most a log line.
  virtual void report_committed(const std::map<PartitionId, Offset>& next) = 0;

  // Ends fetching, after the last report had up to a second to arrive. No worker may be inside poll
  // or wait; chunks that were not released lose their values. Bounded to about three seconds.
  virtual void stop() = 0;
};

}  // namespace clicktally
