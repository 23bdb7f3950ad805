#include "tools/producer/event_generator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace clicktally {
namespace {

std::vector<std::string> values_of(const EventOptions& options, int count) {
  EventGenerator generator(options);
  std::vector<std::string> values;
  for (int i = 0; i < count; ++i) values.emplace_back(generator.next().value);
  return values;
}

// A new one each run; CLICKTALLY_SEED=N repeats the one that a failure printed.
std::uint64_t test_seed() {
  const char* given = std::getenv("CLICKTALLY_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

// Six standard deviations of a share seen in `count` draws.
double tolerance(double share, int count) {
  return 6 * std::sqrt(share * (1 - share) / count);
}

// The slow, obvious reading of a record: what a job must count it as.
bool is_click(const std::string& value, UserKey* user) {
  const nlohmann::json event = nlohmann::json::parse(value, nullptr, false);
  if (!event.is_object() || event.value("action", "") != "click") return false;
  const auto id = event.find("user_id");
  *user = id == event.end() || id->is_null() ? kNullUser : id->get<std::int32_t>();
  return true;
}

TEST(EventGenerator, SameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  EventOptions options{.users = 50, .null_user_share = 0.1, .broken_share = 0.1, .seed = 7};
  const std::vector<std::string> values = values_of(options, 5000);
  EXPECT_EQ(values_of(options, 5000), values);
  options.seed = 8;
  EXPECT_NE(values_of(options, 5000), values);
}

TEST(EventGenerator, SeedOneGivesTheseEventsForEver) {
  const std::vector<std::string> expected{
      R"({"user_id": 1445, "timestamp": "2025-12-14T09:25:01", "page_url": "/product/shirt-x", )"
      R"("action": "view", "duration_ms": 3500})",
      R"({"user_id": 1286, "timestamp": "2025-12-14T09:25:01", "page_url": "/checkout/step-1", )"
      R"("action": "view", "duration_ms": 3100})",
      R"({"user_id": 1531, "timestamp": "2025-12-14T09:25:01", "page_url": "/home", )"
      R"("action": "click", "duration_ms": 0})",
  };
  EXPECT_EQ(values_of({.users = 1000, .first_user = 1001}, 3), expected);
}

TEST(EventGenerator, EveryEventLooksLikeTheSamples) {
  const std::regex shape(
      R"re(\{("user_id": (null|-?\d+), )?"timestamp": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", )re"
      R"re("page_url": "/[^" ]+", "action": "(click", "duration_ms": 0|)re"
      R"re((view|scroll|hover)", "duration_ms": [1-9]\d*)\})re");
  const EventOptions options{.users = 1'000'000, .first_user = -1000, .null_user_share = 0.2};
  std::size_t bytes = 0;
  for (const std::string& value : values_of(options, 5000)) {
    ASSERT_TRUE(std::regex_match(value, shape)) << value;
    bytes += value.size();
  }
  EXPECT_NEAR(static_cast<double>(bytes) / 5000, 120, 5);
}

TEST(EventGenerator, WhatItSaysOfAnEventIsWhatAJsonParserFindsInIt) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(fmt::format("CLICKTALLY_SEED={}", seed));
  EventGenerator generator({.users = 300,
                            .first_user = -100,
                            .skew = 0.8,
                            .null_user_share = 0.2,
                            .click_share = 0.6,
                            .broken_share = 0.3,
                            .seed = seed});
  for (int i = 0; i < 20'000; ++i) {
    const Event event = generator.next();
    const std::string value(event.value);
    EXPECT_EQ(nlohmann::json::accept(value), !event.broken) << value;
    UserKey user = kNullUser;
    ASSERT_EQ(is_click(value, &user), event.click) << value;
    if (event.click) {
      EXPECT_EQ(user, event.user) << value;
    }
  }
}

TEST(EventGenerator, SharesAreAboutWhatWasAskedFor) {
  const std::uint64_t seed = test_seed();
  SCOPED_TRACE(fmt::format("CLICKTALLY_SEED={}", seed));
  constexpr int kEvents = 100'000;
  EventGenerator generator(
      {.null_user_share = 0.2, .click_share = 0.7, .broken_share = 0.1, .seed = seed});
  int broken = 0;
  int clicks = 0;
  int no_user = 0;
  int missing = 0;
  for (int i = 0; i < kEvents; ++i) {
    const Event event = generator.next();
    broken += event.broken;
    clicks += event.click;
    if (event.broken) continue;
    no_user += event.user == kNullUser;
    missing += event.value.find("user_id") == std::string_view::npos;
  }
  EXPECT_NEAR(broken, 0.1 * kEvents, tolerance(0.1, kEvents) * kEvents);
  EXPECT_NEAR(clicks, 0.63 * kEvents, tolerance(0.63, kEvents) * kEvents);
  EXPECT_NEAR(no_user, 0.18 * kEvents, tolerance(0.18, kEvents) * kEvents);
  EXPECT_NEAR(missing, 0.09 * kEvents, tolerance(0.09, kEvents) * kEvents);
}

