// The words that clicktally-mock-kafka takes on its stdin, one command a line.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/mock_kafka/mock_cluster.h"

namespace clicktally {

inline constexpr const char* kMockCommands =
    "  topic NAME PARTITIONS REPLICATION   create a topic\n"
    "  leader TOPIC PARTITION BROKER       move a partition's leader\n"
    "  down BROKER                         disconnect a broker's clients and take no new ones\n"
    "  up BROKER                           take clients again\n"
    "  rtt BROKER MS                       delay each of a broker's answers\n"
    "  quit                                end\n";

// kInvalidArgument says in one line what is wrong. `quit` is the caller's, not known here.
absl::Status run_mock_command(const std::string& line, MockCluster* cluster);

// "clickstream_events:3:3". Counts must be above 0.
absl::StatusOr<TopicSpec> parse_topic(const std::string& text);

}  // namespace clicktally
