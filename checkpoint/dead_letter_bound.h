// Keeps the dead letters of a checkpoint within a bound: the newest stay, the oldest are dropped
// and counted as dropped (I9). Oldest is the lowest batch, within a batch the earliest time the
// broker gave, then the lowest partition; within a partition always the lowest offset.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "model/commit_record.h"
#include "model/dead_letter.h"
#include "state/count_store.h"

namespace clicktally {

// Adds `added` (sorted) to what the partitions of `next` say is kept, and drops what is too much:
// from the state, by raising first offsets in `next`, and from `added` itself. `view` is the state
// before the commit. The work follows what is dropped, not what is kept.
absl::Status bound_dead_letters(std::int64_t most_bytes, const CountView& view, CommitRecord* next,
                                std::vector<DeadLetter>* added);

// The offsets below which a committed record needs no dead letters.
std::map<PartitionId, Offset> dead_letter_floors(const CommitRecord& record);

}  // namespace clicktally
