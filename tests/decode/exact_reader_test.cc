// What Spark answers is in data/ and checked by click_decoder_test.cc; here are the words that are
// our own: causes, causes of a null user, and details.
#include "decode/exact_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "decode/jackson_reader.h"
#include "tests/decode/decode_printing.h"

namespace clicktally {
namespace {

Decoded decode(std::string_view value) {
  ExactReader reader;
  return reader.decode(value);
}

RejectionCause cause_of(std::string_view value) {
  const Decoded decoded = decode(value);
  EXPECT_EQ(decoded.kind, RecordKind::kRejection) << value;
  return decoded.cause;
}

NullUserCause null_user_of(const std::string& field) {
  const Decoded decoded = decode(R"({"action":"click")" + field + "}");
  EXPECT_EQ(decoded.kind, RecordKind::kClick) << field;
  EXPECT_EQ(decoded.user, kNullUser) << field;
  return decoded.null_user_cause;
}

std::string explain(std::string_view value) {
  ExactReader reader;
  return reader.explain(value);
}

TEST(ExactReader, RejectsWithTheCauseThatFits) {
  EXPECT_EQ(cause_of(""), RejectionCause::kEmpty);
  EXPECT_EQ(cause_of(" \t\r\n"), RejectionCause::kEmpty);
  EXPECT_EQ(cause_of("[1,2"), RejectionCause::kNotObject);
  EXPECT_EQ(cause_of("'text' and more"), RejectionCause::kNotObject);
  EXPECT_EQ(cause_of("NaN"), RejectionCause::kNotObject);
  EXPECT_EQ(cause_of("\"text"), RejectionCause::kNotJson);
  EXPECT_EQ(cause_of("12a"), RejectionCause::kNotJson);
  EXPECT_EQ(cause_of("\xef\xbb\xbf{}"), RejectionCause::kNotJson);
  EXPECT_EQ(cause_of("{"), RejectionCause::kNotJson);
  EXPECT_EQ(cause_of(R"({"action":"\x"})"), RejectionCause::kNotJson);
  EXPECT_EQ(cause_of(R"({} and more)"), RejectionCause::kMissingAction);
  EXPECT_EQ(cause_of(R"({'action':null,"user_id":5})"), RejectionCause::kMissingAction);
}

TEST(ExactReader, SaysWhyAUserIsNull) {
  EXPECT_EQ(null_user_of(""), NullUserCause::kAbsent);
  EXPECT_EQ(null_user_of(R"(,"user_id":null)"), NullUserCause::kNull);
  EXPECT_EQ(null_user_of(R"(,"user_id":"5")"), NullUserCause::kWrongType);
  EXPECT_EQ(null_user_of(R"(,"user_id":5.0)"), NullUserCause::kWrongType);
  EXPECT_EQ(null_user_of(R"(,"user_id":[5])"), NullUserCause::kWrongType);
  EXPECT_EQ(null_user_of(R"(,"user_id":NaN)"), NullUserCause::kWrongType);
  EXPECT_EQ(null_user_of(R"(,"user_id":2147483648)"), NullUserCause::kOutOfRange);
  EXPECT_EQ(null_user_of(R"(,"user_id":-99999999999999999999999)"), NullUserCause::kOutOfRange);
  EXPECT_EQ(null_user_of(R"(,"user_id":null,"user_id":{})"), NullUserCause::kWrongType);
  EXPECT_EQ(null_user_of(R"(,"user_id":"5","user_id":null)"), NullUserCause::kNull);
  EXPECT_EQ(null_user_of(R"(,"action":"\x,"action":"click","user_id":5)"),
            NullUserCause::kUnreadable);
}

TEST(ExactReader, ReadsOnBehindAnErrorInTheColumnsOwnValueAsSparkDoes) {
  EXPECT_EQ(decode(R"({"action":"\x,"action":"click"})").kind, RecordKind::kClick);
  EXPECT_EQ(decode(R"({"action":"click","action":{"x":nothing more)").kind, RecordKind::kClick);
  EXPECT_EQ(decode(R"({"user_id":5,"user_id":"\x,"action":"click"})"),
            Decoded::rejection(RejectionCause::kNotJson));
}

TEST(ExactReader, ExplainsARejectionByTheFirstProblemAndItsByte) {
  EXPECT_EQ(explain(R"({"action": "click",})"), "a name is missing at byte 19 (0x7d)");
  EXPECT_EQ(explain("{\"\xc3\xa9\xff\":?}"), "unexpected character at byte 7 (0x3f)");
  EXPECT_EQ(explain(R"({"action":"click")"), "the input ends too early at byte 17");
  EXPECT_EQ(explain("{\"x\":\"a\nb\"}"), "control character in a text at byte 7 (0x0a)");
  EXPECT_EQ(explain("{\"x\":\u2605}"), "unexpected character at byte 5 (0x2605)");
  EXPECT_EQ(explain(R"({"p":")" + std::string(9000, 'a') + R"(" 1})"),
            "a comma is missing at byte 9008 (0x31)");
  EXPECT_EQ(explain("   "), "no JSON in 3 bytes");
  EXPECT_EQ(explain("[]"), "the JSON is no object");
  EXPECT_EQ(explain("{}"), "action is absent or null");
  EXPECT_EQ(explain(R"({"action":"view"})"), "");
}

// A reader of which time or memory grew faster than the record would be a way to stop the job.
TEST(ExactReader, TakesNoMoreThanLinearTime) {
  ExactReader reader;
  for (const std::string& unit : {std::string("{\"a\":"), std::string("["), std::string("\\"),
                                  std::string("\xf0\x9f"), std::string("9"), std::string("nul"),
                                  std::string("{\"action\":["), std::string("\"\\x,\"action\":")}) {
    std::string value = R"({"action":"click","action":)";
    while (value.size() < (8U << 20U)) value += unit;
    reader.decode(value);  // the test's own time limit judges
  }
}

}  // namespace
}  // namespace clicktally
