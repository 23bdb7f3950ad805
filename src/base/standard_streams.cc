#include "base/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace clicktally {

void occupy_standard_streams() {
  // open() gives the lowest number that is free, so one beyond 2 says that none below it is.
  int fd = ::open("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDONLY);
  if (fd > STDERR_FILENO) ::close(fd);
}

}  // namespace clicktally
