// The commands of clicktally-inspect: one table that says of each what it is called, what it takes
// and whether it writes; command line, help and completion are made from it. One file for each
// family of them (commands_*.cc).
//
// Errors: a command returns what exit_code.h maps. One that shows what it can of a damaged
// checkpoint writes that first and returns kDataLoss afterwards: the line on standard error is the
// warning. Only a command that says so (`writes`) changes a byte of a checkpoint that is there.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"

namespace clicktally {

enum class Format { kText, kJson, kCsv };

struct Flag {
  std::string_view name;   // without the dashes
  std::string_view value;  // what stands for its value in help; empty for a switch
  std::string_view help;
};

struct CommandLine;

struct Command {
  std::string_view name;
  std::string_view arguments;  // as help shows them, the checkpoint among them
  std::string_view summary;    // one line
  std::string_view details;    // what else --help says, whole lines; may be empty
  std::string_view formats;    // "text|json|csv", the default first; empty: no --format
  std::vector<Flag> flags;     // beside --format and --help
  bool writes;                 // changes a checkpoint, or makes one
  absl::Status (*run)(Disk& disk, const CommandLine& line);
};

struct CommandLine {
  const Command* command = nullptr;
  std::string checkpoint;              // the first argument
  std::vector<std::string> arguments;  // what follows it
  Format format = Format::kText;
  std::map<std::string, std::string, std::less<>> flags;  // as given; a switch has an empty value

  bool has(std::string_view flag) const { return flags.contains(flag); }
  std::optional<std::string> value(std::string_view flag) const {
    const auto found = flags.find(flag);
    return found == flags.end() ? std::nullopt : std::optional(found->second);
  }
};

// Every command there is, in the order in which help lists them.
std::span<const Command> all_commands();

// --- Shared by them ------------------------------------------------------------------------------

// kInvalidArgument, naming the command and where to read more.
absl::Status usage_error(const CommandLine& line, std::string_view what);
// Refuses fewer or more arguments (beside the checkpoint) than these.
absl::Status check_arguments(const CommandLine& line, std::size_t least, std::size_t most);
// A flag's whole number in [least, most], or `otherwise` where it is not given.
absl::StatusOr<std::int64_t> number_of(const CommandLine& line, std::string_view flag,
                                       std::int64_t least, std::int64_t most,
                                       std::int64_t otherwise);

// --- Each command's function ---------------------------------------------------------------------

absl::Status show_command(Disk& disk, const CommandLine& line);
absl::Status get_command(Disk& disk, const CommandLine& line);
absl::Status top_command(Disk& disk, const CommandLine& line);
absl::Status list_command(Disk& disk, const CommandLine& line);
absl::Status export_command(Disk& disk, const CommandLine& line);
absl::Status offsets_command(Disk& disk, const CommandLine& line);
absl::Status batches_command(Disk& disk, const CommandLine& line);
absl::Status snapshots_command(Disk& disk, const CommandLine& line);
absl::Status diff_command(Disk& disk, const CommandLine& line);
absl::Status verify_command(Disk& disk, const CommandLine& line);
absl::Status dead_letters_command(Disk& disk, const CommandLine& line);
absl::Status backup_command(Disk& disk, const CommandLine& line);
absl::Status restore_command(Disk& disk, const CommandLine& line);
absl::Status import_command(Disk& disk, const CommandLine& line);
absl::Status rollback_command(Disk& disk, const CommandLine& line);
absl::Status offsets_set_command(Disk& disk, const CommandLine& line);
absl::Status pin_command(Disk& disk, const CommandLine& line);
absl::Status unpin_command(Disk& disk, const CommandLine& line);

}  // namespace clicktally
