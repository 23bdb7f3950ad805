// The Source that reads Apache Kafka through librdkafka (the only room that knows that library).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "source/source.h"

namespace clicktally {

// kInvalidArgument, with librdkafka's words, for a property it does not know.
absl::StatusOr<std::unique_ptr<Source>> make_kafka_source(const SourceOptions& options);

// True if so many partitions share the memory for waiting records that their queues must be smaller
// than is best. A source cannot change its queues: make another one.
bool has_small_queues(const SourceOptions& options);

// kInvalidArgument with the reason for a property that the user may not set: it would break a
// guarantee (where offsets live, what is read) or load code.
absl::Status check_source_property(std::string_view name, std::string_view value);

}  // namespace clicktally
