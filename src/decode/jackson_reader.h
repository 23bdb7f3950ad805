// The tokens of a JSON text as ReaderBasedJsonParser of Jackson 2.15.2 gives them, with the
// features that Spark 3.5.0's JSONOptions switch on by default: single quotes and NaN.
//
// Like there, text arrives in chunks of 4,000 characters, because it shows: a number's length is
// counted otherwise if the number reaches a chunk's end. Like there, a reader can be used after an
// error, which leaves it at the character where the error was seen. Where a function of Jackson
// throws, one of ours returns false and the first such problem of a text is kept.
//
// Limits (StreamReadConstraints with its defaults):
//   1,000       containers inside each other, the outermost one included
//   1,000       digits of a number: whole, fraction and exponent together. One more is let through
//               if the number begins with 0 or reaches a chunk's end and has only one of fraction
//               and exponent.
//   20,000,000  characters of a name or of a text that is used; one that is passed over is free
// A text that is longer still, by up to 65,536 characters depending on what Spark's thread read
// before, is broken off in the middle (TextBuffer.finishCurrentSegment). Ours breaks off after
// 306 x 65,536, where a thread that has read such texts does.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "decode/java_text.h"

namespace clicktally {

inline constexpr std::size_t kDeepestNesting = 1'000;
inline constexpr std::size_t kLongestNumber = 1'000;
inline constexpr std::size_t kLongestText = 20'000'000;
inline constexpr std::size_t kBreakingText = std::size_t{306} * 65'536 + 1;

enum class Token : std::uint8_t {
  kNone,  // before the first, and after the last
  kName,
  kStartObject,
  kEndObject,
  kStartArray,
  kEndArray,
  kText,
  kWhole,     // a number without fraction and exponent
  kFraction,  // any other, and NaN and the infinities
  kBoolean,
  kNull,
};

inline bool is_start(Token token) {
  return token == Token::kStartObject || token == Token::kStartArray;
}
inline bool is_end(Token token) {
  return token == Token::kEndObject || token == Token::kEndArray;
}

// What can be wrong with a text, and then what is odd but no error.
enum class Branch : std::uint8_t {
  kUnexpectedCharacter,
  kUnknownWord,
  kNoComma,
  kNoColon,
  kNoName,
  kWrongClose,
  kControl,
  kComment,
  kEndOfInput,
  kEndInText,
  kControlInText,
  kBadEscape,
  kBadHexDigit,
  kBadNumber,
  kLeadingZero,
  kNoRootSpace,
  kNumberTooLong,
  kTooDeep,
  kTextTooLong,
  kTextBreaks,
  kSingleQuotedName,
  kSingleQuotedText,
  kEscape,
  kHexEscape,
  kNotANumber,
  kNumberAcrossChunks,
  kChunk,
  kReadOn,
  kLoneEnd,
  kEndedByError,
};
inline constexpr std::size_t kBranches = 30;
inline constexpr std::size_t kErrors = 20;  // the first of them

struct Problem {
  Branch branch{};
  int character = -1;          // at which it was seen; -1 for the end of the input
  std::size_t chunk_byte = 0;  // of the first character of its chunk
  std::size_t index = 0;       // of the character in the chunk
};

class JacksonReader {
 public:
  JacksonReader();

  // Begins a text. `column` is the name that is_column() asks for, ASCII of at most 8 characters.
  // Both must outlive the reading.
  void open(std::string_view text, std::string_view column);

  // nextToken(): false is a thrown exception, kNone the end.
  bool next();
  Token token() const { return token_; }

  // getCurrentName(): whether the token belongs to the column.
  bool is_column() const;

  // getText() of a kText: false if it is broken or too long.
  bool finish_text();
  bool text_is(std::string_view ascii) const;

  // Of a kWhole; anything beyond 32 bits is some number beyond 32 bits.
  std::int64_t number() const { return negative_ ? -digits_ : digits_; }

  // The first since open(), if there was one.
  bool has_problem() const { return has_problem_; }
  const Problem& problem() const { return problem_; }
  // Counted in bytes of the text; of the problem if it is at a character.
  std::size_t problem_byte() const;

  void count(Branch branch) { ++counts_[static_cast<std::size_t>(branch)]; }
  const std::array<std::uint64_t, kBranches>& counts() const { return counts_; }

 private:
  struct Frame {  // JsonReadContext
    char kind;    // '{', '[', or 0 for the root
    bool begun;
    bool column;  // the name read last is the column's
  };
  static constexpr int kEnd = -1;
  static constexpr int kFailed = -2;

  bool load();
  int peek() { return at_ < end_ || load() ? chunk_[at_] : kEnd; }
  int get() { return at_ < end_ || load() ? chunk_[at_++] : kEnd; }
  bool fail(Branch branch, int character = kEnd);

  int skip_space();
  int skip_comma(int c);
  int skip_colon();
  bool begin(Token value);
  bool close_scope(int c);
  bool read_name(int c);
  bool read_value(int c, Token* token);
  bool read_odd_value(int c, Token* token);
  bool read_word(std::string_view word, std::size_t from);
  bool report_word(std::size_t length);
  bool read_number(int c, Token* token);
  bool read_odd_number(int c, bool negative, Token* token);
  bool end_number(int c);
  bool read_text(int quote, bool kept);
  bool keep(const char16_t* first, const char16_t* last);
  int read_escape();

  JavaUtf8Reader source_{{}};
  std::string_view text_;
  std::array<char16_t, 8> column_{};
  std::size_t column_length_ = 0;

  std::array<char16_t, 4000> chunk_;
  std::size_t chunk_byte_ = 0;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
  std::size_t loads_ = 0;

  std::vector<Frame> frames_;
  Token token_ = Token::kNone;
  Token after_name_ = Token::kNone;  // the value behind a name, which is tokenized with it
  bool text_open_ = false;           // a text whose characters are not read yet
  std::array<char16_t, 8> head_{};   // of the text read last
  std::size_t length_ = 0;
  std::int64_t digits_ = 0;
  bool negative_ = false;

  bool has_problem_ = false;
  Problem problem_;
  std::array<std::uint64_t, kBranches> counts_{};
};

}  // namespace clicktally
