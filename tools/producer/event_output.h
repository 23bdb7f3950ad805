// Where the events go: a Kafka topic, or lines on stdout. For one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clicktally {

class EventOutput {
 public:
  virtual ~EventOutput() = default;

  // Takes one record; `value` is not a null pointer and may be reused on return.
  // kResourceExhausted: no room now, wait and offer the same record again. Any other error: this
  // record was not taken and nothing more will be; finish() says how many were lost.
  virtual absl::Status send(std::string_view value) = 0;

  // Lets time pass, for a free place or for the next record's time.
  virtual void wait(int milliseconds) = 0;

  // Waits until every record taken is stored. OK means all of them are, each exactly once; any
  // error means that how many are stored is not known, and what a truth file would say neither.
  virtual absl::Status finish() = 0;
};

struct KafkaOutputOptions {
  std::string bootstrap_servers = "localhost:9092";
  std::string topic = "clickstream_events";
  int create_partitions = 0;  // above 0: create the topic if it is not there
  int create_replication = 0;
  std::vector<std::pair<std::string, std::string>> properties;  // to librdkafka, last word
};

// An idempotent producer. Records go to the topic's partitions in turn, whoever their user is, and
// have no key. Blocks until the topic is known. kUnavailable when no broker answers, kNotFound
// without the topic, kInvalidArgument for a property that librdkafka does not know.
absl::StatusOr<std::unique_ptr<EventOutput>> make_kafka_output(const KafkaOutputOptions& options);

// One record a line.
std::unique_ptr<EventOutput> make_print_output();

}  // namespace clicktally
