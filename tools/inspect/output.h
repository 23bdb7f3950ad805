// Standard output, buffered, with its errors kept. A closed pipe (`| head`) is no error: the reader
// has seen enough, and the tool ends quietly.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace clicktally {

class Output {
 public:
  // False when nobody reads any more, or the output failed: stop producing.
  bool write(std::string_view text);
  // Ends the output. OK for a closed pipe, kAborted for what could not be written.
  absl::Status finish();

 private:
  bool flush();

  std::string buffer_;
  int error_ = 0;
};

}  // namespace clicktally
