#include "base/stop_signals.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>

#include "absl/status/status.h"
#include "base/exit_code.h"
#include "base/log.h"

namespace clicktally {

StopSignals::StopSignals(std::chrono::milliseconds patience) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed output is an error of the write, reported there
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
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
  const int leave_at_once = exit_code_of(absl::CancelledError(""));
  while (true) {
    pollfd watched[2] = {{signal_fd_, POLLIN, 0}, {done_fd_, POLLIN, 0}};
    const int ready = ::poll(watched, 2, flag_ ? static_cast<int>(patience.count()) : -1);
    if (ready < 0) continue;  // EINTR
    if (watched[1].revents != 0) return;
    if (ready == 0) {
      log_error("stopping takes longer than {} ms; leaving now, the last commit stands",
                patience.count());
      std::_Exit(leave_at_once);
    }
    signalfd_siginfo info{};
    if (::read(signal_fd_, &info, sizeof info) != sizeof info) continue;
    if (flag_.exchange(true)) {
      log_warning("second signal; leaving now, the last commit stands");
      std::_Exit(leave_at_once);
    }
    log_info("{}; stopping after one last commit", info.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
  }
}

}  // namespace clicktally
