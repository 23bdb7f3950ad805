// What the exact reader needs of Java 17: bytes become the characters that
// java.io.InputStreamReader with StandardCharsets.UTF_8 makes of them, and characters are judged as
// java.lang.Character does. Characters are UTF-16 units throughout, as Java counts them.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace clicktally {

// Reads UTF-8 that may be broken: each broken sequence becomes one U+FFFD. The bytes must outlive
// it.
class JavaUtf8Reader {
 public:
  explicit JavaUtf8Reader(std::string_view bytes) : bytes_(bytes) {}

  // Fills `characters` from the front and returns how many it holds now; none at the end. It can
  // stop short, where Java does: before a surrogate pair of which only one half would fit, and
  // before a sequence that the end of the bytes cuts off.
  std::size_t read(std::span<char16_t> characters);

  // Of the next byte.
  std::size_t position() const { return position_; }

 private:
  std::string_view bytes_;
  std::size_t position_ = 0;
};

// Character.isJavaIdentifierStart and isJavaIdentifierPart.
bool is_java_identifier_start(char16_t c);
bool is_java_identifier_part(char16_t c);

}  // namespace clicktally
