// What must be true of a topic before records are sent to it.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

#include "absl/status/statusor.h"
#include "tools/producer/event_output.h"

namespace clicktally {

// An object of librdkafka and the function that ends it.
template <auto destroy>
struct DestroyBy {
  template <typename T>
  void operator()(T* object) const {
    destroy(object);
  }
};
template <typename T, auto destroy>
using Owned = std::unique_ptr<T, DestroyBy<destroy>>;

// How many partitions the topic has, once each of them has a leader; creates it first if it is not
// there and the options say so. Blocks for up to a minute. kNotFound, or kUnavailable.
absl::StatusOr<int> prepare_topic(rd_kafka_t* client, const KafkaOutputOptions& options);

}  // namespace clicktally
