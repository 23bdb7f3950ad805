#include "base/clock.h"

#include <chrono>

namespace clicktally {

namespace {
template <typename ClockType>
std::int64_t now_ms() {
  const auto since_epoch = ClockType::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count();
}
}  // namespace

std::int64_t SystemClock::monotonic_ms() const {
  return now_ms<std::chrono::steady_clock>();
}
std::int64_t SystemClock::wall_ms() const {
  return now_ms<std::chrono::system_clock>();
}

}  // namespace clicktally
