// The subcommands of clicktally-inspect. Each reads the checkpoint through checkpoint_reader.h, so
// it never writes and never shows a torn state, and prints to standard output.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/disk.h"
#include "model/decoded.h"

namespace clicktally {

enum class Format { kText, kJson, kCsv };

struct CommandLine {
  std::string command;
  std::string checkpoint;
  std::vector<std::string> arguments;  // what follows the checkpoint
  std::optional<Format> format;        // as given; each command has its own default
  std::optional<RejectionCause> cause;
  bool raw = false;
};

absl::Status show_command(Disk& disk, const CommandLine& line);
absl::Status get_command(Disk& disk, const CommandLine& line);
absl::Status export_command(Disk& disk, const CommandLine& line);
absl::Status dead_letters_command(Disk& disk, const CommandLine& line);

}  // namespace clicktally
