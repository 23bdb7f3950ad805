#include "tools/inspect/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <numeric>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/text.h"

namespace clicktally {
namespace {

namespace po = boost::program_options;

constexpr std::string_view kProgram = "clicktally-inspect";
constexpr std::size_t kFarthestGuess = 3;

// How many letters to insert, remove or replace (Levenshtein).
std::size_t distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

const Command* find_command(std::string_view name) {
  for (const Command& command : all_commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

absl::Status unknown_command(std::string_view name) {
  std::string_view nearest;
  std::size_t least = std::min(kFarthestGuess, (name.size() + 1) / 2) + 1;
  for (const Command& command : all_commands()) {
    const bool begins = name.size() >= 2 && command.name.starts_with(name);
    const std::size_t away = begins ? 0 : distance(name, command.name);
    if (away >= least) continue;
    least = away;
    nearest = command.name;
  }
  return absl::InvalidArgumentError(
      fmt::format("'{}' is not a command{}; see {} --help", escape_controls(name),
                  nearest.empty() ? "" : fmt::format(", {} is", nearest), kProgram));
}

std::vector<Flag> flags_of(const Command& command) {
  std::vector<Flag> flags = command.flags;
  if (!command.formats.empty())
    flags.push_back({"format", command.formats, "the first unless given"});
  flags.push_back({"help", "", "this text"});
  return flags;
}

std::string help_of_all() {
  std::string text =
      "clicktally-inspect: looks into a checkpoint of clicktally, whether or not a job runs on "
      "it.\n";
  for (const bool writes : {false, true}) {
    text += writes ? "\nThese make or change a checkpoint:\n" : "\nThese never write to it:\n";
    for (const Command& command : all_commands()) {
      if (command.writes == writes)
        text += fmt::format("  {:<15} {}\n", command.name, command.summary);
    }
  }
  text += R"(
  clicktally-inspect COMMAND --help      what it takes
  clicktally-inspect --version

Exit codes
  0 done   1 a bug   2 command line   3 not a checkpoint   4 in use by a process
  5 checkpoint damaged; what was shown is all that could be read   7 disk, memory or descriptors
  8 output   9 the running job changes it too fast, or does not answer; try again
)";
  return text;
}

std::string help_of(const Command& command) {
  std::string text =
      fmt::format("{} {} {}: {}\n", kProgram, command.name, command.arguments, command.summary);
  if (!command.details.empty()) text += fmt::format("\n{}", command.details);
  text += "\n";
  for (const Flag& flag : flags_of(command)) {
    const std::string left =
        fmt::format("--{}{}{}", flag.name, flag.value.empty() ? "" : " ", flag.value);
    text += fmt::format("  {:<24} {}\n", left, flag.help);
  }
  return text;
}

absl::Status read_format(CommandLine* line) {
  const std::vector<std::string> known = absl::StrSplit(
      absl::string_view(line->command->formats.data(), line->command->formats.size()), '|',
      absl::SkipEmpty());
  if (known.empty()) return absl::OkStatus();
  const std::string given = line->value("format").value_or(known[0]);
  if (std::ranges::find(known, given) == known.end()) {
    return usage_error(*line, fmt::format("--format: '{}' is not {}", escape_controls(given),
                                          line->command->formats));
  }
  line->format = given == "json" ? Format::kJson : given == "csv" ? Format::kCsv : Format::kText;
  return absl::OkStatus();
}

// "-5" is a user and "-" is standard input: there are no short flags.
absl::Status read_words(const std::vector<std::string>& words, CommandLine* line) {
  po::options_description known;
  for (const Flag& flag : flags_of(*line->command)) {
    const std::string name(flag.name);
    if (flag.value.empty()) {
      known.add_options()(name.c_str(), "");
    } else {
      known.add_options()(name.c_str(), po::value<std::string>());
    }
  }
  known.add_options()("words", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("words", -1);
  po::variables_map given;
  try {
    using Style = po::command_line_style::style_t;
    const int style = Style::allow_long | Style::long_allow_adjacent | Style::long_allow_next;
    po::store(
        po::command_line_parser(words).options(known).positional(positional).style(style).run(),
        given);
  } catch (const po::error& error) {
    return usage_error(*line, escape_controls(error.what()));
  }
  for (const auto& [name, value] : given) {
    if (name == "words") continue;
    const auto* text = boost::any_cast<std::string>(&value.value());
    line->flags[name] = text == nullptr ? "" : *text;
  }
  if (given.count("words")) line->arguments = given["words"].as<std::vector<std::string>>();
  return absl::OkStatus();
}

absl::Status take_checkpoint(CommandLine* line) {
  if (line->arguments.empty()) return usage_error(*line, "a checkpoint is needed");
  line->checkpoint = line->arguments[0];
  line->arguments.erase(line->arguments.begin());
  if (line->checkpoint.empty()) return usage_error(*line, "the checkpoint's path is empty");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Wanted> read_command_line(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (words.empty()) {
    return absl::InvalidArgumentError("a command is needed; see clicktally-inspect --help");
  }
  const auto asks_for_help = [](const std::string& word) {
    return word == "--help" || word == "-h" || word == "help";
  };
  if (asks_for_help(words[0])) {
    if (words.size() == 1) return Wanted{help_of_all(), {}};
    std::swap(words[0], words[1]);
  }
  if (words[0] == "--version") return Wanted{"clicktally-inspect " CLICKTALLY_VERSION "\n", {}};
  Wanted wanted;
  CommandLine& line = wanted.line;
  // "offsets set" is a command; a checkpoint of the name set is ./set there.
  if (words.size() > 1) line.command = find_command(words[0] + " " + words[1]);
  if (line.command != nullptr) words.erase(words.begin());
  if (line.command == nullptr) line.command = find_command(words[0]);
  if (line.command == nullptr) return unknown_command(words[0]);
  words.erase(words.begin());
  if (!words.empty() && asks_for_help(words[0])) return Wanted{help_of(*line.command), {}};
  if (absl::Status s = read_words(words, &line); !s.ok()) return s;
  if (line.has("help")) return Wanted{help_of(*line.command), {}};
  if (absl::Status s = read_format(&line); !s.ok()) return s;
  if (absl::Status s = take_checkpoint(&line); !s.ok()) return s;
  return wanted;
}

absl::Status usage_error(const CommandLine& line, std::string_view what) {
  return absl::InvalidArgumentError(
      fmt::format("{0}: {1}; see {2} {0} --help", line.command->name, what, kProgram));
}

absl::Status check_arguments(const CommandLine& line, std::size_t least, std::size_t most) {
  const std::size_t count = line.arguments.size();
  if (count >= least && count <= most) return absl::OkStatus();
  return usage_error(line, fmt::format("it takes {}", line.command->arguments));
}

absl::StatusOr<std::int64_t> number_of(const CommandLine& line, std::string_view flag,
                                       std::int64_t least, std::int64_t most,
                                       std::int64_t otherwise) {
  const auto given = line.value(flag);
  if (!given) return otherwise;
  std::int64_t number = 0;
  if (absl::SimpleAtoi(*given, &number) && number >= least && number <= most) return number;
  return usage_error(line, fmt::format("--{}: '{}' is no whole number from {} to {}", flag,
                                       escape_controls(*given), least, most));
}

}  // namespace clicktally
