// How --memory-limit is divided. What is not divided is kept for the program itself, librdkafka's
// and RocksDB's own structures, memtables, a table file being built and compaction (I9).
//
//     limit - reserve =  35 %  records that wait, in librdkafka's queues of all partitions
//                      + 48 %  deltas: the batch being filled has a third of it, the batch being
//                              committed meanwhile two, for its runs are merged into new ones;
//                              then, if it is large, for its table file, which is read whole
//                      + 15 %  RocksDB's block cache
#pragma once

#include <cstddef>
#include <cstdint>

namespace clicktally {

inline constexpr std::int64_t kMemoryReserve = std::int64_t{96} << 20;
inline constexpr std::int64_t kLeastMemoryLimit = std::int64_t{128} << 20;
inline constexpr std::int64_t kDefaultMemoryLimit = std::int64_t{512} << 20;

// In bytes.
struct MemoryPlan {
  std::int64_t queues = 0;
  std::size_t deltas = 0;  // of the batch being filled
  std::size_t block_cache = 0;
};

// `limit` is at least kLeastMemoryLimit.
constexpr MemoryPlan plan_memory(std::int64_t limit) {
  const std::int64_t shared = limit - kMemoryReserve;
  return {.queues = shared * 35 / 100,
          .deltas = static_cast<std::size_t>(shared * 16 / 100),
          .block_cache = static_cast<std::size_t>(shared * 15 / 100)};
}

}  // namespace clicktally
