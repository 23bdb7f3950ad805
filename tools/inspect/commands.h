// The subcommands of clicktally-inspect. Each reads the checkpoint through checkpoint_reader.h or a
// locked snapshot, so it never writes and never shows a torn state, and prints to standard output.
// `restore` alone makes a checkpoint, a new one.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/disk.h"
#include "model/decoded.h"
#include "state/count_store.h"

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
absl::Status snapshots_command(Disk& disk, const CommandLine& line);
// `backup CHECKPOINT DEST` and `restore DEST CHECKPOINT`.
absl::Status backup_command(Disk& disk, const CommandLine& line);
absl::Status restore_command(Disk& disk, const CommandLine& line);

// --- Shared by them ------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<CountStore>> open_any_state(Disk& disk, const std::string& path,
                                                           OpenMode mode);
absl::Status refuse_format(const CommandLine& line, std::string_view takes);
absl::Status refuse_arguments(const CommandLine& line, std::string_view takes);
std::string local_time(std::int64_t time_ms);

}  // namespace clicktally
