// --max-offsets-per-trigger: how many offsets of each partition a batch may still take.
#pragma once

#include <cstdint>
#include <map>

#include "model/record.h"

namespace clicktally {

// Shares `quota` offsets over the partitions in proportion to their backlog (offsets not read yet).
// The shares add up to `quota` exactly when there are partitions; while the quota lasts, every
// partition with a backlog gets at least one, beginning with partition `turn` (mod their number),
// so that a quota smaller than the number of partitions starves none over several batches. What the
// backlogs do not need is shared evenly: it is for records that arrive meanwhile.
std::map<PartitionId, std::int64_t> share_quota(std::int64_t quota,
                                                const std::map<PartitionId, std::int64_t>& backlog,
                                                std::int64_t turn);

}  // namespace clicktally
