// Time, injected. Triggers run on the monotonic clock, so that a jump of the wall clock moves none
// of them; only what people read (processing_time) comes from the wall clock.
#pragma once

#include <cstdint>

namespace clicktally {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::int64_t monotonic_ms() const = 0;
  virtual std::int64_t wall_ms() const = 0;  // since the Unix epoch
};

class SystemClock final : public Clock {
 public:
  std::int64_t monotonic_ms() const override;
  std::int64_t wall_ms() const override;
};

}  // namespace clicktally
