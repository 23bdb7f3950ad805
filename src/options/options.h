// The command line of clicktally: Spark's words in kebab-case.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/log.h"
#include "pipeline/pipeline.h"
#include "pipeline/start_up.h"
#include "sink/console_sink.h"
#include "source/source.h"

namespace clicktally {

enum class SinkKind { kConsole, kNone };

struct Options {
  SourceOptions source;
  StartUpOptions start_up;
  PipelineOptions pipeline;
  ConsoleOptions console;
  SinkKind sink = SinkKind::kConsole;
  std::string checkpoint;
  bool existing = false;
  bool no_fallback = false;
  SnapshotOptions snapshots;
  std::int64_t most_dead_letter_bytes = 64 << 20;
  std::size_t block_cache_bytes = 0;
  LogLevel log_level = LogLevel::kInfo;
};

// What to do: run with options, or print a text and leave with exit code 0.
struct ParsedCommandLine {
  Options options;
  std::optional<std::string> print;
};

// kInvalidArgument with one line for a person: which flag, what was given, what it takes.
absl::StatusOr<ParsedCommandLine> parse_command_line(int argc, const char* const* argv);

}  // namespace clicktally
