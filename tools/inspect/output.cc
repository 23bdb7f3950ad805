#include "tools/inspect/output.h"

#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace clicktally {

namespace {
constexpr std::size_t kFlushAt = 64 << 10;
}

bool Output::write(std::string_view text) {
  buffer_.append(text);
  return buffer_.size() < kFlushAt || flush();
}

bool Output::flush() {
  std::string_view left = buffer_;
  while (error_ == 0 && !left.empty()) {
    const ssize_t put = ::write(STDOUT_FILENO, left.data(), left.size());
    if (put >= 0) {
      left.remove_prefix(static_cast<std::size_t>(put));
    } else if (errno != EINTR) {
      error_ = errno;
    }
  }
  buffer_.clear();
  return error_ == 0;
}

absl::Status Output::finish() {
  if (flush() || error_ == EPIPE) return absl::OkStatus();
  return absl::AbortedError("standard output: " + std::generic_category().message(error_) +
                            "; the output is cut short");
}

}  // namespace clicktally
