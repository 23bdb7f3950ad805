// data/ holds records with what Spark 3.5.0 made of them, running the job's own query; each line as
// tools/spark-oracle writes it:
//   sample.jsonl   the sample the project began with
//   earlier.jsonl  records collected for the first decoder
//   corpus.jsonl   made by make_corpus.py to reach every branch; CLICKTALLY_TEST_ANSWERS may name
//                  a file of more
#include "decode/click_decoder.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "decode/exact_reader.h"
#include "tests/decode/decode_printing.h"

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
  bool tombstone = false;
  bool counted = false;
  UserKey user = kNullUser;
};

std::string unescaped(const json& base64) {
  std::string bytes;
  EXPECT_TRUE(absl::Base64Unescape(base64.get<std::string>(), &bytes)) << base64;
  return bytes;
}

Answer answer_of(const json& line) {
  Answer answer;
  if (line.contains("repeat")) {
    for (const json& piece : line.at("repeat")) {
      const std::string bytes = unescaped(piece.at(0));
      const auto times = piece.at(1).get<std::size_t>();
      answer.value.reserve(answer.value.size() + bytes.size() * times);
      for (std::size_t i = 0; i < times; ++i) answer.value += bytes;
    }
  } else if (line.at("value").is_null()) {
    answer.tombstone = true;
  } else {
    answer.value = unescaped(line.at("value"));
  }
  answer.counted = line.at("counted").get<bool>();
  if (!line.at("user_id").is_null()) answer.user = line.at("user_id").get<UserKey>();
  return answer;
}

// Calls check(answer) for each record of the file and returns how many there were.
template <class Check>
int for_each_answer(const std::filesystem::path& file, Check check) {
  std::ifstream in(std::filesystem::path(CLICKTALLY_TEST_DATA) / "data" / file);
  int count = 0;
  for (std::string text; std::getline(in, text); ++count) check(answer_of(json::parse(text)));
  return count;
}

std::string shown(const std::string& value) {
  return absl::CHexEscape(value.substr(0, 300));
}

void expect_agreement(const Answer& spark, const Decoded& ours) {
  EXPECT_EQ(ours.kind == RecordKind::kClick, spark.counted) << shown(spark.value);
  EXPECT_EQ(ours.user, spark.user) << shown(spark.value);
}

void expect_agreement(const std::filesystem::path& file, int least_records) {
  ClickDecoder decoder;
  ExactReader exact;
  const int records = for_each_answer(file, [&](const Answer& spark) {
    const Record record{.value = spark.value, .tombstone = spark.tombstone};
    const Decoded fast = decoder.decode(record);
    expect_agreement(spark, fast);
    if (!spark.tombstone) {
      EXPECT_EQ(exact.decode(spark.value), fast) << shown(spark.value);
    }
    EXPECT_EQ(decode(decoder, kEvent), Decoded::click(1001)) << shown(spark.value);
  });
  EXPECT_GE(records, least_records);
}

TEST(ClickDecoder, AnswersTheSampleAsSparkDidAndReadsTheNextRecordRight) {
  expect_agreement("sample.jsonl", 275);
}

TEST(ClickDecoder, AnswersTheEarlierRecordsAsSparkDid) {
  expect_agreement("earlier.jsonl", 1296);
}

TEST(ClickDecoder, AnswersTheCorpusAsSparkDid) {
  expect_agreement("corpus.jsonl", 11'785);
  if (const char* more = std::getenv("CLICKTALLY_TEST_ANSWERS")) {
    expect_agreement(std::filesystem::absolute(more), 1);
  }
}

TEST(ClickDecoder, AnswersNoRecordByWhatAnEarlierOneLeftInItsBuffer) {
  for (const std::string& left : {std::string(9000, '"'), std::string(9000, '}'),
                                  std::string(9000, '1'), std::string(9000, 'e')}) {
    ClickDecoder decoder;
    for_each_answer("earlier.jsonl", [&](const Answer& spark) {
      decode(decoder, left);
      expect_agreement(spark, decode(decoder, spark.value));
    });
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
  const std::size_t length = 20'000'000 + 65'536;  // Spark's may break off a little earlier
  EXPECT_EQ(decode(around(R"({"user_id":5,"action":"click","action":")", length, R"("})")),
            kRefused);
  EXPECT_EQ(decode(around(R"({"action":")", length, R"(","user_id":5,"action":"click"})")),
            kRefused);
  const Decoded null_user = Decoded::click_of_null(NullUserCause::kUnreadable);
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
  for (const std::size_t length : {16U << 20U, 32U << 20U}) {  // for simdjson; for the exact reader
    ClickDecoder decoder;
    const std::string huge = around(R"({"action":"click","user_id":3,"x":")", length, R"("})");
    const std::size_t before = bytes_in_use();
    EXPECT_EQ(decode(decoder, huge), Decoded::click(3));
    EXPECT_LT(bytes_in_use(), before + (1 << 20));
    EXPECT_EQ(decode(decoder, kEvent), Decoded::click(1001));
  }
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
  for (std::size_t length = 100; length < text.size(); length += 500) {
    decode(decoder, std::string_view(text).substr(0, length));
  }
  EXPECT_LT(allocations - before, 60);
}

}  // namespace
}  // namespace clicktally
