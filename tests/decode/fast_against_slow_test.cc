// The decoder beside the exact reader on generated and damaged records. Both must answer the same,
// and every cause and every branch of the exact reader must have been reached.
//
//   CLICKTALLY_TEST_SEED      the first seed; each record has the next. Random unless given.
//   CLICKTALLY_TEST_RECORDS   300,000 unless given; the soak test takes 20,000,000.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include "absl/strings/escaping.h"
#include "decode/click_decoder.h"
#include "decode/exact_reader.h"
#include "decode/jackson_reader.h"
#include "tests/decode/decode_printing.h"

namespace clicktally {
namespace {

class RecordMaker {
 public:
  explicit RecordMaker(std::uint64_t seed) : state_(seed) {}

  std::string make() {
    const std::size_t kind = below(1000);
    if (kind < 3) return too_much();
    std::string text = kind < 550 ? event() : kind < 560 ? value(2) : object(3);
    if (kind > 350 && below(5) < 3) damage(&text);
    if (kind == 999) text = std::string(below(6), ' ') + one_of({"", "\n", "\t", "\r"});
    if (kind > 990 && text.starts_with("{")) {  // the end of Jackson's first chunk inside of it
      const std::size_t before = 4010 - below(text.size() + 20);
      text = R"({"p":")" + std::string(before, 'a') + R"(",)" + text.substr(1);
    }
    return text;
  }

 private:
  std::uint64_t next() {  // splitmix64
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31U);
  }
  std::size_t below(std::size_t n) { return next() % n; }
  const char* one_of(std::initializer_list<const char*> texts) {
    return *(texts.begin() + below(texts.size()));
  }

  std::string event() {
    std::string text = R"({"user_id": )" + std::to_string(static_cast<std::int32_t>(next()));
    text += R"(, "timestamp": "2025-12-14T09:25:01", "page_url": "/home?q=)";
    text += std::to_string(below(1000));
    text += one_of({"", "\\u00e9", "\u00e9", "\U0001f600", "\\\"", "\\/", "\\n"});
    text += R"(", "action": )";
    text += one_of({R"("click")", R"("click")", R"("view")", R"("\u0063lick")", "null", "1"});
    return text + R"(, "duration_ms": )" + std::to_string(below(5000)) + "}";
  }

  std::string object(int deepest) {
    std::string text = "{";
    for (std::size_t fields = 1 + below(5), i = 0; i < fields; ++i) {
      if (i > 0) text += one_of({",", ",", " , ", ",\n"});
      text += one_of({R"("action")", R"("user_id")", R"("action")", R"("user_id")", "'action'",
                      R"("\u0061ction")", R"("page_url")", "'user_id'", "'it\\'s'"});
      text += one_of({":", ": ", "\t:\r\n"});
      text += below(4) == 0 ? "\"click\"" : value(deepest);
    }
    return text + "}";
  }

  std::string array(int deepest) {
    std::string text = "[";
    for (std::size_t items = below(4), i = 0; i < items; ++i) {
      if (i > 0) text += ",";
      text += value(deepest);
    }
    return text + "]";
  }

  std::string value(int deepest) {
    const std::size_t kind = below(deepest > 0 ? 10 : 7);
    if (kind > 8) return object(deepest - 1);
    if (kind > 6) return array(deepest - 1);
    if (kind > 3) return std::to_string(static_cast<std::int32_t>(next()) >> below(32));
    if (kind > 1) return one_of({R"("click")", R"("view")", "null", "true", "false", "1.5", "1e3"});
    return one_of({"-0",
                   "2147483647",
                   "2147483648",
                   "-2147483648",
                   "-2147483649",
                   "9223372036854775808",
                   "18446744073709551616",
                   "123456789012345678901234567890",
                   "1e400",
                   "4.9e-324",
                   "NaN",
                   "-INF",
                   "+INF",
                   "Infinity",
                   "-Infinity",
                   "+Infinity",
                   "-Inf",
                   "nan",
                   "01",
                   "-01",
                   "+1",
                   ".5",
                   "5.",
                   "5.x",
                   "0.x",
                   "1e",
                   "1.5e+x",
                   "0x10",
                   "--1",
                   "nul",
                   "nullx",
                   "null\u00e9",
                   "null\u2605",
                   "true1",
                   "abc",
                   "\u2605",
                   "/",
                   "#",
                   "'click'",
                   "'it\"s'",
                   R"("it's")",
                   R"("\ud83d\ude00")",
                   R"("\ud83d")",
                   R"("\ude00")",
                   R"("\u0000")",
                   R"("\x")",
                   R"("\u12g4")",
                   R"("\'")",
                   "\"\\u006\u0162lick\"",
                   "\"\t\"",
                   "'\n'",
                   "\"\x7f\"",
                   "\"\xff\"",
                   "\"\xed\xa0\x80\"",
                   "\"\xe2\x82\"",
                   "\"\xf0\x9f\x98\"",
                   "\xc2\xa0",
                   "",
                   "[,]",
                   "{,}",
                   "[1,]",
                   "{a:1}",
                   R"({"a"})",
                   R"({"a" 1})",
                   "[1}",
                   R"({"a":1])",
                   R"({"a":[x)",
                   R"(["\x",1],"action":"click")",
                   R"({"a":x,"action":"click")",
                   R"("\x,"action":"click")"});
  }

  void damage(std::string* text) {
    for (std::size_t times = 1 + below(2), i = 0; i < times && !text->empty(); ++i) {
      const std::size_t at = below(text->size());
      switch (below(6)) {
        case 0:
          (*text)[at] = static_cast<char>(below(256));
          break;
        case 1:
          (*text)[at] = R"({}[]",:\0e.-tfn '/)"[below(18)];
          break;
        case 2:
          text->erase(at, 1 + below(4));
          break;
        case 3:
          text->insert(at, text->substr(below(text->size()), 1 + below(12)));
          break;
        case 4:
          text->insert(at, one_of({"\"", "'", "\\", ",", ":", "{", "}", "[", "]", "\xff", "\n"}));
          break;
        default:
          text->resize(at);
      }
    }
  }

  // Around the limits of 1,000.
  std::string too_much() {
    const std::string click = R"({"user_id":5,"action":"click",)";
    const std::size_t many = 995 + below(10);
    const std::string digits(many, '7');
    switch (below(4)) {
      case 0:
        return click + R"("x":)" + std::string(many, '[') + std::string(many, ']') + "}";
      case 1:
        return click + R"("action":)" + std::string(many, '[') +
               one_of({"1,{\"action\":{", "", "x", "1],\"action\":\"click\"}"});
      case 2:
        return click + one_of({"\"user_id\":", "\"x\":0.", "\"x\":-1.", "\"x\":1e"}) + digits + "}";
      default:
        return R"({"p":")" + std::string(3000 + below(1000), 'a') + R"(","x":)" +
               one_of({"1.", "1e", "1"}) + digits + "," + click.substr(1) + R"("y":1})";
    }
  }

  std::uint64_t state_;
};

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given ? std::strtoull(given, nullptr, 10) : otherwise;
}

