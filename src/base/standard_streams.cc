#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

namespace clicktally {

void occupy_standard_streams() {
  // open() gives the lowest number that is free, so one beyond 2 says that none below it is.
  int fd = ::open("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDONLY);
  if (fd > STDERR_FILENO) ::close(fd);
}

void ignore_signals_of_writes() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace clicktally
