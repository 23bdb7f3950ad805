#include "tools/mock_kafka/mock_commands.h"

#include <fmt/format.h>

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace clicktally {
namespace {

using Words = std::vector<std::string>;

absl::StatusOr<TopicSpec> read_topic(const std::string& name, const std::string& partitions,
                                     const std::string& replication) {
  TopicSpec topic{.name = name};
  if (name.empty() || !absl::SimpleAtoi(partitions, &topic.partitions) ||
      !absl::SimpleAtoi(replication, &topic.replication) || topic.partitions < 1 ||
      topic.replication < 1) {
    return absl::InvalidArgumentError(fmt::format(
        "topic {}, partitions {}, replication {}: give a name and two numbers from 1 up", name,
        partitions, replication));
  }
  return topic;
}

// The words from `first` on, as numbers from 0 up.
absl::StatusOr<std::vector<int>> read_numbers(const Words& words, std::size_t first) {
  std::vector<int> numbers;
  for (std::size_t i = first; i < words.size(); ++i) {
    int number = 0;
    if (!absl::SimpleAtoi(words[i], &number) || number < 0) {
      return absl::InvalidArgumentError(fmt::format("{} is not a number from 0 up", words[i]));
    }
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

absl::StatusOr<TopicSpec> parse_topic(const std::string& text) {
  const Words parts = absl::StrSplit(text, ':');
  if (parts.size() == 3) return read_topic(parts[0], parts[1], parts[2]);
  return absl::InvalidArgumentError(
      fmt::format("topic {}: give NAME:PARTITIONS:REPLICATION", text));
}

absl::Status run_mock_command(const std::string& line, MockCluster* cluster) {
  const Words words = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
  const std::string verb = words.empty() ? "" : words[0];
  const auto is = [&](const char* name, std::size_t operands) {
    return verb == name && words.size() == operands + 1;
  };

  if (is("topic", 3)) {
    const absl::StatusOr<TopicSpec> topic = read_topic(words[1], words[2], words[3]);
    return topic.ok() ? cluster->create_topic(*topic) : topic.status();
  }
  const absl::StatusOr<std::vector<int>> numbers = read_numbers(words, verb == "leader" ? 2 : 1);
  if (is("leader", 3)) {
    return numbers.ok() ? cluster->set_leader(words[1], (*numbers)[0], (*numbers)[1])
                        : numbers.status();
  }
  if (is("down", 1)) return numbers.ok() ? cluster->set_down((*numbers)[0]) : numbers.status();
  if (is("up", 1)) return numbers.ok() ? cluster->set_up((*numbers)[0]) : numbers.status();
  if (is("rtt", 2)) {
    return numbers.ok() ? cluster->set_round_trip_ms((*numbers)[0], (*numbers)[1])
                        : numbers.status();
  }
  return absl::InvalidArgumentError(fmt::format(
      "no command \"{}\": topic, leader, down, up, rtt, quit, with their operands", line));
}

}  // namespace clicktally
