// data/spark_answers.jsonl holds records with what Spark 3.5.0 made of them, running the job's own
// expressions: value (base64), kind, and user_id (null for the NULL group) where it is a click.
// "refused" marks the records that Spark reads and this decoder does not read yet; they must be
// rejected as not_json, never answered wrongly.
#include "decode/click_decoder.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace {
std::atomic<std::int64_t> allocations{0};
}  // namespace

// The sanitizers bring their own; under them nothing is counted.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* made = std::malloc(size)) return made;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* made) noexcept {
  std::free(made);
}
[[gnu::noinline]] void operator delete(void* made, std::size_t /*size*/) noexcept {
  std::free(made);
}
#endif

namespace clicktally {

void PrintTo(const Decoded& decoded, std::ostream* out) {
  switch (decoded.kind) {
    case RecordKind::kClick:
      *out << "click of " << decoded.user;
      break;
    case RecordKind::kOtherEvent:
      *out << "other_event";
      break;
    case RecordKind::kRejection:
      *out << kRejectionCauseNames.at(static_cast<std::size_t>(decoded.cause));
  }
}

namespace {

using nlohmann::json;

Decoded decode(ClickDecoder& decoder, std::string_view value) {
  return decoder.decode(Record{.value = value});
}
Decoded decode(std::string_view value) {
  ClickDecoder decoder;
  return decode(decoder, value);
}
Decoded rejection(RejectionCause cause) {
  return Decoded::rejection(cause);
}
const Decoded kRefused = Decoded::rejection(RejectionCause::kNotJson);

const std::string kEvent =
    R"({"user_id": 1001, "timestamp": "2025-12-14T09:25:01", "page_url": "/home", )"
    R"("action": "click", "duration_ms": 1200})";

struct Answer {
  std::string value;
  Decoded spark;
  bool refused = false;
};

Decoded answer_of(const json& line) {
  const std::string kind = line.at("kind");
  if (kind == "click") {
    return Decoded::click(line.at("user_id").is_null() ? kNullUser
                                                       : line.at("user_id").get<UserKey>());
  }
  if (kind == "other_event") return Decoded::other_event();
  for (std::size_t i = 0; i < kRejectionCauses; ++i) {
    if (kRejectionCauseNames[i] == kind) return rejection(static_cast<RejectionCause>(i));
  }
  ADD_FAILURE() << "an unknown kind: " << kind;
  return {};
}

const std::vector<Answer>& spark_answers() {
  static const std::vector<Answer> answers = [] {
    std::vector<Answer> made;
    std::ifstream in(std::string(CLICKTALLY_TEST_DATA) + "/data/spark_answers.jsonl");
    for (std::string text; std::getline(in, text);) {
      const json line = json::parse(text);
      Answer answer;
      EXPECT_TRUE(absl::Base64Unescape(line.at("value").get<std::string>(), &answer.value));
      answer.spark = answer_of(line);
      answer.refused = line.contains("refused");
      made.push_back(std::move(answer));
    }
    return made;
  }();
  return answers;
}

std::string shown(const std::string& value) {
  return absl::CHexEscape(value.substr(0, 300));
}

TEST(ClickDecoder, AnswersAsSparkDidAndReadsTheNextRecordRight) {
  ASSERT_EQ(spark_answers().size(), 1578U);
  ClickDecoder decoder;
  int refused = 0;
  for (const Answer& answer : spark_answers()) {
    EXPECT_EQ(decode(decoder, answer.value), answer.refused ? kRefused : answer.spark)
        << shown(answer.value);
    EXPECT_EQ(decode(decoder, kEvent), Decoded::click(1001)) << shown(answer.value);
    refused += answer.refused;
  }
  EXPECT_EQ(refused, 112);
}

TEST(ClickDecoder, AnswersNoRecordByWhatAnEarlierOneLeftInItsBuffer) {
  for (const std::string& left : {std::string(9000, '"'), std::string(9000, '}'),
                                  std::string(9000, '1'), std::string(9000, 'e')}) {
    ClickDecoder decoder;
    for (const Answer& answer : spark_answers()) {
      decode(decoder, left);
      ASSERT_EQ(decode(decoder, answer.value), answer.refused ? kRefused : answer.spark)
          << shown(answer.value) << " after " << left[0];
    }
  }
}

TEST(ClickDecoder, TakesNoEventThatWasCutOffThoughItsEndIsStillInTheBuffer) {
  const std::string nested =
      R"({"x":[{"y":{}},[[]]],"action":"click","user_id":1001,"z":{"a":{}}})";
  for (const std::string& event : {kEvent, nested}) {
    ClickDecoder decoder;
    for (std::size_t length = 1; length < event.size(); ++length) {
      EXPECT_EQ(decode(decoder, event), Decoded::click(1001)) << length;
      EXPECT_EQ(decode(decoder, event.substr(0, length)), kRefused) << length;
    }
  }
}

TEST(ClickDecoder, TellsANullValueFromAnEmptyOne) {
  ClickDecoder decoder;
  EXPECT_EQ(decoder.decode(Record{.value = {}, .tombstone = true}),
            rejection(RejectionCause::kTombstone));
  EXPECT_EQ(decoder.decode(Record{}), rejection(RejectionCause::kEmpty));
  EXPECT_EQ(decode(decoder, std::string(100'000, '\n')), rejection(RejectionCause::kEmpty));
  EXPECT_EQ(decode(decoder, std::string_view("\0", 1)), kRefused);
}

// --- Size ----------------------------------------------------------------------------------------

std::string around(std::string_view before, std::size_t length, std::string_view after) {
  std::string text(before);
  text.append(length, 'x');
  return text.append(after);
}

// The answers below were taken from Spark in the same way; the records are too long for the file.
TEST(ClickDecoder, CountsAClickWhateverTheLengthOfItsOtherValues) {
  EXPECT_EQ(decode(around(R"({"user_id":5,"action":"click","page_url":")", 30'000'000, R"("})")),
            Decoded::click(5));
  EXPECT_EQ(decode(around(R"({"timestamp":")", 20'000'001, R"(","user_id":5,"action":"click"})")),
            Decoded::click(5));
}

TEST(ClickDecoder, LeavesAColumnAsItWasWhenAValueIsTooLongForSpark) {
  const std::string_view before = R"({"user_id":5,"action":"click","action":")";
  EXPECT_EQ(decode(around(before, 20'000'000, R"("})")), Decoded::other_event());
  EXPECT_EQ(decode(around(before, 20'000'001, R"("})")), Decoded::click(5));
  EXPECT_EQ(decode(around(R"({"user_id":5,"action":")", 20'000'001, R"("})")),
            rejection(RejectionCause::kMissingAction));
  EXPECT_EQ(decode(around(R"({"user_id":5,"user_id":")", 20'000'001, R"(","action":"click"})")),
            Decoded::click(5));
  std::string accents(before);  // two bytes, but one character each
  for (int i = 0; i < 10'000'001; ++i) accents += "\u00e9";
  EXPECT_EQ(decode(accents + "\"}"), Decoded::other_event());
}

TEST(ClickDecoder, LosesTheColumnOfAValueThatBreaksSparksReader) {
  const std::size_t length = 20'000'000 + 65'536;
  EXPECT_EQ(decode(around(R"({"user_id":5,"action":"click","action":")", length, R"("})")),
            kRefused);
  EXPECT_EQ(decode(around(R"({"action":")", length, R"(","user_id":5,"action":"click"})")),
            kRefused);
  const Decoded null_user = Decoded::click(kNullUser);
  EXPECT_EQ(decode(around(R"({"user_id":5,"user_id":")", length, R"(","action":"click"})")),
            null_user);
  EXPECT_EQ(decode(around(R"({"user_id":")", length, R"(","user_id":7,"action":"click"})")),
            null_user);
}

TEST(ClickDecoder, RefusesANameThatIsTooLongForSpark) {
  const std::string_view before = R"({"user_id":5,"action":"click",")";
  EXPECT_EQ(decode(around(before, 20'000'000, R"(":1})")), Decoded::click(5));
  EXPECT_EQ(decode(around(before, 20'000'001, R"(":1})")), kRefused);
}

std::size_t bytes_in_use() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(ClickDecoder, GivesTheMemoryOfAHugeRecordBack) {
  ClickDecoder decoder;
  const std::string huge = around(R"({"action":"click","user_id":3,"x":")", 32 << 20, R"("})");
  const std::size_t before = bytes_in_use();
  EXPECT_EQ(decode(decoder, huge), Decoded::click(3));
  EXPECT_LT(bytes_in_use(), before + (1 << 20));
  EXPECT_EQ(decode(decoder, kEvent), Decoded::click(1001));
}

TEST(ClickDecoder, AllocatesNothingForRecordsOfSizesItHasSeen) {
  ClickDecoder decoder;
  const std::string large = around(R"({"action":"click","user_id":3,"x":")", 900'000, R"("})");
  decode(decoder, large);
  const std::int64_t before = allocations;
  for (std::size_t length = 0; length < 900'000; length += 10'007) {
    decode(decoder, kEvent);
    decode(decoder, std::string_view(large).substr(0, length));
  }
  decode(decoder, large);
  EXPECT_EQ(allocations, before);
}

TEST(ClickDecoder, AllocatesSeldomWhileRecordsGrow) {
  ClickDecoder decoder;
  const std::string text = around(R"({"x":")", 500'000, "");
  const std::int64_t before = allocations;
  for (std::size_t length = 100; length < text.size(); length += 100) {
    decode(decoder, std::string_view(text).substr(0, length));
  }
  EXPECT_LT(allocations - before, 60);
}

}  // namespace
}  // namespace clicktally
