// clicktally: builds every part and hands it what it needs.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/clock.h"
#include "base/crash_points.h"
#include "base/descriptors.h"
#include "base/disk.h"
#include "base/exit_code.h"
#include "base/last_resort.h"
#include "base/log.h"
#include "base/standard_streams.h"
#include "base/stop_signals.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "options/options.h"
#include "pipeline/pipeline.h"
#include "pipeline/start_up.h"
#include "sink/console_sink.h"
#include "source/kafka_source.h"
#include "state/count_store.h"

namespace clicktally {
namespace {

// A stop commits what was consumed and must be over within 5 s; what is left is for the output.
constexpr auto kStopPatience = std::chrono::milliseconds(4800);
constexpr int kBlockedOutputGraceMs = 2000;
constexpr std::uint64_t kFewestDescriptors = 256;

std::unique_ptr<Sink> make_sink(const Options& options, const std::atomic<bool>& stop) {
  if (options.sink == SinkKind::kNone) return make_null_sink();
  ConsoleOptions console = options.console;
  console.stopping = &stop;
  console.stop_grace_ms = kBlockedOutputGraceMs;
  return make_console_sink(console);
}

absl::Status run(Options options, StopSignals& signals) {
  if (absl::Status s = raise_descriptor_limit(kFewestDescriptors); !s.ok()) return s;
  const SystemClock clock;
  options.start_up.began_ms = clock.monotonic_ms();
  options.pipeline.snapshot_wanted = &signals.snapshot_wanted();
  const auto disk = make_posix_disk();
  const CheckpointOptions checkpoint_options{
      .must_exist = options.existing,
      .may_fall_back = !options.no_fallback,
      .most_dead_letter_bytes = options.most_dead_letter_bytes,
      .snapshots = options.snapshots,
      .open_state = [&options](Disk& seam, const std::string& path, OpenMode mode) {
        return open_count_store(seam, path, mode, {.block_cache_bytes = options.block_cache_bytes});
      }};
  // The source first: it judges the last of the command line, and a command line that is wrong
  // leaves no directory behind.
  auto source = make_kafka_source(options.source);
  if (!source.ok()) return source.status();
  auto checkpoint = Checkpoint::open(*disk, options.checkpoint, checkpoint_options);
  if (!checkpoint.ok()) return checkpoint.status();
  const auto sink = make_sink(options, signals.flag());

  auto start = start_up(**source, **checkpoint, clock, signals.flag(), options.start_up);
  if (absl::IsCancelled(start.status())) return absl::OkStatus();  // a stop while waiting for Kafka
  if (!start.ok()) return start.status();
  // Only now it is known how many partitions share the memory.
  options.source.partitions = start->next.size();
  if (has_small_queues(options.source)) {
    source = make_kafka_source(options.source);
    if (!source.ok()) return source.status();
  }
  if (absl::Status status = sink->begin(options.source.topic); !status.ok()) return status;
  Pipeline pipeline(**source, **checkpoint, *sink, clock, signals.flag(), options.pipeline);
  const absl::Status ended = pipeline.run(*start);
  reached(CrashPoint::kPipelineEnded);
  return ended;
}

absl::Status print(const std::string& text) {
  if (std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0) return absl::OkStatus();
  return absl::AbortedError(
      fmt::format("standard output: {}; the output is cut short", std::strerror(errno)));
}

int report(const absl::Status& status) {
  if (!status.ok()) {
    // Not fmt::print: it throws where nobody takes the line, and the exit code must stay.
    std::fputs(fmt::format("clicktally: {}\n", one_line(message_of(status))).c_str(),
               stderr);
  }
  return exit_code_of(status);
}

}  // namespace
}  // namespace clicktally

int main(int argc, char** argv) {
  using namespace clicktally;
  occupy_standard_streams();
  ignore_signals_of_writes();
  install_last_resort("clicktally");
  ::umask(077);
  try {
    auto parsed = parse_command_line(argc, argv);
    if (parsed.ok() && parsed->print) {
      return report(print(*parsed->print));
    }
    if (!parsed.ok()) return report(parsed.status());
    set_log_level(parsed->options.log_level);
    // Outlives the last line that is printed: printing may block, and a stop must be bounded.
    StopSignals signals(kStopPatience);
    const absl::Status ended = run(parsed->options, signals);
    reached(CrashPoint::kAllClosed);
    return report(ended);
  } catch (...) {  // memory or threads that the system does not give
    return report(status_of_exception());
  }
}
