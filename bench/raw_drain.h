// The limit that a drain is measured against: a topic is consumed from its earliest offsets to the
// ends listed at the start, and nothing is done with the records but counting them and their bytes.
//
// Two ways, both with the very librdkafka settings of the product:
//   drain_by_source   the product's own Source: claims, offset checks, chunks; no decoding
//   drain_plainly     librdkafka alone: one thread, batches from the consumer's queue
//
// Errors are the Source's; nothing is retried.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "source/source.h"

namespace clicktally {

struct Drained {
  std::int64_t records = 0;
  std::int64_t bytes = 0;  // of the records' values
};

// `chunk` is the most records that a worker polls at once.
absl::StatusOr<Drained> drain_by_source(const SourceOptions& options, int workers,
                                        std::size_t chunk);
absl::StatusOr<Drained> drain_plainly(const SourceOptions& options);

}  // namespace clicktally
