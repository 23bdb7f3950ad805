// clicktally-produce: generates events, sends them, and writes down the truth about them.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "tools/producer/click_truth.h"
#include "tools/producer/event_generator.h"
#include "tools/producer/event_output.h"
#include "tools/producer/producer_options.h"

namespace clicktally {
namespace {

// Between two looks at the clock and the signals.
constexpr std::int64_t kEventsPerLook = 256;
constexpr int kNapMs = 1;

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

// The second signal finds the default action again, and ends the process.
void stop_at_first_signal() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_asked = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

struct Tally {
  std::int64_t events = 0;
  std::int64_t clicks = 0;
  std::int64_t broken = 0;
  double seconds = 0;
  ClickTruth truth;
};

// kCancelled if the operator stopped while there was none.
absl::Status send_when_there_is_room(EventOutput& output, std::string_view value) {
  for (;;) {
    absl::Status status = output.send(value);
    if (!absl::IsResourceExhausted(status)) return status;
    if (stop_asked) return absl::CancelledError("stopped");
    output.wait(kNapMs);
  }
}

absl::Status send_lines(const std::string& path, EventOutput& output) {
  std::ifstream file;
  if (path != "-") file.open(path);
  std::istream& lines = path == "-" ? std::cin : file;
  if (!lines) return absl::NotFoundError(fmt::format("{}: cannot be opened; check the path", path));
  absl::Status sent;
  for (std::string line; sent.ok() && !stop_asked && std::getline(lines, line);) {
    sent = send_when_there_is_room(output, line);
  }
  const absl::Status finished = output.finish();
  return finished.ok() && !absl::IsCancelled(sent) ? sent : finished;
}

class Run {
 public:
  Run(const ProducerOptions& options, EventOutput* output)
      : options_(options), output_(*output), generator_(options.events) {}

  // Until the events, the time or the operator's patience end, or the output fails.
  absl::Status make_events() {
    for (;;) {
      const double elapsed = seconds_since_start();
      const std::int64_t due = events_due(elapsed);
      if (stop_asked || due < 0) return absl::OkStatus();
      if (due == 0) output_.wait(kNapMs);
      for (std::int64_t i = 0; i < due; ++i) {
        if (absl::Status status = make_event(); !status.ok()) return status;
        if (stop_asked) return absl::OkStatus();
      }
    }
  }

  Tally take_tally() {
    tally_.seconds = seconds_since_start();
    return std::move(tally_);
  }

 private:
  double seconds_since_start() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

  // How many to make before the next look at the clock; below 0: the run is over.
  std::int64_t events_due(double elapsed) const {
    if (options_.seconds > 0 && elapsed >= options_.seconds) return -1;
    std::int64_t due = kEventsPerLook;
    if (options_.count > 0) due = std::min(due, options_.count - tally_.events);
    if (due == 0) return -1;
    if (options_.rate > 0) {
      const double by_now = std::min(elapsed * options_.rate + 1, 9e18);
      due = std::clamp<std::int64_t>(static_cast<std::int64_t>(by_now) - tally_.events, 0, due);
    }
    return due;
  }

  // An event that the stop keeps out of a full queue is in no count.
  absl::Status make_event() {
    const Event event = generator_.next();
    absl::Status sent = send_when_there_is_room(output_, event.value);
    if (absl::IsCancelled(sent)) return absl::OkStatus();
    if (!sent.ok()) return sent;
    ++tally_.events;
    if (event.broken) ++tally_.broken;
    if (event.click) {
      ++tally_.clicks;
      tally_.truth.add(event.user);
    }
    return absl::OkStatus();
  }

  const ProducerOptions& options_;
  EventOutput& output_;
  EventGenerator generator_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Tally tally_;
};

// Found out before the events are sent, not after. The counts that the file holds, if they are to
// be added to.
absl::StatusOr<ClickTruth> prepare_truth_file(const ProducerOptions& options) {
  if (options.truth_file.empty()) return ClickTruth();
  const std::filesystem::path path(options.truth_file);
  const std::string folder = path.has_parent_path() ? path.parent_path().string() : ".";
  if (access(folder.c_str(), W_OK) != 0) {
    return absl::UnavailableError(fmt::format(
        "cannot write {}: no folder {} that can be written to", options.truth_file, folder));
  }
  if (options.append_truth && std::filesystem::exists(path)) {
    return ClickTruth::load(options.truth_file);
  }
  return ClickTruth();
}

absl::Status produce(const ProducerOptions& options) {
  absl::StatusOr<ClickTruth> earlier = prepare_truth_file(options);
  if (!earlier.ok()) return earlier.status();
  absl::StatusOr<std::unique_ptr<EventOutput>> output =
      options.print ? make_print_output() : make_kafka_output(options.kafka);
  if (!output.ok()) return output.status();
  if (!options.lines_file.empty()) return send_lines(options.lines_file, **output);

  Run run(options, output->get());
  const absl::Status made = run.make_events();
  const absl::Status finished = (*output)->finish();
  if (!finished.ok()) return finished;
  if (!made.ok()) return made;
  const Tally tally = run.take_tally();

  if (!options.truth_file.empty()) {
    ClickTruth truth = *std::move(earlier);
    truth.add_all(tally.truth);
    if (absl::Status status = truth.save(options.truth_file); !status.ok()) return status;
  }
  fmt::print(stderr, "{} events, {} clicks of {} users, {} broken, in {:.3f} s: {:.0f} events/s\n",
             tally.events, tally.clicks, tally.truth.users(), tally.broken, tally.seconds,
             static_cast<double>(tally.events) / tally.seconds);
  return absl::OkStatus();
}

int run(int argc, char** argv) {
  const absl::StatusOr<ProducerOptions> options = parse_producer_options(argc, argv);
  if (options.ok() && options->help) {
    fmt::print("{}", producer_help());
    return 0;
  }
  stop_at_first_signal();
  const absl::Status status = options.ok() ? produce(*options) : options.status();
  if (status.ok()) return 0;
  fmt::print(stderr, "clicktally-produce: {}\n", escape_controls(std::string(status.message())));
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace
}  // namespace clicktally

int main(int argc, char** argv) {
  try {
    return clicktally::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "clicktally-produce: {}\n", error.what());
    return 1;
  }
}
