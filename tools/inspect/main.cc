// clicktally-inspect: reads a checkpoint offline. A thin main: the command line, and which command.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "base/last_resort.h"
#include "base/standard_streams.h"
#include "base/text.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/output.h"

namespace clicktally {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kHelp =
    R"(clicktally-inspect: looks into a checkpoint of clicktally, whether or not a job runs on it.

  clicktally-inspect show CHECKPOINT [--format text|json]     batch, totals, users, offsets, when
  clicktally-inspect get CHECKPOINT USER... [--format text|json]      clicks of users; NULL is one
  clicktally-inspect export CHECKPOINT [--format csv]         user_id,total_clicks of all, sorted
  clicktally-inspect snapshots CHECKPOINT [--format text|json]      each: batch, when, bytes
  clicktally-inspect backup CHECKPOINT DEST       copies the newest snapshot, also while a job runs
  clicktally-inspect restore DEST CHECKPOINT      makes a new checkpoint of a backup
  clicktally-inspect dead-letters CHECKPOINT [--cause C] [--raw]      rejected records kept: JSON
                              lines with the value in base64, or raw values, a line each

It never writes to a checkpoint; restore makes a new one.

  --help, --version

Exit codes
  0 done   1 a bug   2 command line   3 not a checkpoint   5 checkpoint damaged
  7 disk, memory or descriptors   8 output   9 a running job changed it too fast; try again
)";

absl::Status usage(std::string_view what) {
  return absl::InvalidArgumentError(fmt::format("{}; see clicktally-inspect --help", what));
}

absl::Status read_dead_letter_flags(const po::variables_map& given, CommandLine* line) {
  line->raw = given["raw"].as<bool>();
  if (given.count("cause")) {
    const auto& cause = given["cause"].as<std::string>();
    const auto found = std::ranges::find(kRejectionCauseNames, std::string_view(cause));
    if (found == kRejectionCauseNames.end()) {
      return usage(fmt::format("--cause: '{}' is none of {}", escape_controls(cause),
                               fmt::join(kRejectionCauseNames, ", ")));
    }
    line->cause = static_cast<RejectionCause>(found - kRejectionCauseNames.begin());
  }
  if ((line->raw || line->cause) && line->command != "dead-letters") {
    return usage("--cause and --raw are for dead-letters");
  }
  return absl::OkStatus();
}

absl::StatusOr<CommandLine> command_line_of(const po::variables_map& given) {
  CommandLine line;
  if (!given.count("words")) return usage("a command is needed");
  auto words = given["words"].as<std::vector<std::string>>();
  line.command = words[0];
  if (words.size() < 2) return usage(escape_controls(line.command) + ": a checkpoint is needed");
  line.checkpoint = words[1];
  if (line.checkpoint.empty()) return usage(line.command + ": the checkpoint's path is empty");
  line.arguments.assign(words.begin() + 2, words.end());
  if (absl::Status status = read_dead_letter_flags(given, &line); !status.ok()) return status;
  if (!given.count("format")) return line;
  const auto& format = given["format"].as<std::string>();
  if (format == "text") {
    line.format = Format::kText;
  } else if (format == "json") {
    line.format = Format::kJson;
  } else if (format == "csv") {
    line.format = Format::kCsv;
  } else {
    return usage(fmt::format("--format: '{}' is not text, json or csv", escape_controls(format)));
  }
  return line;
}

absl::Status run(int argc, char** argv) {
  po::options_description all;
  all.add_options()("format", po::value<std::string>())("cause", po::value<std::string>())(
      "raw", po::bool_switch())("help,h", po::bool_switch())("version", po::bool_switch())(
      "words", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("words", -1);
  po::variables_map given;
  try {
    using Style = po::command_line_style::style_t;
    const int style = Style::allow_long | Style::long_allow_adjacent | Style::long_allow_next;
    // "-5" is a user, not a flag: short flags do not exist, but for -h.
    po::store(
        po::command_line_parser(argc, argv).options(all).positional(positional).style(style).run(),
        given);
  } catch (const po::error& error) {
    return usage(escape_controls(error.what()));
  }
  const bool help = given["help"].as<bool>();
  if (help || given["version"].as<bool>()) {
    Output output;
    output.write(help ? kHelp : "clicktally-inspect " CLICKTALLY_VERSION "\n");
    return output.finish();
  }
  auto line = command_line_of(given);
  if (!line.ok()) return line.status();
  // A checkpoint of few files needs few; one that needs more than there are says so.
  raise_descriptor_limit(0).IgnoreError();
  const auto disk = make_posix_disk();
  if (line->command == "show") return show_command(*disk, *line);
  if (line->command == "get") return get_command(*disk, *line);
  if (line->command == "export") return export_command(*disk, *line);
  if (line->command == "snapshots") return snapshots_command(*disk, *line);
  if (line->command == "backup") return backup_command(*disk, *line);
  if (line->command == "restore") return restore_command(*disk, *line);
  if (line->command == "dead-letters") return dead_letters_command(*disk, *line);
  return usage(fmt::format("'{}' is not a command", escape_controls(line->command)));
}

}  // namespace
}  // namespace clicktally

int main(int argc, char** argv) {
  using namespace clicktally;
  occupy_standard_streams();
  ::umask(077);
  ignore_signals_of_writes();
  install_last_resort("clicktally-inspect");
  absl::Status status;
  try {
    status = run(argc, argv);
  } catch (...) {  // memory or threads that the system does not give
    status = status_of_exception();
  }
  if (!status.ok()) {
    // Not fmt::print: it throws where nobody takes the line, and the exit code must stay.
    std::fputs(fmt::format("clicktally-inspect: {}\n", one_line(message_of(status))).c_str(),
               stderr);
  }
  return exit_code_of(status);
}
