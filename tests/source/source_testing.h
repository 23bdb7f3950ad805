// What the tests of the Kafka source share: a source for a mock cluster, and draining it while
// checking that every chunk accounts for its offsets (I7).
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "source/kafka_source.h"

namespace clicktally {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

inline const std::string kTopic = "clicks";

inline std::vector<std::string> numbered(int from, int to) {
  std::vector<std::string> values;
  for (int i = from; i < to; ++i) values.push_back("value " + std::to_string(i));
  return values;
}

inline bool says(const absl::Status& status, const std::string& part) {
  return std::string(status.message()).find(part) != std::string::npos;
}

inline milliseconds since(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start);
}

inline std::unique_ptr<Source> source_for(
    const std::string& servers, std::vector<std::pair<std::string, std::string>> properties = {}) {
  SourceOptions options;
  options.bootstrap_servers = servers;
  options.topic = kTopic;
  options.properties = std::move(properties);
  auto source = make_kafka_source(options);
  EXPECT_TRUE(source.ok()) << source.status();
  return std::move(*source);
}

// As the pipeline does: the topic is described before it is read.
inline absl::Status begin(Source* source, const std::map<PartitionId, Offset>& next) {
  const auto description = source->describe(seconds(10));
  return description.ok() ? source->start(next) : description.status();
}

// What came out of a source so far, by partition.
struct Seen {
  std::map<PartitionId, std::vector<Offset>> offsets;
  std::map<PartitionId, Offset> next;
  std::int64_t gaps = 0;
  std::int64_t repeated = 0;
  std::size_t records() const {
    std::size_t sum = 0;
    for (const auto& [id, list] : offsets) sum += list.size();
    return sum;
  }
};

inline void add(const RecordChunk& chunk, Seen* seen) {
  EXPECT_EQ(chunk.next_before + static_cast<Offset>(chunk.records.size()) + chunk.gaps,
            chunk.next_after);
  if (seen->next.contains(chunk.partition)) {
    EXPECT_EQ(seen->next[chunk.partition], chunk.next_before);
  }
  seen->next[chunk.partition] = chunk.next_after;
  seen->gaps += chunk.gaps;
  seen->repeated += chunk.repeated;
  for (const Record& record : chunk.records) {
    seen->offsets[chunk.partition].push_back(record.offset);
  }
}

// Polls on this thread until `enough` or `longest` has passed.
inline absl::Status drain(Source* source, Seen* seen, const std::function<bool()>& enough,
                          milliseconds longest = seconds(10)) {
  const auto start = steady_clock::now();
  RecordChunk chunk;
  while (!enough() && since(start) < longest) {
    const auto polled = source->poll(1000, &chunk);
    if (!polled.ok()) return polled.status();
    if (*polled) {
      add(chunk, seen);
      source->release(&chunk);
    } else {
      source->wait(milliseconds(20));
    }
  }
  return absl::OkStatus();
}

inline absl::Status drain_records(Source* source, Seen* seen, std::size_t records,
                                  milliseconds longest = seconds(10)) {
  return drain(
      source, seen, [&] { return seen->records() >= records; }, longest);
}

// For a while in which nothing more may come.
inline absl::Status drain_for(Source* source, Seen* seen, milliseconds time) {
  return drain(
      source, seen, [] { return false; }, time);
}

inline std::vector<Offset> from_to(Offset from, Offset to) {
  std::vector<Offset> all;
  for (Offset offset = from; offset < to; ++offset) all.push_back(offset);
  return all;
}

}  // namespace clicktally
