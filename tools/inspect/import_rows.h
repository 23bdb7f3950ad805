// The rows and offsets that `import` takes, read strictly: a line that cannot be a count is refused
// by its number, and nothing is guessed.
//
//   CSV          user_id,total_clicks   a header, or none; the NULL group is empty, NULL or null
//   JSON lines   {"user_id":7,"total_clicks":3}   those two fields; the NULL group is null
//   offsets      {"topic":{"0":12,"1":7}}   as Spark writes them
//
// The first line says whether it is CSV or JSON.
#pragma once

#include <cstdio>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/import.h"

namespace clicktally {

// Borrows `file`. `name` is for messages.
RowReader read_rows(std::FILE* file, std::string name);

struct TopicOffsets {
  std::string topic;
  std::map<PartitionId, Offset> next;
};
absl::StatusOr<TopicOffsets> parse_offsets(std::string_view text);

}  // namespace clicktally
