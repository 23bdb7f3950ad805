// The replacements were taken from Java 17: new String(bytes, UTF_8).
#include "decode/java_text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace clicktally {
namespace {

std::u16string decoded(std::string_view bytes, std::size_t at_once = 4000) {
  JavaUtf8Reader reader(bytes);
  std::u16string text;
  std::u16string some(at_once, u'\0');
  for (;;) {
    const std::size_t count = reader.read(std::span(some.data(), some.size()));
    if (count == 0) break;
    text.append(some, 0, count);
  }
  EXPECT_EQ(reader.position(), bytes.size());
  return text;
}

TEST(JavaText, ReadsUtf8WholeAndInPieces) {
  const std::string bytes = "plain ASCII, \u00e9, \u20ac, \U0001f600, \uffff, \U0010ffff and more";
  for (std::size_t at_once = 2; at_once < 70; ++at_once) {
    EXPECT_EQ(decoded(bytes, at_once),
              u"plain ASCII, \u00e9, \u20ac, \U0001f600, \uffff, "
              u"\U0010ffff and more")
        << at_once;
  }
}

TEST(JavaText, ReplacesEachBrokenSequenceByOneCharacter) {
  const auto replaced = [](std::string_view bytes) {
    const std::u16string text = decoded(std::string(bytes) + "x");
    EXPECT_EQ(text.back(), u'x');
    EXPECT_EQ(text.find_first_not_of(u'\ufffd'), text.size() - 1);
    return text.size() - 1;
  };
  EXPECT_EQ(replaced("\x80"), 1U);
  EXPECT_EQ(replaced("\xc3"), 1U);
  EXPECT_EQ(replaced("\xc0\x80"), 2U);
  EXPECT_EQ(replaced("\xe2\x82"), 1U);
  EXPECT_EQ(replaced("\xe0\x80\x80"), 3U);
  EXPECT_EQ(replaced("\xed\xa0\x80"), 1U);
  EXPECT_EQ(replaced("\xf0\x9f\x98"), 1U);
  EXPECT_EQ(replaced("\xf0\x80\x80\x80"), 4U);
  EXPECT_EQ(replaced("\xf4\x90\x80\x80"), 4U);
  EXPECT_EQ(replaced("\xf5\x80\x80\x80"), 4U);
  EXPECT_EQ(replaced("\xf8\x88\x80\x80\x80"), 5U);
  EXPECT_EQ(replaced("\xff\xfe"), 2U);
}

TEST(JavaText, LeavesASequenceThatTheEndCutsOffForTheNextCall) {
  JavaUtf8Reader reader("ab\xe2\x82");
  std::array<char16_t, 10> some;
  EXPECT_EQ(reader.read(some), 2U);
  EXPECT_EQ(reader.read(some), 1U);
  EXPECT_EQ(some[0], u'\ufffd');
  EXPECT_EQ(reader.read(some), 0U);
}

TEST(JavaText, KnowsJavasIdentifiers) {
  for (const char16_t c : std::u16string(u"aZ_$\u00e9\u20ac\u4e00\u2160")) {
    EXPECT_TRUE(is_java_identifier_start(c) && is_java_identifier_part(c)) << static_cast<int>(c);
  }
  for (const char16_t c : std::u16string(u"09\u0301\u200d\ufeff\b")) {
    EXPECT_TRUE(!is_java_identifier_start(c) && is_java_identifier_part(c)) << static_cast<int>(c);
  }
  for (const char16_t c : std::u16string(u" -\"#@\u2605\U0001f600\uffff")) {
    EXPECT_TRUE(!is_java_identifier_start(c) && !is_java_identifier_part(c)) << static_cast<int>(c);
  }
}

}  // namespace
}  // namespace clicktally
