#include "tools/inspect/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "base/text.h"

namespace clicktally {

namespace {

constexpr std::size_t kFlushAt = 64 << 10;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Output::Output()
    : is_terminal_(::isatty(STDOUT_FILENO) == 1),
      has_colour_(is_terminal_ && environment("NO_COLOR").empty() &&
                  environment("TERM") != "dumb") {}

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

std::string Output::bold(std::string_view text) const {
  return has_colour_ ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

absl::Status finish(Output& output, const absl::Status& otherwise) {
  const absl::Status written = output.finish();
  return written.ok() ? otherwise : written;
}

// Not fmt::print: it throws where nobody takes the line, and the exit code must stay.
void note(std::string_view text) {
  std::fputs(fmt::format("clicktally-inspect: {}\n", one_line(text)).c_str(), stderr);
}

}  // namespace clicktally
