#include "pipeline/offset_quota.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/numeric/int128.h"

namespace clicktally {
namespace {

// By need alone, whatever is read of it already.
std::map<PartitionId, std::int64_t> share_by_need(std::int64_t quota,
                                                  const std::map<PartitionId, std::int64_t>& needs,
                                                  std::int64_t turn) {
  std::map<PartitionId, std::int64_t> shares;
  if (needs.empty()) return shares;
  std::vector<PartitionId> order;
  absl::int128 total = 0;
  for (const auto& [id, need] : needs) {
    order.push_back(id);
    shares[id] = 0;
    total += need;
  }
  const auto first = turn % static_cast<std::int64_t>(order.size());
  std::rotate(order.begin(), std::next(order.begin(), first), order.end());

  std::int64_t left = quota;
  for (const PartitionId id : order) {
    if (left > 0 && needs.at(id) > 0) {
      shares[id] = 1;
      --left;
    }
  }
  const std::int64_t to_share = left;
  for (const PartitionId id : order) {
    const std::int64_t need = needs.at(id);
    if (need <= shares[id]) continue;
    const auto part = static_cast<std::int64_t>(absl::int128(to_share) * need / total);
    const std::int64_t more = std::min(part, need - shares[id]);
    shares[id] += more;
    left -= more;
  }
  // What rounding left over goes to needs first, and only then to records yet to come.
  for (const PartitionId id : order) {
    const std::int64_t more = std::clamp<std::int64_t>(needs.at(id) - shares[id], 0, left);
    shares[id] += more;
    left -= more;
  }
  const auto count = static_cast<std::int64_t>(order.size());
  const std::int64_t even = left / count;
  std::int64_t odd = left % count;
  for (const PartitionId id : order) shares[id] += even + (odd-- > 0 ? 1 : 0);
  return shares;
}

}  // namespace

std::map<PartitionId, std::int64_t> share_quota(
    std::int64_t quota, const std::map<PartitionId, BatchProgress>& partitions, std::int64_t turn) {
  std::map<PartitionId, std::int64_t> needs;
  for (const auto& [id, batch] : partitions) needs[id] = batch.read + batch.backlog;
  std::map<PartitionId, std::int64_t> shares;
  // Those that have read more than their share keep what they have; the others share the rest.
  for (std::int64_t left = quota; !needs.empty();) {
    const std::map<PartitionId, std::int64_t> fair = share_by_need(left, needs, turn);
    for (const auto& [id, share] : fair) {
      shares[id] = std::max(share, partitions.at(id).read);
      if (shares[id] == share) continue;
      left = std::max<std::int64_t>(0, left - shares[id]);
      needs.erase(id);
    }
    if (needs.size() == fair.size()) break;
  }
  return shares;
}

}  // namespace clicktally
