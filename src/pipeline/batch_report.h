// A line of log for each batch: what its records were. One that held rejected or repeated records
// is told at info, the first of them by its place, and at most once a second: a topic full of
// rubbish must not fill the log too. All others are told at debug.
//
// Threads: one. Errors: none.
#pragma once

#include <cstdint>

#include "aggregate/accumulator.h"
#include "base/clock.h"
#include "model/commit_record.h"

namespace clicktally {

class BatchReport {
 public:
  explicit BatchReport(const Clock& clock) : clock_(clock) {}  // borrowed

  void say(BatchId batch, const BatchDeltas& deltas);

 private:
  const Clock& clock_;
  std::int64_t said_ms_ = 0;  // when the last one was told at info, on the monotonic clock
};

}  // namespace clicktally
