// Writes text to a descriptor that may be slow, blocked or closed, and that other programs may
// share.
//
// One thread. Every failure is kAborted, in one line. SIGPIPE must be ignored by the program.
#pragma once

#include <atomic>
#include <string_view>

#include "absl/status/status.h"

namespace clicktally {

class Output {
 public:
  // `fd` and `stopping` are borrowed; `stopping` may be null.
  Output(int fd, const std::atomic<bool>* stopping, int stop_grace_ms);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Returns when all of `text` is handed to the kernel, or when `*stopping` was seen to be true and
  // that took more than `stop_grace_ms` from then on; part of the text may be written then. `what`
  // and `next_step` are the words of the error: what was to be written, and what the operator does
  // next.
  absl::Status write(std::string_view text, std::string_view what, std::string_view next_step);

 private:
  absl::Status failed(std::string_view what, std::string_view why,
                      std::string_view next_step) const;

  const int fd_;
  int writing_fd_;
  const std::atomic<bool>* const stopping_;
  const int stop_grace_ms_;
  std::size_t longest_write_;
};

}  // namespace clicktally
