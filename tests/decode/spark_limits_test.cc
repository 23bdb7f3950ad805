// The limits themselves are in data/spark_answers.jsonl, as Spark answered on both sides of each;
// here is what a reader that skips most bytes could get wrong.
#include "decode/spark_limits.h"

#include <gtest/gtest.h>

#include <string>

namespace clicktally {
namespace {

std::string digits(std::size_t count) {
  return std::string(count, '1');
}

TEST(SparkLimits, ALongNumberIsSuspectedWhereverItStands) {
  for (std::size_t before = 0; before < 2100; ++before) {
    const std::string spaces(before, ' ');
    ASSERT_TRUE(may_hold_long_number(spaces + digits(1001))) << before;
    ASSERT_TRUE(may_hold_long_number(spaces + digits(1001) + spaces)) << before;
    ASSERT_FALSE(may_hold_long_number(spaces + digits(1000) + spaces)) << before;
  }
}

TEST(SparkLimits, DigitsAreCountedInNumbersOnlyAndSignsAndPointsAreNot) {
  EXPECT_FALSE(beyond_spark_limits("[" + digits(1000) + "]"));
  EXPECT_TRUE(beyond_spark_limits("[" + digits(1001) + "]"));
  EXPECT_FALSE(beyond_spark_limits("[-1." + digits(998) + "e-1]"));
  EXPECT_TRUE(beyond_spark_limits("[-1." + digits(999) + "E+1]"));
  EXPECT_FALSE(beyond_spark_limits("[" + digits(600) + "," + digits(600) + "]"));
  EXPECT_FALSE(beyond_spark_limits("[\"" + digits(2000) + "\"]"));
  EXPECT_FALSE(beyond_spark_limits("[\"\\\"" + digits(2000) + "\"]"));
  EXPECT_TRUE(beyond_spark_limits("[\"\\\\\"," + digits(2000) + "]"));
}

TEST(SparkLimits, ANumberOfZeroAndFractionOrZeroAndExponentMayHaveOneDigitMore) {
  for (const std::string& sign : {std::string(), std::string("-")}) {
    EXPECT_FALSE(beyond_spark_limits("[" + sign + "0." + digits(1000) + "]"));
    EXPECT_TRUE(beyond_spark_limits("[" + sign + "0." + digits(1001) + "]"));
    EXPECT_FALSE(beyond_spark_limits("[" + sign + "0e" + digits(1000) + "]"));
    EXPECT_TRUE(beyond_spark_limits("[" + sign + "0." + digits(999) + "e1]"));
    EXPECT_TRUE(beyond_spark_limits("[" + sign + "1." + digits(1000) + "]"));
  }
}

TEST(SparkLimits, ContainersAreCountedByDepthAndNotInStrings) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_FALSE(beyond_spark_limits(nested(1000)));
  EXPECT_TRUE(beyond_spark_limits(nested(1001)));
  EXPECT_FALSE(beyond_spark_limits("[" + nested(999) + "," + nested(999) + "]"));
  EXPECT_FALSE(beyond_spark_limits("{\"" + nested(2000) + "\":\"" + nested(2000) + "\"}"));
}

TEST(SparkLimits, AnEndInTheMiddleOfAnythingIsBearable) {
  const std::string text = R"({"a\"b":[1.5e+3,"\u00e9\\",{}],"c":-0.1})";
  for (std::size_t length = 0; length <= text.size(); ++length) {
    EXPECT_FALSE(beyond_spark_limits(text.substr(0, length))) << length;
  }
}

TEST(SparkLimits, NamesAreMeasuredInCharactersWithTheirEscapesResolved) {
  const auto document = [](const std::string& unit, std::size_t times, std::string_view after) {
    std::string text = "{\"";
    text.reserve(unit.size() * times + 16);
    for (std::size_t i = 0; i < times; ++i) text += unit;
    return text + "\"" + std::string(after);
  };
  EXPECT_FALSE(beyond_spark_limits(document("x", 20'000'000, " \n: 1}")));
  EXPECT_TRUE(beyond_spark_limits(document("x", 20'000'001, " \n: 1}")));
  EXPECT_FALSE(beyond_spark_limits(document("x", 20'000'001, "}")));
  EXPECT_FALSE(beyond_spark_limits(document("\\u0041\\n", 10'000'000, ":1}")));
  EXPECT_TRUE(beyond_spark_limits(document("\\u0041\\\\x", 6'666'667, ":1}")));
  EXPECT_FALSE(beyond_spark_limits(document("\u00e9\u20ac", 10'000'000, ":1}")));
  EXPECT_TRUE(beyond_spark_limits(document("\U0001f600", 10'000'001, ":1}")));
}

TEST(SparkLimits, CharactersAreUtf16Units) {
  EXPECT_EQ(utf16_length(""), 0U);
  EXPECT_EQ(utf16_length("a\u00e9\u20ac"), 3U);
  EXPECT_EQ(utf16_length("\U0001f600"), 2U);
}

}  // namespace
}  // namespace clicktally
