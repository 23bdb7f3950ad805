#include "base/text.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace clicktally {
namespace {

using namespace std::string_literals;

TEST(EscapeControls, TextThatATerminalCanShowStaysAsItIs) {
  for (const std::string& text :
       {""s, "clickstream_events"s, "a b~!\\x1b"s, "\u00e9\u20ac\U0001f600"s, "\u00a0\ud7ff\uffff"s,
        "\U0010ffff"s}) {
    EXPECT_EQ(escape_controls(text), text);
  }
}

TEST(EscapeControls, EveryControlCharacterBecomesHexadecimal) {
  EXPECT_EQ(escape_controls("\0\x01\t\n\r\x1b[2J\x1f\x7f"s),
            R"(\x00\x01\x09\x0a\x0d\x1b[2J\x1f\x7f)");
  // C1 controls, which some terminals obey, in their UTF-8 form.
  EXPECT_EQ(escape_controls("\u0080\u009b\u009f"), R"(\xc2\x80\xc2\x9b\xc2\x9f)");
}

TEST(EscapeControls, WhatIsNotSeenOrTurnsTheWritingBecomesHexadecimal) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"\ufeff", R"(\xef\xbb\xbf)"},                                 // the byte order mark
      {"\u061c", R"(\xd8\x9c)"},     {"\u200b", R"(\xe2\x80\x8b)"},  // of no width
      {"\u200c", R"(\xe2\x80\x8c)"}, {"\u200d", R"(\xe2\x80\x8d)"},
      {"\u2060", R"(\xe2\x81\xa0)"}, {"\u200e", R"(\xe2\x80\x8e)"},  // of direction
      {"\u200f", R"(\xe2\x80\x8f)"}, {"\u202a", R"(\xe2\x80\xaa)"},
      {"\u202b", R"(\xe2\x80\xab)"}, {"\u202c", R"(\xe2\x80\xac)"},
      {"\u202d", R"(\xe2\x80\xad)"}, {"\u202e", R"(\xe2\x80\xae)"},
      {"\u2066", R"(\xe2\x81\xa6)"}, {"\u2067", R"(\xe2\x81\xa7)"},
      {"\u2068", R"(\xe2\x81\xa8)"}, {"\u2069", R"(\xe2\x81\xa9)"},
      {"\u2028", R"(\xe2\x80\xa8)"},  // separators of lines and paragraphs
      {"\u2029", R"(\xe2\x80\xa9)"}, {"\u00ad", R"(\xc2\xad)"},
      {"\u180e", R"(\xe1\xa0\x8e)"}, {"\ufe0f", R"(\xef\xb8\x8f)"},
      {"\ufff9", R"(\xef\xbf\xb9)"}, {"\U000e0041", R"(\xf3\xa0\x81\x81)"},
  };
  for (const auto& [text, shown] : cases) {
    EXPECT_EQ(escape_controls(text), shown);
    EXPECT_EQ(escape_controls("a" + text + "b"), "a" + shown + "b");
    EXPECT_EQ(one_line(text), shown);
  }
  // Their neighbours are seen.
  for (const std::string& text : {"\u061b"s, "\u061d"s, "\u200a"s, "\u2010"s, "\u2027"s, "\u202f"s,
                                  "\u205f"s, "\u2070"s, "\ufefe"s, "\uff00"s, "\u00ae"s}) {
    EXPECT_EQ(escape_controls(text), text);
  }
}

TEST(EscapeControls, BytesThatAreNotUtf8BecomeHexadecimal) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"\x80", R"(\x80)"},                          // a continuation alone
      {"a\xc3", R"(a\xc3)"},                        // cut off
      {"\xc3(", R"(\xc3()"},                        // no continuation
      {"\xc0\xaf", R"(\xc0\xaf)"},                  // overlong
      {"\xe0\x80\xaf", R"(\xe0\x80\xaf)"},          // overlong
      {"\xf0\x80\x80\xaf", R"(\xf0\x80\x80\xaf)"},  // overlong
      {"\xed\xa0\x80", R"(\xed\xa0\x80)"},          // a surrogate
      {"\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},  // beyond U+10FFFF
      {"\xf5\x80\x80\x80", R"(\xf5\x80\x80\x80)"},
      {"\xe2\x82", R"(\xe2\x82)"},
      {"\xf0\x9f\x98", R"(\xf0\x9f\x98)"},
      {"\xff\xfeok", R"(\xff\xfeok)"},
  };
  for (const auto& [text, shown] : cases) EXPECT_EQ(escape_controls(text), shown);
}

