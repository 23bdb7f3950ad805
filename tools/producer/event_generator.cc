#include "tools/producer/event_generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

namespace clicktally {
namespace {

constexpr std::array<std::string_view, 8> kPages{
    "/home", "/product/shirt-x", "/search?q=shoes", "/add-to-cart", "/product/hat-y",
    "/cart", "/checkout/step-1", "/help/returns"};
constexpr std::array<std::string_view, 3> kOtherActions{"view", "scroll", "hover"};

// Neither these nor what follows them can be the start of a JSON value, in the lax dialects too.
constexpr std::string_view kGarbageLeads = "#@%!?*<>|~";

// Below this distance from 1 the power form of the skew loses its digits to cancellation.
constexpr double kNearOne = 1e-6;

double skew_power(const EventOptions& options) {
  const double end = static_cast<double>(options.users) + 1;
  if (std::abs(options.skew - 1) < kNearOne) return std::log(end);
  return std::pow(end, 1 - options.skew);
}

// Appends without bounds checks: the longest event is under 200 bytes, the buffer has 256.
class Pen {
 public:
  explicit Pen(char* start) : start_(start), at_(start) {}
  Pen& operator<<(std::string_view text) {
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  Pen& operator<<(std::int64_t number) {
    at_ = std::to_chars(at_, at_ + 20, number).ptr;
    return *this;
  }
  std::string_view written() const { return {start_, static_cast<std::size_t>(at_ - start_)}; }

 private:
  char* start_;
  char* at_;
};

}  // namespace

EventGenerator::EventGenerator(const EventOptions& options)
    : options_(options),
      skew_power_(skew_power(options)),
      state_(options.seed),
      time_(std::chrono::sys_days{std::chrono::year{2025} / 12 / 14} + std::chrono::hours{9} +
            std::chrono::minutes{25} + std::chrono::seconds{0}) {}

Event EventGenerator::next() {
  advance_time();
  Event event;
  event.broken = chance(options_.broken_share);
  const bool no_user = chance(options_.null_user_share);
  const bool missing = no_user && (random() & 1) != 0;
  event.click = chance(options_.click_share);
  event.user = no_user ? kNullUser : pick_user();
  event.value = write_event(event.user, missing, event.click);
  if (event.broken) {
    event.value = break_event(event.value);
    event.click = false;
    event.user = kNullUser;
  }
  return event;
}

std::uint64_t EventGenerator::random() {
  state_ += 0x9E3779B97F4A7C15;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

// Multiply and shift; its bias, limit / 2^32 at the most, is far below what anyone could see.
std::uint64_t EventGenerator::random_below(std::uint64_t limit) {
  return ((random() >> 32) * limit) >> 32;
}

bool EventGenerator::chance(double share) {
  return static_cast<double>(random() >> 11) * 0x1p-53 < share;
}

// Skewed: the inverse of the distribution function of the density x^-skew on [1, users + 1), cut to
// its whole part. One power a draw, no table, no rejection.
std::int64_t EventGenerator::pick_user() {
  const auto users = static_cast<std::uint64_t>(options_.users);
  if (options_.skew == 0) {
    return options_.first_user + static_cast<std::int64_t>(random_below(users));
  }
  const double u = static_cast<double>(random() >> 11) * 0x1p-53;
  const double x = std::abs(options_.skew - 1) < kNearOne
                       ? std::exp(u * skew_power_)
                       : std::pow(1 + u * (skew_power_ - 1), 1 / (1 - options_.skew));
  const auto rank = static_cast<std::int64_t>(x) - 1;
  return options_.first_user + std::clamp<std::int64_t>(rank, 0, options_.users - 1);
}

void EventGenerator::advance_time() {
  if (made_++ % kEventsPerSecond != 0) return;
  time_ += std::chrono::seconds{1};
  const auto day = std::chrono::floor<std::chrono::days>(time_);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time_ - day};
  time_text_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                           static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                           clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string_view EventGenerator::write_event(UserKey user, bool user_missing, bool click) {
  Pen pen(buffer_.data());
  if (user_missing) {
    pen << "{\"timestamp\": \"";
  } else if (user == kNullUser) {
    pen << "{\"user_id\": null, \"timestamp\": \"";
  } else {
    pen << "{\"user_id\": " << user << ", \"timestamp\": \"";
  }
  // One draw serves all the rest: 3 bits for the page, the upper half for the others.
  const std::uint64_t draw = random();
  const std::uint64_t high = draw >> 32;
  pen << time_text_ << "\", \"page_url\": \"" << kPages[draw % kPages.size()]
      << "\", \"action\": \"";
  if (click) {
    pen << "click\", \"duration_ms\": 0}";
  } else {
    pen << kOtherActions[high % kOtherActions.size()]
        << "\", \"duration_ms\": " << static_cast<std::int64_t>(100 * (1 + high % 97)) << "}";
  }
  return pen.written();
}

std::string_view EventGenerator::break_event(std::string_view event) {
  switch (random_below(3)) {
    case 0:  // cut off before its closing brace
      return event.substr(0, 1 + random_below(event.size() - 1));
    case 1: {  // any bytes but control characters, so that a line stays a line
      const std::size_t length = 1 + random_below(event.size());
      buffer_[0] = kGarbageLeads[random_below(kGarbageLeads.size())];
      for (std::size_t i = 1; i < length; ++i) {
        const std::uint64_t byte = 0x20 + random_below(0x100 - 0x21);
        buffer_[i] = static_cast<char>(byte < 0x7F ? byte : byte + 1);
      }
      return {buffer_.data(), length};
    }
    default:
      return event.substr(0, 0);  // empty, yet not a null pointer
  }
}

}  // namespace clicktally
