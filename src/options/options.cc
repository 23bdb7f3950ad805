#include "options/options.h"

#include <fmt/format.h>
#include <sched.h>

#include <boost/program_options.hpp>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "base/text.h"
#include "options/memory_plan.h"
#include "source/kafka_source.h"

namespace clicktally {
namespace {

namespace po = boost::program_options;

constexpr std::int64_t kMostSnapshots = 10'000;
constexpr std::int64_t kMostOffsets = 1'000'000'000'000'000;

// Where words that belong to no flag are gathered, to be named.
constexpr char kStray[] = "stray words";

constexpr std::string_view kHelp =
    R"(clicktally: counts clicks per user from a Kafka topic, and never loses or repeats one.

  clicktally --checkpoint DIR [options]

Reads JSON events, keeps those with action "click", counts them per user_id, and every trigger
commits counts and offsets in one atomic, synced write to DIR, then prints the batch. Started again
with the same DIR it goes on exactly where it stopped, whatever stopped it. Runs until Ctrl+C.

Input
  --bootstrap-servers HOSTS       Kafka brokers, host:port[,host:port]     [localhost:9092]
  --topic NAME                    topic to read                            [clickstream_events]
  --starting-offsets WHERE        earliest or latest; for a new checkpoint [latest]
  --isolation-level LEVEL         read_committed or read_uncommitted       [read_committed]
  -X NAME=VALUE                   a librdkafka property; may be repeated

State
  --checkpoint DIR                everything durable of this job; made if it is not there
  --existing                      refuse to make DIR: a checkpoint must be there
  --no-fallback                   refuse a damaged DIR; let no snapshot take over
  --snapshot-interval INTERVAL    time between snapshots of the state      [5 minutes]
  --snapshots-to-retain N         how many of them are kept                [10]
  --dead-letters                  keep rejected records in DIR; clicktally-inspect lists them
  --dead-letters-max-bytes SIZE   drop the oldest of them beyond this      [64M]

Memory
  --memory-limit SIZE             all that the process may take, at least 128M       [512M]

Triggers
  --trigger INTERVAL              time between batches, "5 seconds", "100 ms"   [5 seconds]
  --available-now                 count what is there at the start, then exit 0
  --max-offsets-per-trigger N     read at most N offsets into one batch

Output
  --output-mode MODE              complete: all users; update: those the batch changed  [complete]
  --sink SINK                     console or none                          [console]
  --num-rows N                    rows of a batch to print                 [20]
  --truncate [true|false]         cut cells after 20 characters            [false]

Other
  --log-level LEVEL               debug, info, warning or error, on standard error      [info]
  --help, --version

Exit codes
  0 done or stopped   1 a bug   2 command line   3 not this job's checkpoint   4 checkpoint in use
  5 checkpoint damaged   6 records gone from Kafka   7 disk, memory or descriptors   8 output
  9 Kafka refuses   10 left at once, at a second signal or 5 s after the first
  (300 ms make it a second one). The last commit stands in every case.

The first start and a restart:
  clicktally --checkpoint ./clicks --starting-offsets earliest
  clicktally --checkpoint ./clicks
Look at the state:
  clicktally-inspect show ./clicks
A snapshot now:
  kill -USR1 PID
)";

absl::Status refuse(std::string_view flag, std::string_view given, std::string_view takes) {
  return absl::InvalidArgumentError(fmt::format("{}: '{}' is not {}; see clicktally --help", flag,
                                                escape_controls(given), takes));
}

po::options_description flags() {
  po::options_description all;
  const auto text = [] { return po::value<std::string>(); };
  all.add_options()("bootstrap-servers", text())("topic", text())("checkpoint", text())(
      "starting-offsets", text())("trigger", text())("available-now", po::bool_switch())(
      "max-offsets-per-trigger", text())("isolation-level", text())("existing", po::bool_switch())(
      "no-fallback", po::bool_switch())("snapshot-interval", text())("snapshots-to-retain", text())(
      "memory-limit", text())("dead-letters", po::bool_switch())("dead-letters-max-bytes", text())(
      "output-mode", text())("sink", text())("num-rows", text())(
      "truncate", po::value<std::string>()->implicit_value("true"))(
      "property,X", po::value<std::vector<std::string>>())("log-level", text())(
      "help,h", po::bool_switch())("version", po::bool_switch())(
      kStray, po::value<std::vector<std::string>>());
  return all;
}

// Reads flags out of what Boost has split, remembering the first that is wrong.
class Reader {
 public:
  explicit Reader(const po::variables_map& given) : given_(given) {}

