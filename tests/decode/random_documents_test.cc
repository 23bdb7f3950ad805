// The decoder beside a slow, obvious reader of the same rules, which stands on another JSON
// library: random documents, whole and damaged.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>

#include "absl/strings/escaping.h"
#include "decode/click_decoder.h"

namespace clicktally {
namespace {

using nlohmann::json;

// Walks a document's events and keeps Spark's columns action and user_id.
class ObviousReader : public json::json_sax_t {
 public:
  bool null() override {
    if (wanted("action")) action_.reset();
    if (wanted("user_id")) user_ = kNullUser;
    return true;
  }
  bool boolean(bool /*value*/) override { return other_value(); }
  bool number_integer(json::number_integer_t value) override {
    const bool fits = value >= std::numeric_limits<std::int32_t>::min() &&
                      value <= std::numeric_limits<std::int32_t>::max();
    if (fits && wanted("user_id")) user_ = value;
    return other_value();
  }
  bool number_unsigned(json::number_unsigned_t value) override {
    const bool fits = value <= std::uint64_t{std::numeric_limits<std::int32_t>::max()};
    if (fits && wanted("user_id")) user_ = static_cast<UserKey>(value);
    return other_value();
  }
  bool number_float(json::number_float_t /*value*/, const std::string& text) override {
    // An integer beyond 64 bits, which the decoder leaves to a reader that is not built yet.
    if (text.find_first_of(".eE") == std::string::npos) return false;
    return other_value();
  }
  bool string(std::string& text) override {
    if (wanted("action")) action_ = text;
    return true;
  }
  bool binary(json::binary_t& /*bytes*/) override { return false; }
  bool start_object(std::size_t /*size*/) override {
    object_ = object_ || depth_ == 0;
    return start();
  }
  bool start_array(std::size_t /*size*/) override { return start(); }
  bool end_object() override { return end(); }
  bool end_array() override { return end(); }
  bool key(std::string& name) override {
    if (depth_ == 1) name_ = name;
    return true;
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const json::exception& /*error*/) override {
    return false;
  }

  Decoded answer() const {
    if (!object_) return Decoded::rejection(RejectionCause::kNotObject);
    if (!action_) return Decoded::rejection(RejectionCause::kMissingAction);
    return *action_ == "click" ? Decoded::click(user_) : Decoded::other_event();
  }

 private:
  bool wanted(std::string_view name) const { return object_ && depth_ == 1 && name_ == name; }
  bool other_value() {
    if (wanted("action")) action_ = "its text";
    return true;
  }
  bool start() {
    other_value();
    ++depth_;
    return true;
  }
  bool end() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  bool object_ = false;
  std::string name_;
  std::optional<std::string> action_;
  UserKey user_ = kNullUser;
};

Decoded obvious_answer(const std::string& value) {
  if (value.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Decoded::rejection(RejectionCause::kEmpty);
  }
  ObviousReader reader;
  if (!json::sax_parse(value, &reader)) return Decoded::rejection(RejectionCause::kNotJson);
  return reader.answer();
}

class RandomDocument {
 public:
  explicit RandomDocument(std::mt19937& random) : random_(random) {}

  std::string object(int deepest) {
    std::string text = "{";
    for (std::size_t fields = below(7), i = 0; i < fields; ++i) {
      const std::string name = one_of({R"("action")", R"("user_id")", R"("action")", R"("user_id")",
                                       R"("\u0061ction")", R"("page_url")", string()});
      const bool likely = name == R"("action")" && below(4) != 0;
      text += (i == 0 ? "" : ",") + space() + name + space() + ":" + space();
      text += (likely ? R"("click")" : value(deepest)) + space();
    }
    return text + "}";
  }

  std::string value(int deepest) {
    switch (below(deepest > 0 ? 9 : 6)) {
      case 0:
        return one_of({"null", "true", "false"});
      case 1:
        return std::to_string(static_cast<std::int32_t>(random_()));
      case 2:
        return one_of({"0", "-0", "1.0", "1e3", "2147483648", "-2147483649", "0.5e-3", "1E400",
                       "9223372036854775808", "18446744073709551616", "4.9e-324"});
      case 3:
        return one_of({R"("click")", R"("view")", R"("clic\u006b")", R"("Click")"});
      case 4:
      case 5:
        return string();
      case 6:
        return object(deepest - 1);
      default:
        return array(deepest - 1);
    }
  }

  // Bytes changed, dropped, doubled or cut off.
  std::string damaged(std::string text) {
    for (std::size_t times = 1 + below(3), i = 0; i < times && !text.empty(); ++i) {
      const std::size_t at = below(text.size());
      switch (below(5)) {
        case 0:
          text[at] = static_cast<char>(1 + below(255));
          break;
        case 1:
          text[at] = R"({}[]",:\0e.-tfn )"[below(16)];
          break;
        case 2:
          text.erase(at, 1);
          break;
        case 3:
          text.insert(at, text.substr(at, 1 + below(4)));
          break;
        default:
          text.resize(at);
      }
    }
    return text;
  }

  std::size_t below(std::size_t n) { return random_() % n; }

 private:
  std::string one_of(std::initializer_list<std::string> texts) {
    return *(texts.begin() + static_cast<std::ptrdiff_t>(below(texts.size())));
  }
  std::string space() { return one_of({"", "", "", " ", "\n", "\t \r"}); }
  std::string array(int deepest) {
    std::string text = "[";
    for (std::size_t items = below(4), i = 0; i < items; ++i) {
      text += (i == 0 ? "" : ",") + space() + value(deepest) + space();
    }
    return text + "]";
  }
  std::string string() {
    std::string text = "\"";
    for (std::size_t parts = below(9), i = 0; i < parts; ++i) {
      text +=
          one_of({"a", R"(\n)", R"(\")", R"(\\)", R"(\/)", "\u00e9", "\U0001f600", R"(\u0000)",
                  R"(\ud83d\ude00)", R"(\ud83d)", "click", "action", "{", "}", "[", "]", ",", ":"});
    }
    return text + "\"";
  }

  std::mt19937& random_;
};

unsigned seed() {
  const char* given = std::getenv("CLICKTALLY_TEST_SEED");
  return given ? static_cast<unsigned>(std::atol(given)) : std::random_device{}();
}

TEST(RandomDocuments, AreAnsweredAsTheObviousReaderAnswersThem) {
  const unsigned start = seed();
  ClickDecoder decoder;
  int clicks = 0;
  int refused = 0;
  for (unsigned round = 0; round < 30'000; ++round) {
    std::mt19937 random(start + round);
    RandomDocument document(random);
    std::string value = document.below(10) == 0 ? document.value(4) : document.object(4);
    if (document.below(3) == 0) value = document.damaged(value);
    const Decoded answer = obvious_answer(value);
    ASSERT_EQ(decoder.decode(Record{.value = value}), answer)
        << "CLICKTALLY_TEST_SEED=" << start + round << "\n"
        << absl::CHexEscape(value);
    clicks += answer.kind == RecordKind::kClick;
    refused += answer == Decoded::rejection(RejectionCause::kNotJson);
  }
  EXPECT_GT(clicks, 3'000);
  EXPECT_GT(refused, 3'000);
}

}  // namespace
}  // namespace clicktally
