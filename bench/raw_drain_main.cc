// clicktally-raw-drain: what reading the topic costs before anything is done with the records. Ends
// with one line of JSON.
#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include <boost/program_options.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <string>

#include "base/log.h"
#include "base/text.h"
#include "bench/raw_drain.h"

namespace clicktally {
namespace {

namespace po = boost::program_options;

struct RawOptions {
  int workers = 1;
  SourceOptions source;
  std::size_t chunk = 2048;
  bool plain = false;
  bool help = false;
};

constexpr char kHelp[] =
    R"(clicktally-raw-drain: consumes a topic from its earliest to its present end offsets, counts
records and bytes, and prints what that cost as one line of JSON.

  --bootstrap-servers HOSTS   [localhost:9092]
  --topic NAME                [clickstream_events]
  --workers N                 threads that poll the product's source        [one a core]
  --chunk N                   records that a worker polls at once           [2048]
  --plain                     librdkafka alone: one thread on the consumer's queue
  -X NAME=VALUE               a librdkafka property; may be repeated
  --help
)";

int cores() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : 1;
}

RawOptions parse(int argc, char** argv) {
  RawOptions options;
  std::vector<std::string> properties;
  po::options_description all;
  all.add_options()("bootstrap-servers", po::value(&options.source.bootstrap_servers))(
      "topic", po::value(&options.source.topic))(
      "workers", po::value(&options.workers)->default_value(cores()))(
      "chunk", po::value(&options.chunk))("plain", po::bool_switch(&options.plain))(
      "property,X", po::value(&properties))("help", po::bool_switch(&options.help));
  po::variables_map given;
  po::store(po::parse_command_line(argc, argv, all), given);
  po::notify(given);
  for (const std::string& property : properties) {
    const std::size_t equals = property.find('=');
    if (equals == std::string::npos) throw po::error("-X: '" + property + "' is not NAME=VALUE");
    options.source.properties.emplace_back(property.substr(0, equals), property.substr(equals + 1));
  }
  if (options.workers < 1 || options.chunk < 1) {
    throw po::error("--workers and --chunk are numbers from 1 up");
  }
  return options;
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// getrusage() would also count what the parent had before it became this program.
std::int64_t peak_rss_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t kb = 0;
    if (word == "VmHWM:" && status >> kb) return kb;
  }
  return 0;
}

int run(const RawOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  const auto drained = options.plain
                           ? drain_plainly(options.source)
                           : drain_by_source(options.source, options.workers, options.chunk);
  if (!drained.ok()) {
    fmt::print(stderr, "clicktally-raw-drain: {}\n", message_of(drained.status()));
    return 1;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const double cpu = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  fmt::print(R"({{"mode":"{}","records":{},"bytes":{},"seconds":{:.3f},"cpu_seconds":{:.3f},)"
             R"("cpu_us_per_event":{:.3f},"events_per_second":{:.0f},"peak_rss_mb":{:.1f}}})"
             "\n",
             options.plain ? "plain" : "source", drained->records, drained->bytes, wall.count(),
             cpu, cpu * 1e6 / static_cast<double>(std::max<std::int64_t>(1, drained->records)),
             static_cast<double>(drained->records) / wall.count(),
             static_cast<double>(peak_rss_kb()) / 1024);
  return 0;
}

}  // namespace
}  // namespace clicktally

int main(int argc, char** argv) {
  try {
    clicktally::set_log_level(clicktally::LogLevel::kWarning);
    const auto options = clicktally::parse(argc, argv);
    if (!options.help) return clicktally::run(options);
    std::fputs(clicktally::kHelp, stdout);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "clicktally-raw-drain: {}; see --help\n", error.what());
    return 2;
  }
}
