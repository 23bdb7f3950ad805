#include "decode/spark_limits.h"

namespace clicktally {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_number_char(char c) {
  return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

// The end of the number that begins at `begin`.
std::size_t number_end(std::string_view json, std::size_t begin) {
  std::size_t end = begin;
  while (end < json.size() && is_number_char(json[end])) ++end;
  return end;
}

// Jackson's sum over the parts of a number. Its slower reader, which takes over where the whole
// part is a single 0, starts the length of the fraction and of the exponent at -1.
std::size_t jackson_length(std::string_view number) {
  std::size_t digits = 0;
  bool fraction = false;
  bool exponent = false;
  for (const char c : number) {
    if (is_digit(c)) ++digits;
    fraction = fraction || c == '.';
    exponent = exponent || c == 'e' || c == 'E';
  }
  if (!number.empty() && number[0] == '-') number.remove_prefix(1);
  const bool zero_first = !number.empty() && number[0] == '0';
  if (zero_first && fraction != exponent) --digits;
  return digits;
}

// The byte after the string whose first byte, behind the quote, is at `begin`: its closing quote.
std::size_t closing_quote(std::string_view json, std::size_t begin) {
  std::size_t at = begin;
  while (at < json.size() && json[at] != '"') at += json[at] == '\\' ? 2U : 1U;
  return at < json.size() ? at : json.size();
}

bool is_name(std::string_view json, std::size_t after_quote) {
  const std::size_t next = json.find_first_not_of(" \t\r\n", after_quote);
  return next != std::string_view::npos && json[next] == ':';
}

// Of a string as it is written in the document.
std::size_t unescaped_length(std::string_view text) {
  std::size_t length = utf16_length(text);
  for (std::size_t at = text.find('\\'); at < text.size(); at = text.find('\\', at + 2)) {
    length -= at + 1 < text.size() && text[at + 1] == 'u' ? 5U : 1U;
  }
  return length;
}

}  // namespace

bool may_hold_long_number(std::string_view json) {
  // Whoever strides by one less than the length of a run cannot step over it.
  for (std::size_t at = kLongestNumber; at < json.size(); at += kLongestNumber + 1) {
    if (!is_number_char(json[at])) continue;
    std::size_t begin = at;
    while (begin > 0 && is_number_char(json[begin - 1])) --begin;
    if (number_end(json, at) - begin > kLongestNumber) return true;
  }
  return false;
}

bool beyond_spark_limits(std::string_view json) {
  std::size_t depth = 0;
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == '"') {
      const std::size_t end = closing_quote(json, at + 1);
      const std::string_view text = json.substr(at + 1, end - at - 1);
      if (text.size() > kLongestText && is_name(json, end + 1) &&
          unescaped_length(text) > kLongestText) {
        return true;
      }
      at = end + 1;
    } else if (c == '-' || is_digit(c)) {
      const std::size_t end = number_end(json, at);
      if (jackson_length(json.substr(at, end - at)) > kLongestNumber) return true;
      at = end;
    } else {
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      if (depth > kDeepestNesting && (c == '{' || c == '[')) return true;
      ++at;
    }
  }
  return false;
}

std::size_t utf16_length(std::string_view text) {
  std::size_t length = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    length += (byte & 0xC0U) != 0x80U;  // one for each code point,
    length += byte >= 0xF0U;            // two for those outside the basic plane
  }
  return length;
}

}  // namespace clicktally