TEST(EventGenerator, SharesOfNoneAndAllAreExact) {
  EventGenerator none({.null_user_share = 0, .click_share = 0, .broken_share = 0});
  EventGenerator all({.null_user_share = 1, .click_share = 1, .broken_share = 0});
  EventGenerator rubble({.broken_share = 1});
  for (int i = 0; i < 10'000; ++i) {
    const Event plain = none.next();
    ASSERT_TRUE(!plain.click && !plain.broken && plain.user != kNullUser);
    const Event click = all.next();
    ASSERT_TRUE(click.click && !click.broken && click.user == kNullUser);
    const Event broken = rubble.next();
    ASSERT_TRUE(broken.broken && !broken.click);
    ASSERT_NE(broken.value.data(), nullptr);  // Kafka takes that for no value at all
  }
}

TEST(EventGenerator, BrokenOnesAreCutOffOrGarbageOrEmptyAndKeepToTheirLine) {
  int empty = 0;
  int cut_off = 0;
  int garbage = 0;
  for (const std::string& value : values_of({.broken_share = 1}, 30'000)) {
    ASSERT_EQ(value.find_first_of(std::string("\n\r\0", 3)), std::string::npos);
    ++(value.empty() ? empty : value[0] == '{' ? cut_off : garbage);
  }
  for (const int kind : {empty, cut_off, garbage}) {
    EXPECT_NEAR(kind, 10'000, tolerance(1.0 / 3, 30'000) * 30'000);
  }
}

TEST(EventGenerator, TimestampsAdvanceBySecondsAndPassMidnight) {
  const std::map<int, std::string> expected{{0, "2025-12-14T09:25:01"},
                                            {99, "2025-12-14T09:25:01"},
                                            {100, "2025-12-14T09:25:02"},
                                            {360'000, "2025-12-14T10:25:01"},
                                            {5'759'999, "2025-12-15T01:25:00"}};
  static_assert(EventGenerator::kEventsPerSecond == 100);
  EventGenerator generator({});
  int made = 0;
  for (const auto& [number, time] : expected) {
    std::string_view value;
    for (; made <= number; ++made) value = generator.next().value;
    EXPECT_EQ(nlohmann::json::parse(value)["timestamp"], time) << number;
  }
}

TEST(EventGenerator, UniformUsersAreAllSeenAboutEquallyOftenAndNoOthers) {
  constexpr int kEvents = 100'000;
  std::map<UserKey, int> seen;
  EventGenerator generator({.users = 10, .first_user = -3});
  for (int i = 0; i < kEvents; ++i) ++seen[generator.next().user];
  ASSERT_EQ(seen.size(), 10u);
  EXPECT_EQ(seen.begin()->first, -3);
  EXPECT_EQ(seen.rbegin()->first, 6);
  for (const auto& [user, count] : seen) {
    EXPECT_NEAR(count, kEvents / 10, tolerance(0.1, kEvents) * kEvents) << user;
  }
}

TEST(EventGenerator, SkewedUsersFollowTheirLawAtEveryExponent) {
  constexpr int kEvents = 200'000;
  constexpr int kUsers = 1000;
  for (const double skew : {0.5, 1.0, 1.5}) {
    // The share of the first k users: the integral of x^-skew from 1 to k + 1 over that to the end.
    const auto mass = [&](double k) {
      return skew == 1 ? std::log(k + 1) : (std::pow(k + 1, 1 - skew) - 1) / (1 - skew);
    };
    std::map<UserKey, int> seen;
    EventGenerator generator({.users = kUsers, .skew = skew});
    for (int i = 0; i < kEvents; ++i) ++seen[generator.next().user];
    for (const int first : {1, 10, 100}) {
      int count = 0;
      for (const auto& [user, events] : seen) count += user < first ? events : 0;
      const double share = mass(first) / mass(kUsers);
      EXPECT_NEAR(count, share * kEvents, tolerance(share, kEvents) * kEvents)
          << "skew " << skew << ", the first " << first;
    }
  }
}

TEST(EventGenerator, UserIdsStayWithinAnInt32AtItsEndsWhateverTheSkew) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int32_t>::min();
  constexpr std::int64_t kAll = std::int64_t{1} << 32;
  for (const double skew : {0.0, 0.1, 1.0, 1.0000001, 3.0, 50.0}) {
    EventGenerator generator({.users = kAll, .first_user = kMin, .skew = skew});
    for (int i = 0; i < 10'000; ++i) {
      const UserKey user = generator.next().user;
      ASSERT_TRUE(user >= kMin && user < kMin + kAll) << user << ", skew " << skew;
    }
  }
}

}  // namespace
}  // namespace clicktally