struct Tally {
  std::array<std::uint64_t, kRejectionCauses> causes{};
  std::array<std::uint64_t, kNullUserCauses> null_users{};
  std::uint64_t clicks = 0;
  std::uint64_t others = 0;

  void count(const Decoded& decoded) {
    if (decoded.kind == RecordKind::kRejection) {
      ++causes.at(static_cast<std::size_t>(decoded.cause));
    } else if (decoded.kind == RecordKind::kOtherEvent) {
      ++others;
    } else if (decoded.user != kNullUser) {
      ++clicks;
    } else {
      ++null_users.at(static_cast<std::size_t>(decoded.null_user_cause));
    }
  }
};

void expect_all_reached(const Tally& tally, const JacksonReader& tokens, std::uint64_t least) {
  EXPECT_GE(tally.clicks, least);
  EXPECT_GE(tally.others, least);
  for (std::size_t i = 0; i < kRejectionCauses; ++i) {
    EXPECT_GE(tally.causes[i], least) << kRejectionCauseNames[i];
  }
  for (std::size_t i = 0; i < kNullUserCauses; ++i) {
    EXPECT_GE(tally.null_users[i], least) << kNullUserCauseNames[i];
  }
  for (std::size_t i = 0; i < kBranches; ++i) {
    // Texts of 20,000,000 characters are for the corpus.
    const auto branch = static_cast<Branch>(i);
    if (branch == Branch::kTextTooLong || branch == Branch::kTextBreaks) continue;
    EXPECT_GE(tokens.counts()[i], least) << "branch " << i;
  }
}

TEST(FastAgainstSlow, NeverDifferAndReachEveryCauseAndBranch) {
  const std::uint64_t first = setting("CLICKTALLY_TEST_SEED", std::random_device{}());
  const std::uint64_t records = setting("CLICKTALLY_TEST_RECORDS", 300'000);
  std::cout << "CLICKTALLY_TEST_SEED=" << first << " CLICKTALLY_TEST_RECORDS=" << records << "\n";
  ClickDecoder decoder;
  ExactReader exact;
  Tally tally;
  for (std::uint64_t seed = first; seed < first + records; ++seed) {
    const std::string value = RecordMaker(seed).make();
    const bool tombstone = seed % 1000 == 0;
    const Decoded fast = decoder.decode(Record{.value = value, .tombstone = tombstone});
    tally.count(fast);
    if (tombstone) continue;
    ASSERT_EQ(fast, exact.decode(value))
        << absl::CHexEscape(value) << "\nreplay: CLICKTALLY_TEST_SEED=" << seed
        << " CLICKTALLY_TEST_RECORDS=1 test_decode --gtest_filter='FastAgainstSlow.*'";
  }
  if (records < 300'000) return;  // a replay
  const auto fast_records = records - static_cast<std::uint64_t>(decoder.exact_records());
  std::cout << fast_records * 100 / records << " % were accepted by the fast path\n";
  EXPECT_GE(fast_records, records * 2 / 5);
  expect_all_reached(tally, exact.tokens(), records / 20'000);  // 1,000 times in 20,000,000
}

}  // namespace
}  // namespace clicktally
