#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace clicktally {
namespace {

constexpr std::int64_t kLargestSize = std::int64_t{1} << 50;
constexpr std::int64_t kLongestIntervalMs = 24LL * 24 * 3600 * 1000;

// The length of the valid UTF-8 sequence at the start of `text` (RFC 3629), or 0.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xBF) {
    return i < text.size() && byte(i) >= low && byte(i) <= high;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const unsigned low = lead == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = lead == 0xED ? 0x9F : 0xBF;
    return continues(1, low, high) && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const unsigned low = lead == 0xF0 ? 0x90 : 0x80;
    const unsigned high = lead == 0xF4 ? 0x8F : 0xBF;
    return continues(1, low, high) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

// The code point of one valid UTF-8 sequence.
char32_t code_point(std::string_view sequence) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(sequence[i]); };
  if (sequence.size() == 1) return byte(0);
  char32_t point = byte(0) & (0xFFU >> (sequence.size() + 1));
  for (std::size_t i = 1; i < sequence.size(); ++i) point = point << 6 | (byte(i) & 0x3FU);
  return point;
}

// What a terminal obeys, or does not show, or shows elsewhere: text with it in it can look like
// other text, or like the end of a line.
bool is_hidden(char32_t point) {
  struct Range {
    char32_t first, last;
  };
  static constexpr std::array<Range, 12> kHidden{{
      {0x00, 0x1F},        // C0
      {0x7F, 0x9F},        // DEL, C1
      {0xAD, 0xAD},        // the soft hyphen
      {0x61C, 0x61C},      // the Arabic letter mark
      {0x180E, 0x180E},    // the Mongolian vowel separator
      {0x200B, 0x200F},    // of no width; left-to-right and right-to-left marks
      {0x2028, 0x202E},    // line and paragraph separators, bidirectional embeddings and overrides
      {0x2060, 0x206F},    // the word joiner, invisible operators, bidirectional isolates
      {0xFE00, 0xFE0F},    // variation selectors
      {0xFEFF, 0xFEFF},    // the byte order mark
      {0xFFF9, 0xFFFB},    // interlinear annotations
      {0xE0000, 0xE01EF},  // tags, more variation selectors
  }};
  return std::ranges::any_of(
      kHidden, [&](const Range& range) { return range.first <= point && point <= range.last; });
}

std::int64_t unit_ms(std::string_view unit) {
  static constexpr std::array<std::pair<std::string_view, std::int64_t>, 13> kUnits{{
      {"ms", 1},
      {"millis", 1},
      {"millisecond", 1},
      {"milliseconds", 1},
      {"s", 1000},
      {"second", 1000},
      {"seconds", 1000},
      {"minute", 60'000},
      {"minutes", 60'000},
      {"hour", 3'600'000},
      {"hours", 3'600'000},
      {"day", 86'400'000},
      {"days", 86'400'000},
  }};
  for (const auto& [name, length_ms] : kUnits) {
    if (name == unit) return length_ms;
  }
  return 0;
}

}  // namespace

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0 || is_hidden(code_point(text.substr(0, length)))) {
      const std::size_t bad = length == 0 ? 1 : length;
      for (std::size_t i = 0; i < bad; ++i) {
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
      }
      text.remove_prefix(bad);
    } else {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    }
  }
  return out;
}

std::string one_line(std::string_view text) {
  const std::size_t last = text.find_last_not_of(" \t\r\n");
  return escape_controls(text.substr(0, last == text.npos ? 0 : last + 1));
}

absl::StatusOr<std::int64_t> parse_interval_ms(std::string_view text) {
  const auto refuse = [&] {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is not an interval; write for example \"5 seconds\" or \"100 ms\" "
                    "(at most 24 days)",
                    escape_controls(text)));
  };
  const std::vector<std::string> words = absl::StrSplit(
      absl::AsciiStrToLower({text.data(), text.size()}), absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty() || words.size() % 2 != 0) return refuse();
  std::int64_t total_ms = 0;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    std::int64_t count = 0;
    const std::int64_t unit = unit_ms(words[i + 1]);
    if (!absl::SimpleAtoi(words[i], &count) || count < 0 || unit == 0) return refuse();
    if (count > kLongestIntervalMs / unit) return refuse();
    total_ms += count * unit;
    if (total_ms > kLongestIntervalMs) return refuse();
  }
  return total_ms;
}

absl::StatusOr<std::int64_t> parse_size_bytes(std::string_view text) {
  const auto refuse = [&] {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is not a size; write for example \"64M\" or \"1 GiB\" (at most 1024T)",
                    escape_controls(text)));
  };
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  std::int64_t size = 0;
  if (!absl::SimpleAtoi(absl::string_view(text.data(), digits), &size)) return refuse();
  std::string unit = absl::AsciiStrToLower({text.data() + digits, text.size() - digits});
  absl::StripLeadingAsciiWhitespace(&unit);
  constexpr std::string_view kUnits = "bkmgt";
  const std::size_t power = unit.empty() ? 0 : kUnits.find(unit[0]);
  const bool known = power < kUnits.size() &&
                     (unit.size() <= 1 || unit.substr(1) == "b" || unit.substr(1) == "ib");
  if (!known || (power == 0 && unit.size() > 1)) return refuse();
  if (size > kLargestSize >> (10 * power)) return refuse();
  return size << (10 * power);
}

std::string group_thousands(std::int64_t number) {
  std::string digits = fmt::format("{}", number);
  const std::size_t first = digits[0] == '-' ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

}  // namespace clicktally
