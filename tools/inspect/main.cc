// clicktally-inspect: sees, proves and mends a checkpoint offline. A thin main: the command line,
// and the command's own function.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "base/last_resort.h"
#include "base/standard_streams.h"
#include "base/text.h"
#include "tools/inspect/command_line.h"
#include "tools/inspect/output.h"

namespace clicktally {
namespace {

absl::Status run(int argc, char** argv) {
  auto wanted = read_command_line(argc, argv);
  if (!wanted.ok()) return wanted.status();
  if (!wanted->text.empty()) {
    Output output;
    output.write(wanted->text);
    return output.finish();
  }
  // A checkpoint of few files needs few; one that needs more than there are says so.
  raise_descriptor_limit(0).IgnoreError();
  const auto disk = make_posix_disk();
  return wanted->line.command->run(*disk, wanted->line);
}

}  // namespace
}  // namespace clicktally

int main(int argc, char** argv) {
  using namespace clicktally;
  occupy_standard_streams();
  ::umask(077);
  ignore_signals_of_writes();
  install_last_resort("clicktally-inspect");
  absl::Status status;
  try {
    status = run(argc, argv);
  } catch (...) {  // memory or threads that the system does not give
    status = status_of_exception();
  }
  if (!status.ok()) note(message_of(status));
  return exit_code_of(status);
}
