// Linked before the product's libraries, this makes of clicktally and clicktally-inspect the
// programs clicktally_at_points and clicktally_inspect_at_points, which kill themselves:
//
//   CLICKTALLY_KILL_AT=POINT:VISIT   by its place in the enum CrashPoint, from 0; visits from 1
//
// Without it they are what they are made of. tests/crash/points_test.py and repair_points_test.py
// know the names.
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "base/crash_points.h"

namespace clicktally {
namespace {

struct Target {
  int point = -1;
  int visit = 0;
};

Target target_of_environment() {
  Target target;
  const char* text = std::getenv("CLICKTALLY_KILL_AT");
  if (text == nullptr) return target;
  if (std::sscanf(text, "%d:%d", &target.point, &target.visit) == 2) return target;
  std::fprintf(stderr, "CLICKTALLY_KILL_AT=%s is not POINT:VISIT\n", text);
  std::_Exit(99);
}

}  // namespace

void reached(CrashPoint point) {
  static const Target target = target_of_environment();
  static std::atomic<int> visits{0};
  if (static_cast<int>(point) != target.point || ++visits != target.visit) return;
  ::kill(::getpid(), SIGKILL);
  while (true) ::pause();  // nothing more may happen, however late the signal comes
}

}  // namespace clicktally
