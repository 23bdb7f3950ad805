// librdkafka's mock Kafka cluster: brokers on loopback ports of this process, records in memory.
//
// What it is not: a partition keeps 5 MiB or 100,000 batches and drops the oldest beyond; a fetch
// gets one batch; transactions are taken but an aborted one's records stay visible; there is no
// topic creation or deletion over the wire (a client that asks for a topic makes it), no TLS, no
// SASL, no disk. A partition's leader does not move by itself when its broker is down.
//
// For one thread. Errors are kInvalidArgument, in librdkafka's words.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clicktally {

struct TopicSpec {
  std::string name;
  int partitions = 0;
  int replication = 0;
};

class MockCluster {
 public:
  // Brokers are numbered from 1. Goes away, records and all, with the object.
  static absl::StatusOr<std::unique_ptr<MockCluster>> start(int brokers);
  virtual ~MockCluster() = default;

  // "127.0.0.1:PORT,127.0.0.1:PORT,...", one a broker, in the order of their numbers.
  virtual std::string bootstrap_servers() const = 0;

  virtual absl::Status create_topic(const TopicSpec& topic) = 0;
  virtual absl::Status set_leader(const std::string& topic, int partition, int broker) = 0;
  virtual absl::Status set_down(int broker) = 0;
  virtual absl::Status set_up(int broker) = 0;
  virtual absl::Status set_round_trip_ms(int broker, int milliseconds) = 0;
};

}  // namespace clicktally
