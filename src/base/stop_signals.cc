#include "base/stop_signals.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/crash_points.h"
#include "base/exit_code.h"
#include "base/log.h"

namespace clicktally {
namespace {

// timeout(1) signals its child and then its group; a person needs longer to press a key again.
constexpr std::chrono::milliseconds kOneAndTheSame{300};

// One line to standard error if it takes one now. The logger would wait for a reader of a full
// pipe, and with it the watcher, and with it every later signal.
void say(std::string_view line) {
  pollfd error_output{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&error_output, 1, 0) != 1 || (error_output.revents & POLLOUT) == 0) return;
  const std::string text = fmt::format("clicktally: {}\n", line);
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace

StopSignals::StopSignals(std::chrono::milliseconds patience) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal_fd_ = signalfd(-1, &signals, SFD_CLOEXEC);
  done_fd_ = eventfd(0, EFD_CLOEXEC);
  if (signal_fd_ < 0 || done_fd_ < 0) {
    log_error("cannot watch for signals: out of file descriptors");
    std::_Exit(exit_code_of(absl::ResourceExhaustedError("")));
  }
  watcher_ = std::thread([this, patience] { watch(patience); });
}

StopSignals::~StopSignals() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t put = ::write(done_fd_, &one, sizeof one);  // cannot fail: 8 bytes
  watcher_.join();
  ::close(signal_fd_);
  ::close(done_fd_);
}

void StopSignals::watch(std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const int leave_at_once = exit_code_of(absl::CancelledError(""));
  Clock::time_point first{};
  while (true) {
    pollfd watched[2] = {{signal_fd_, POLLIN, 0}, {done_fd_, POLLIN, 0}};
    int longest_ms = -1;
    if (flag_) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(first + patience - Clock::now());
      longest_ms = std::max(0, static_cast<int>(left.count()));
    }
    const int ready = ::poll(watched, 2, longest_ms);
    if (ready < 0) continue;  // EINTR
    if (watched[1].revents != 0) return;
    if (ready == 0) {
      say("stopping takes too long; leaving now, the last commit stands");
      std::_Exit(leave_at_once);
    }
    signalfd_siginfo info{};
    if (::read(signal_fd_, &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo == SIGUSR1) {
      snapshot_wanted_ = true;
      continue;
    }
    if (flag_ && Clock::now() - first < kOneAndTheSame) continue;
    if (flag_) {
      say("second signal; leaving now, the last commit stands");
      std::_Exit(leave_at_once);
    }
    first = Clock::now();
    flag_ = true;
    reached(CrashPoint::kStopAsked);
    say(info.ssi_signo == SIGINT ? "SIGINT; stopping after one last commit"
                                 : "SIGTERM; stopping after one last commit");
  }
}

}  // namespace clicktally
