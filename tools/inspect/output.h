// Standard output, buffered, with its errors kept; and lines to standard error.
//
// A closed pipe (`| head`) is no error: the reader has seen enough, and the tool ends quietly.
// Colour goes to a terminal only, and not to one whose owner set NO_COLOR or TERM=dumb.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace clicktally {

class Output {
 public:
  Output();
  // False when nobody reads any more, or the output failed: stop producing.
  bool write(std::string_view text);
  // Ends the output. OK for a closed pipe, kAborted for what could not be written.
  absl::Status finish();

  bool is_terminal() const { return is_terminal_; }
  // `text` in bold, where colour may be.
  std::string bold(std::string_view text) const;

 private:
  bool flush();

  const bool is_terminal_;
  const bool has_colour_;
  std::string buffer_;
  int error_ = 0;
};

// The status that a command ends with: the first that is not OK, the output's first of all.
absl::Status finish(Output& output, const absl::Status& otherwise);

// One line on standard error, with the program's name and nothing that a terminal would obey.
void note(std::string_view text);

}  // namespace clicktally
