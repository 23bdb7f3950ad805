// The command line of clicktally-produce.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "tools/producer/event_generator.h"
#include "tools/producer/event_output.h"

namespace clicktally {

struct ProducerOptions {
  bool help = false;
  bool print = false;  // to stdout instead of Kafka
  KafkaOutputOptions kafka;
  EventOptions events;
  std::int64_t count = 0;  // events to make; 0: no limit
  double seconds = 0;      // time to make them in; 0: no limit
  double rate = 0;         // events a second; 0: as fast as possible
  std::string truth_file;  // empty: none
  bool append_truth = false;
  std::string lines_file;  // send its lines instead of making events; "-": standard input
};

std::string producer_help();

// kInvalidArgument in one line for anything that is not a meaningful run.
absl::StatusOr<ProducerOptions> parse_producer_options(int argc, const char* const* argv);

}  // namespace clicktally
