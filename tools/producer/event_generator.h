// Seeded clickstream events: the same options give the same bytes, event by event, for ever (a skew
// other than 0 goes through the C library's pow and log, so there only on the same C library).
//
// An event looks like the ones the job was written for, about 120 bytes:
//   {"user_id": 1001, "timestamp": "2025-12-14T09:25:01", "page_url": "/home", "action": "view",
//    "duration_ms": 1200}
// in one line, keys in this order; timestamps advance by a second every kEventsPerSecond events.
//
// The caller learns with each event whether the job must count it and for whom, so the truth needs
// no JSON parser. Pure: no clock, no files, no threads.
//
// Random numbers: SplitMix64 (Steele, Lea, Flood 2014).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/user_key.h"

namespace clicktally {

// Shares are of all events, from 0 to 1.
struct EventOptions {
  std::int64_t users = 1000;    // ids from first_user on; all of them must fit in an int32
  std::int64_t first_user = 0;  //
  double skew = 0;              // 0: uniform. Else about Zipf's law with this exponent, first_user
                                // being the busiest: user k has a share near 1 / (k + 1)^skew
  double null_user_share = 0;   // user_id null or, as often, missing
  double click_share = 0.5;     // the rest are views, scrolls, hovers
  double broken_share = 0;      // not JSON: cut off, garbage or empty, a third each
  std::uint64_t seed = 1;
};

struct Event {
  std::string_view value;  // valid until the next call of next()
  bool broken = false;     // never a click
  bool click = false;
  UserKey user = kNullUser;
};

class EventGenerator {
 public:
  static constexpr int kEventsPerSecond = 100;

  explicit EventGenerator(const EventOptions& options);

  Event next();

 private:
  std::uint64_t random();
  std::uint64_t random_below(std::uint64_t limit);
  bool chance(double share);
  std::int64_t pick_user();
  void advance_time();
  std::string_view write_event(UserKey user, bool user_missing, bool click);
  std::string_view break_event(std::string_view event);

  const EventOptions options_;
  const double skew_power_;  // (users + 1)^(1 - skew), or log(users + 1) where skew is 1
  std::uint64_t state_;
  std::int64_t made_ = 0;
  std::chrono::sys_seconds time_;
  std::string time_text_;
  std::array<char, 256> buffer_{};
};

}  // namespace clicktally
