// A rejected record, kept whole so that a person can look at it and send it again.
#pragma once

#include <cstdint>
#include <string>

#include "model/commit_record.h"

namespace clicktally {

struct DeadLetter {
  PartitionId partition = -1;
  Offset offset = -1;
  std::int64_t timestamp_ms = -1;  // as the broker has it
  BatchId batch = kNoBatch;        // the batch in which it was rejected
  RejectionCause cause = RejectionCause::kNotJson;
  std::string detail;  // printable ASCII, for a person
  std::string value;   // the bytes; none for a tombstone

  // What it counts for against the bound on all that are kept.
  std::int64_t bytes() const {
    return kOverhead + static_cast<std::int64_t>(detail.size() + value.size());
  }
  friend bool operator==(const DeadLetter&, const DeadLetter&) = default;

 private:
  static constexpr std::int64_t kOverhead = 64;  // key, times, and its share of a table file
};

// By partition, and by offset within it: the order in which they are stored.
inline bool stands_before(const DeadLetter& left, const DeadLetter& right) {
  if (left.partition != right.partition) return left.partition < right.partition;
  return left.offset < right.offset;
}

}  // namespace clicktally
