#include "model/commit_record.h"

#include <fmt/format.h>

namespace clicktally {

std::string offsets_json(const CommitRecord& record) {
  std::string out = "{";
  for (const auto& [id, partition] : record.partitions) {
    out += fmt::format("{}\"{}\":{}", out.size() > 1 ? "," : "", id, partition.next);
  }
  return out + "}";
}

}  // namespace clicktally
