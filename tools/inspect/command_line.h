// The command line, read by the table of commands; and the help made from the same table.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tools/inspect/commands.h"

namespace clicktally {

// What main is to do: print `text`, or run the command.
struct Wanted {
  std::string text;
  CommandLine line;
};

// kInvalidArgument, in one line with the nearest name, for what nobody can mean.
absl::StatusOr<Wanted> read_command_line(int argc, char** argv);

}  // namespace clicktally