  std::optional<std::string> text(const char* name) const {
    if (!given_.count(name)) return std::nullopt;
    return given_[name].as<std::string>();
  }
  bool flag(const char* name) const { return given_[name].as<bool>(); }

  template <typename T>
  void choice(const char* name, std::initializer_list<std::pair<std::string_view, T>> words,
              T* out) {
    const auto value = text(name);
    if (!value) return;
    std::string takes;
    for (const auto& [word, meaning] : words) {
      if (word == *value) {
        *out = meaning;
        return;
      }
      takes += fmt::format("{}{}", takes.empty() ? "" : " or ", word);
    }
    fail(refuse(fmt::format("--{}", name), *value, takes));
  }
  void number(const char* name, std::int64_t least, std::int64_t most, std::int64_t* out) {
    const auto value = text(name);
    if (!value) return;
    std::int64_t parsed = 0;
    if (absl::SimpleAtoi(*value, &parsed) && parsed >= least && parsed <= most) {
      *out = parsed;
      return;
    }
    fail(refuse(fmt::format("--{}", name), *value,
                fmt::format("a number from {} to {}", least, most)));
  }
  void fail(const absl::Status& status) {
    if (status_.ok()) status_ = status;
  }
  const absl::Status& status() const { return status_; }

 private:
  const po::variables_map& given_;
  absl::Status status_;
};

void read_source(const po::variables_map& given, Reader& reader, Options& options) {
  if (auto value = reader.text("bootstrap-servers")) options.source.bootstrap_servers = *value;
  if (auto value = reader.text("topic")) options.source.topic = *value;
  if (options.source.topic.empty() || options.source.bootstrap_servers.empty()) {
    reader.fail(absl::InvalidArgumentError("--topic and --bootstrap-servers cannot be empty"));
  }
  reader.choice<IsolationLevel>("isolation-level",
                                {{"read_committed", IsolationLevel::kReadCommitted},
                                 {"read_uncommitted", IsolationLevel::kReadUncommitted}},
                                &options.source.isolation);
  if (!given.count("property")) return;
  for (const std::string& property : given["property"].as<std::vector<std::string>>()) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos || equals == 0) {
      reader.fail(refuse("-X", property.substr(0, 64), "NAME=VALUE"));
      return;
    }
    const std::string name = property.substr(0, equals);
    const std::string value = property.substr(equals + 1);
    if (absl::Status s = check_source_property(name, value); !s.ok()) reader.fail(s);
    options.source.properties.emplace_back(name, value);
  }
}

void read_interval(const char* name, Reader& reader, std::int64_t* out) {
  const auto value = reader.text(name);
  if (!value) return;
  if (auto interval_ms = parse_interval_ms(*value); interval_ms.ok()) {
    *out = *interval_ms;
  } else {
    reader.fail(absl::InvalidArgumentError(
        fmt::format("--{}: {}", name, message_of(interval_ms.status()))));
  }
}

void read_snapshots(Reader& reader, Options& options) {
  options.no_fallback = reader.flag("no-fallback");
  read_interval("snapshot-interval", reader, &options.pipeline.snapshot_ms);
  std::int64_t retain = options.snapshots.retain;
  reader.number("snapshots-to-retain", 1, kMostSnapshots, &retain);
  options.snapshots.retain = static_cast<int>(retain);
}

void read_triggers(Reader& reader, PipelineOptions& options) {
  read_interval("trigger", reader, &options.trigger_ms);
  options.available_now = reader.flag("available-now");
  std::int64_t most_offsets = 0;
  reader.number("max-offsets-per-trigger", 1, kMostOffsets, &most_offsets);
  if (most_offsets > 0) options.max_offsets_per_trigger = most_offsets;
  cpu_set_t cores;
  options.workers =
      sched_getaffinity(0, sizeof cores, &cores) == 0 ? std::max(1, CPU_COUNT(&cores)) : 1;
}

void read_dead_letters(Reader& reader, Options& options) {
  const bool keep = reader.flag("dead-letters");
  options.pipeline.keep_dead_letters = keep;
  const auto most = reader.text("dead-letters-max-bytes");
  if (!most) return;
  const auto bytes = parse_size_bytes(*most);
  if (!keep) {
    reader.fail(absl::InvalidArgumentError(
        "--dead-letters-max-bytes: nothing is kept without --dead-letters; give both or neither"));
  } else if (!bytes.ok()) {
    reader.fail(absl::InvalidArgumentError(
        fmt::format("--dead-letters-max-bytes: {}", message_of(bytes.status()))));
  } else {
    options.most_dead_letter_bytes = *bytes;
  }
}

