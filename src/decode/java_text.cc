#include "decode/java_text.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace clicktally {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct CodePoint {
  char32_t value = kReplacement;
  std::size_t bytes = 1;
  bool cut_off = false;  // by the end of the input
};

bool is_continuation(unsigned byte) {
  return (byte & 0xC0U) == 0x80U;
}

CodePoint broken(std::size_t bytes) {
  return {kReplacement, bytes};
}

CodePoint cut_off(std::size_t bytes) {
  return {kReplacement, bytes, true};
}

CodePoint two_bytes(unsigned first, std::string_view rest) {
  if (rest.empty()) return cut_off(1);
  const auto second = static_cast<unsigned char>(rest[0]);
  if (!is_continuation(second)) return broken(1);
  return {(first & 0x1FU) << 6U | (second & 0x3FU), 2};
}

CodePoint three_bytes(unsigned first, std::string_view rest) {
  if (rest.empty()) return cut_off(1);
  const auto second = static_cast<unsigned char>(rest[0]);
  if (!is_continuation(second) || (first == 0xE0 && second < 0xA0)) return broken(1);
  if (rest.size() < 2) return cut_off(2);
  const auto third = static_cast<unsigned char>(rest[1]);
  if (!is_continuation(third)) return broken(2);
  const char32_t value = (first & 0x0FU) << 12U | (second & 0x3FU) << 6U | (third & 0x3FU);
  return value >= 0xD800 && value <= 0xDFFF ? broken(3) : CodePoint{value, 3};
}

CodePoint four_bytes(unsigned first, std::string_view rest) {
  if (first > 0xF4) return broken(1);
  if (rest.empty()) return cut_off(1);
  const auto second = static_cast<unsigned char>(rest[0]);
  if (!is_continuation(second)) return broken(1);
  if (first == 0xF0 && second < 0x90) return broken(1);
  if (first == 0xF4 && second > 0x8F) return broken(1);
  if (rest.size() < 2) return cut_off(2);
  const auto third = static_cast<unsigned char>(rest[1]);
  if (!is_continuation(third)) return broken(2);
  if (rest.size() < 3) return cut_off(3);
  const auto fourth = static_cast<unsigned char>(rest[2]);
  if (!is_continuation(fourth)) return broken(3);
  return {
      (first & 0x07U) << 18U | (second & 0x3FU) << 12U | (third & 0x3FU) << 6U | (fourth & 0x3FU),
      4};
}

// sun.nio.cs.UTF_8.Decoder; a sequence that the end of the input cuts off is one replacement.
CodePoint first_of(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const std::string_view rest = text.substr(1);
  if (first < 0x80) return {first, 1};
  if (first < 0xC2) return broken(1);
  if (first < 0xE0) return two_bytes(first, rest);
  if (first < 0xF0) return three_bytes(first, rest);
  return first < 0xF8 ? four_bytes(first, rest) : broken(1);
}

// Copies ASCII from the front of `bytes`, eight at a time, and returns how many it did.
std::size_t read_ascii(std::string_view bytes, std::span<char16_t> characters) {
  const char* in = bytes.data();
  char16_t* out = characters.data();
  const std::size_t most = std::min(bytes.size(), characters.size());
  std::size_t done = 0;
  for (; done + 8 <= most; done += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, in + done, 8);
    if ((eight & 0x8080808080808080U) != 0) break;
    for (std::size_t i = done; i < done + 8; ++i) out[i] = static_cast<unsigned char>(in[i]);
  }
  return done;
}

}  // namespace

std::size_t JavaUtf8Reader::read(std::span<char16_t> characters) {
  std::size_t made = 0;
  while (made < characters.size() && position_ < bytes_.size()) {
    const std::string_view text = bytes_.substr(position_);
    if (const std::size_t ascii = read_ascii(text, characters.subspan(made)); ascii > 0) {
      position_ += ascii;
      made += ascii;
      continue;
    }
    const CodePoint point = first_of(text);
    if (point.cut_off && made > 0) break;  // sun.nio.cs.StreamDecoder leaves it for the next call
    if (point.value > 0xFFFF) {
      if (made + 2 > characters.size()) break;
      characters[made++] = static_cast<char16_t>(0xD7C0 + (point.value >> 10U));
      characters[made++] = static_cast<char16_t>(0xDC00 | (point.value & 0x3FFU));
    } else {
      characters[made++] = static_cast<char16_t>(point.value);
    }
    position_ += point.bytes;
  }
  return made;
}

}  // namespace clicktally
