// Records on their way from the source to the aggregate.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace clicktally {

using PartitionId = std::int32_t;
using Offset = std::int64_t;

struct Record {
  Offset offset = 0;
  std::int64_t timestamp_ms = 0;  // as the broker has it; -1 if it has none
  std::string_view value;         // borrowed from the source until the chunk is released
  bool tombstone = false;         // a null value, which is not an empty one
};

// A run of records of one partition, in offset order. Its progress:
//   next_before + records.size() + gaps == next_after        (I7)
struct RecordChunk {
  PartitionId partition = -1;
  Offset next_before = 0;
  Offset next_after = 0;
  std::int64_t gaps = 0;      // offsets that hold no record for us: control, compacted, aborted
  std::int64_t repeated = 0;  // records below next_before, dropped
  std::vector<Record> records;
};

}  // namespace clicktally