// Memory is shared out once, at the start; deltas that outgrow their share end the batch early.
void read_memory_limit(Reader& reader, Options& options) {
  std::int64_t limit = kDefaultMemoryLimit;
  if (const auto given = reader.text("memory-limit")) {
    const auto bytes = parse_size_bytes(*given);
    if (!bytes.ok()) {
      reader.fail(absl::InvalidArgumentError(
          fmt::format("--memory-limit: {}", message_of(bytes.status()))));
    } else if (*bytes < kLeastMemoryLimit) {
      reader.fail(refuse("--memory-limit", *given, "at least 128M, which the job needs"));
    } else {
      limit = *bytes;
    }
  }
  const MemoryPlan plan = plan_memory(limit);
  options.source.queue_bytes = plan.queues;
  options.pipeline.most_delta_bytes = plan.deltas;
  options.block_cache_bytes = plan.block_cache;
}

void read_output(Reader& reader, Options& options) {
  reader.choice<OutputMode>("output-mode",
                            {{"complete", OutputMode::kComplete}, {"update", OutputMode::kUpdate}},
                            &options.pipeline.output_mode);
  reader.choice<SinkKind>("sink", {{"console", SinkKind::kConsole}, {"none", SinkKind::kNone}},
                          &options.sink);
  reader.number("num-rows", 0, std::numeric_limits<std::int32_t>::max(), &options.console.num_rows);
  reader.choice<bool>("truncate", {{"true", true}, {"false", false}}, &options.console.truncate);
  reader.choice<LogLevel>("log-level",
                          {{"debug", LogLevel::kDebug},
                           {"info", LogLevel::kInfo},
                           {"warning", LogLevel::kWarning},
                           {"error", LogLevel::kError}},
                          &options.log_level);
}

absl::StatusOr<ParsedCommandLine> read(const po::variables_map& given) {
  ParsedCommandLine parsed;
  if (given["help"].as<bool>()) return ParsedCommandLine{{}, std::string(kHelp)};
  if (given["version"].as<bool>())
    return ParsedCommandLine{{}, "clicktally " CLICKTALLY_VERSION "\n"};
  if (given.count(kStray)) {
    return refuse("clicktally", given[kStray].as<std::vector<std::string>>()[0], "a flag");
  }
  Options& options = parsed.options;
  Reader reader(given);
  read_source(given, reader, options);
  read_triggers(reader, options.pipeline);
  read_snapshots(reader, options);
  read_dead_letters(reader, options);
  read_memory_limit(reader, options);
  read_output(reader, options);
  reader.choice<StartingOffsets>(
      "starting-offsets",
      {{"earliest", StartingOffsets::kEarliest}, {"latest", StartingOffsets::kLatest}},
      &options.start_up.starting_offsets);
  options.checkpoint = reader.text("checkpoint").value_or("");
  options.existing = reader.flag("existing");
  if (!reader.status().ok()) return reader.status();
  if (options.checkpoint.empty()) {
    return absl::InvalidArgumentError(
        "--checkpoint DIR is needed: the directory that keeps counts and offsets; see clicktally "
        "--help");
  }
  options.start_up.topic = options.source.topic;
  options.start_up.checkpoint_path = options.checkpoint;
  return parsed;
}

}  // namespace

absl::StatusOr<ParsedCommandLine> parse_command_line(int argc, const char* const* argv) {
  po::variables_map given;
  try {
    const po::options_description all = flags();
    using Style = po::command_line_style::style_t;
    const int style = Style::allow_long | Style::long_allow_adjacent | Style::long_allow_next |
                      Style::allow_short | Style::allow_dash_for_short |
                      Style::short_allow_adjacent | Style::short_allow_next;
    po::store(po::command_line_parser(argc, argv)
                  .options(all)
                  .positional(po::positional_options_description().add(kStray, -1))
                  .style(style)
                  .run(),
              given);
  } catch (const po::error& error) {
    return absl::InvalidArgumentError(
        fmt::format("{}; see clicktally --help",
                    absl::StrReplaceAll(escape_controls(error.what()), {{"--property", "-X"}})));
  }
  return read(given);
}

}  // namespace clicktally