TEST(ParseInterval, ReadsSparksWords) {
  const std::vector<std::pair<std::string, std::int64_t>> cases{
      {"5 seconds", 5000},
      {"1 second", 1000},
      {"100 ms", 100},
      {"7 millis", 7},
      {"1 millisecond", 1},
      {"2 milliseconds", 2},
      {"3 s", 3000},
      {"1 minute", 60'000},
      {"2 minutes", 120'000},
      {"1 hour", 3'600'000},
      {"3 hours", 10'800'000},
      {"1 day", 86'400'000},
      {"24 days", 2'073'600'000},
      {"1 minute 30 seconds", 90'000},
      {"  5\tSeconds  ", 5000},
      {"0 seconds", 0},
      {"2073600000 ms", 2'073'600'000},
  };
  for (const auto& [text, interval_ms] : cases) {
    const auto parsed = parse_interval_ms(text);
    ASSERT_TRUE(parsed.ok()) << text << ": " << parsed.status();
    EXPECT_EQ(*parsed, interval_ms) << text;
  }
}

TEST(ParseInterval, RefusesEverythingElseInOneLineThatShowsIt) {
  for (const std::string& text :
       {""s, " "s, "5"s, "seconds"s, "5seconds"s, "seconds 5"s, "-5 seconds"s, "1.5 seconds"s,
        "5 fortnights"s, "5 seconds 3"s, "25 days"s, "24 days 1 ms"s, "2073600001 ms"s,
        "9223372036854775807 ms"s, "9223372036854775807 days"s, "99999999999999999999 ms"s,
        "5 sec\nonds"s}) {
    const auto parsed = parse_interval_ms(text);
    ASSERT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << text;
    const std::string message(parsed.status().message());
    EXPECT_NE(message.find("'" + escape_controls(text) + "'"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(GroupThousands, PutsACommaBeforeEveryThirdDigit) {
  const std::vector<std::pair<std::int64_t, std::string>> cases{
      {0, "0"},
      {7, "7"},
      {999, "999"},
      {1000, "1,000"},
      {12'345, "12,345"},
      {123'456, "123,456"},
      {1'234'567, "1,234,567"},
      {-1, "-1"},
      {-999, "-999"},
      {-1000, "-1,000"},
      {-123'456, "-123,456"},
      {std::numeric_limits<std::int64_t>::max(), "9,223,372,036,854,775,807"},
      {std::numeric_limits<std::int64_t>::min(), "-9,223,372,036,854,775,808"},
  };
  for (const auto& [number, text] : cases) EXPECT_EQ(group_thousands(number), text);
}

TEST(TextTest, SizesAreWholeNumbersOfPowersOf1024) {
  const std::vector<std::pair<std::string, std::int64_t>> cases{{"0", 0},
                                                                {"17", 17},
                                                                {"17B", 17},
                                                                {"64k", 64 << 10},
                                                                {"64 KiB", 64 << 10},
                                                                {"3MB", 3 << 20},
                                                                {"1 g", 1 << 30},
                                                                {"1024T", std::int64_t{1} << 50}};
  for (const auto& [text, bytes] : cases) {
    const auto parsed = parse_size_bytes(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
  for (const std::string text : {"", "M", "-1", "1.5G", "1X", "1MM", "1Bi", "1025T", "1 2", "1M x",
                                 "99999999999999999999"}) {
    EXPECT_FALSE(parse_size_bytes(text).ok()) << text;
  }
}

TEST(TextTest, TheWordsOfALibraryBecomeOneLine) {
  EXPECT_EQ(one_line("out of range\n"), "out of range");
  EXPECT_EQ(one_line("a\nb \r\n\n"), "a\\x0ab");
  EXPECT_EQ(one_line("\n"), "");
  EXPECT_EQ(one_line(""), "");
}

}  // namespace
}  // namespace clicktally
