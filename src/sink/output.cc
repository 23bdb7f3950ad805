#include "sink/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <limits>
#include <optional>
#include <string>
#include <system_error>

namespace clicktally {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kPollMs = 100;  // how soon `stopping` is noticed

std::string error_text(int error) {
  return std::generic_category().message(error);
}

}  // namespace

// The flags of a shared descriptor are left alone: O_NONBLOCK would reach the shell, too. A pipe
// that polls writable takes PIPE_BUF bytes without blocking (pipe(7)), a file takes everything. A
// terminal promises no such room and is opened a second time, without blocking, where that is
// allowed.
Output::Output(int fd, const std::atomic<bool>* stopping, int stop_grace_ms)
    : fd_(fd),
      writing_fd_(fd),
      stopping_(stopping),
      stop_grace_ms_(stop_grace_ms),
      longest_write_(PIPE_BUF) {
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) {
    longest_write_ = std::numeric_limits<std::size_t>::max();
  }
  if (::isatty(fd_) != 1) return;
  const std::string path = fmt::format("/proc/self/fd/{}", fd_);
  const int again = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (again >= 0) writing_fd_ = again;
}

Output::~Output() {
  if (writing_fd_ != fd_) ::close(writing_fd_);
}

absl::Status Output::write(std::string_view text, std::string_view what,
                           std::string_view next_step) {
  std::optional<SteadyClock::time_point> give_up;
  while (!text.empty()) {
    if (!give_up && stopping_ != nullptr && stopping_->load()) {
      give_up = SteadyClock::now() + std::chrono::milliseconds(stop_grace_ms_);
    } else if (give_up && SteadyClock::now() >= *give_up) {
      return failed(what, "blocked while the program was told to stop", next_step);
    }
    pollfd ready{.fd = writing_fd_, .events = POLLOUT, .revents = 0};
    const int count = ::poll(&ready, 1, kPollMs);
    if (count < 0 && errno != EINTR) return failed(what, error_text(errno), next_step);
    if (count <= 0) continue;
    const ssize_t put = ::write(writing_fd_, text.data(), std::min(text.size(), longest_write_));
    if (put > 0) text.remove_prefix(static_cast<std::size_t>(put));
    if (put >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN) return failed(what, error_text(errno), next_step);
    ::poll(nullptr, 0, kPollMs);  // less room than poll said; a terminal may do that
  }
  return absl::OkStatus();
}

absl::Status Output::failed(std::string_view what, std::string_view why,
                            std::string_view next_step) const {
  const std::string where =
      fd_ == STDOUT_FILENO ? "standard output" : fmt::format("output descriptor {}", fd_);
  return absl::AbortedError(
      fmt::format("{}: cannot write {}: {}; {}", where, what, why, next_step));
}

}  // namespace clicktally
