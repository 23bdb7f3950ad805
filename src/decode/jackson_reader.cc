#include "decode/jackson_reader.h"

#include <algorithm>
#include <utility>

namespace clicktally {
namespace {

bool is_digit(int c) {
  return c >= '0' && c <= '9';
}

bool is_space(int c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// CharTypes.charToHex, which looks at the low byte of a character only: U+0141 is an A.
int hex_digit(int character) {
  const int c = character & 0xFF;
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

// --- The text -----------------------------------------------------------------------------------

JacksonReader::JacksonReader() {
  frames_.reserve(kDeepestNesting + 8);
}

void JacksonReader::open(std::string_view text, std::string_view column) {
  text_ = text;
  source_ = JavaUtf8Reader(text);
  std::copy(column.begin(), column.end(), column_.begin());
  column_length_ = column.size();
  at_ = end_ = 0;
  frames_.assign(1, Frame{});
  token_ = after_name_ = Token::kNone;
  text_open_ = false;
  has_problem_ = false;
}

bool JacksonReader::load() {
  ++loads_;
  const std::size_t byte = source_.position();
  const std::size_t count_now = source_.read(chunk_);
  if (count_now == 0) return false;
  if (byte > 0) count(Branch::kChunk);
  chunk_byte_ = byte;
  at_ = 0;
  end_ = count_now;
  return true;
}

bool JacksonReader::fail(Branch branch, int character) {
  count(branch);
  if (has_problem_) return false;
  has_problem_ = true;
  problem_ = {branch, character, chunk_byte_, at_ - (character != kEnd && at_ > 0)};
  return false;
}

std::size_t JacksonReader::problem_byte() const {
  JavaUtf8Reader again(text_.substr(problem_.chunk_byte));
  std::array<char16_t, 4000> scratch;
  again.read(std::span(scratch).first(problem_.index));
  return problem_.chunk_byte + again.position();
}

// --- Tokens -------------------------------------------------------------------------------------

bool JacksonReader::next() {
  if (token_ == Token::kName) {
    const Token value = std::exchange(after_name_, Token::kNone);
    if (value == Token::kNone) count(Branch::kEndedByError);
    return begin(value);
  }
  if (std::exchange(text_open_, false) && !read_text('"', false)) return false;
  int c = skip_space();
  if (c == kFailed) return false;
  if (c == kEnd) return begin(Token::kNone);
  if (c == ']' || c == '}') return close_scope(c);

  Frame& frame = frames_.back();
  const bool wants_comma = frame.kind != 0 && frame.begun;
  frame.begun = true;
  if (wants_comma && (c = skip_comma(c)) == kFailed) return false;
  Token value;
  if (frame.kind != '{') return read_value(c, &value) && begin(value);
  if (!read_name(c)) return false;
  token_ = Token::kName;
  if ((c = skip_colon()) == kFailed || !read_value(c, &value)) return false;
  after_name_ = value;
  return true;
}

// Makes the value the current token; a container first becomes the current frame.
bool JacksonReader::begin(Token value) {
  if (is_start(value)) {
    frames_.push_back({value == Token::kStartObject ? '{' : '[', false, false});
    if (frames_.size() - 1 > kDeepestNesting) return fail(Branch::kTooDeep);
  }
  token_ = value;
  return true;
}

bool JacksonReader::close_scope(int c) {
  if (frames_.back().kind != (c == ']' ? '[' : '{')) return fail(Branch::kWrongClose, c);
  frames_.pop_back();
  token_ = c == ']' ? Token::kEndArray : Token::kEndObject;
  return true;
}

bool JacksonReader::is_column() const {
  return frames_[frames_.size() - (is_start(token_) ? 2 : 1)].column;
}

// --- Between tokens -----------------------------------------------------------------------------

// The next character that is no white space, consumed; kEnd in the root only.
int JacksonReader::skip_space() {
  int c = get();
  while (is_space(c)) c = get();
  if (c > ' ' && c != '/') return c;
  if (c == kEnd && frames_.back().kind == 0) return kEnd;
  const Branch control = c == kEnd ? Branch::kEndOfInput : Branch::kControl;
  fail(c == '/' ? Branch::kComment : control, c);
  return kFailed;
}

int JacksonReader::skip_comma(int c) {
  if (c == ',') return skip_space();
  fail(Branch::kNoComma, c);
  return kFailed;
}

int JacksonReader::skip_colon() {
  const int c = skip_space();
  if (c == ':') return skip_space();
  if (c != kFailed) fail(Branch::kNoColon, c);
  return kFailed;
}

// --- Names and values ---------------------------------------------------------------------------

bool JacksonReader::read_name(int c) {
  if (c == '\'') count(Branch::kSingleQuotedName);
  if (c != '"' && c != '\'') return fail(Branch::kNoName, c);
  if (!read_text(c, true)) return false;
  if (length_ > kLongestText) return fail(Branch::kTextTooLong);
  const bool same_length = length_ == column_length_;
  frames_.back().column =
      same_length && std::equal(head_.begin(), head_.begin() + length_, column_.begin());
  return true;
}

bool JacksonReader::read_value(int c, Token* token) {
  switch (c) {
    case '"':
      text_open_ = true;
      *token = Token::kText;
      return true;
    case '[':
      *token = Token::kStartArray;
      return true;
    case '{':
      *token = Token::kStartObject;
      return true;
    case 't':
      *token = Token::kBoolean;
      return read_word("true", 1);
    case 'f':
      *token = Token::kBoolean;
      return read_word("false", 1);
    case 'n':
      *token = Token::kNull;
      return read_word("null", 1);
    default:
      return c == '-' || is_digit(c) ? read_number(c, token) : read_odd_value(c, token);
  }
}

bool JacksonReader::read_odd_value(int c, Token* token) {
  switch (c) {
    case '\'':
      count(Branch::kSingleQuotedText);
      *token = Token::kText;
      return read_text(c, true);
    case 'N':
      count(Branch::kNotANumber);
      *token = Token::kFraction;
      return read_word("NaN", 1);
    case 'I':
      count(Branch::kNotANumber);
      *token = Token::kFraction;
      return read_word("Infinity", 1);
    case '+':
      return read_odd_number(get(), false, token);
    default:
      if (is_java_identifier_start(static_cast<char16_t>(c))) return report_word(1);
      return fail(Branch::kUnexpectedCharacter, c);
  }
}

// The rest of a word of which `from` characters are read.
bool JacksonReader::read_word(std::string_view word, std::size_t from) {
  for (std::size_t i = from; i < word.size(); ++i) {
    if (peek() != word[i]) return report_word(i);
    ++at_;
  }
  const int c = peek();
  if (c < '0' || c == ']' || c == '}') return true;
  return is_java_identifier_part(static_cast<char16_t>(c)) ? report_word(word.size()) : true;
}

// _reportInvalidToken: for its message it reads on while the word does, up to 256 characters.
bool JacksonReader::report_word(std::size_t length) {
  fail(Branch::kUnknownWord, at_ > 0 ? chunk_[at_ - 1] : kEnd);
  for (int c = peek(); c != kEnd && is_java_identifier_part(static_cast<char16_t>(c)); c = peek()) {
    ++at_;
    if (++length >= 256) break;
  }
  return false;
}

// --- Numbers ------------------------------------------------------------------------------------

// _parseUnsignedNumber, _parseSignedNumber and _parseFloat read within a chunk; _parseNumber2 takes
// over, from the first digit, where one begins with 0 or the chunk ends. It counts otherwise, and
// leaves the reader elsewhere after an error.
bool JacksonReader::read_number(int c, Token* token) {
  const std::size_t loads_before = loads_;
  negative_ = c == '-';
  if (negative_) c = get();
  if (!is_digit(c)) return read_odd_number(c, negative_, token);
  const bool zero = c == '0';
  if (zero && is_digit(peek())) return fail(Branch::kLeadingZero, c);

  int whole = 0;
  for (digits_ = 0; is_digit(c); c = get(), ++whole) {
    if (digits_ < 10'000'000'000) digits_ = digits_ * 10 + (c - '0');
  }
  const std::size_t after_point = at_;
  int fraction = -1;
  if (c == '.') {
    for (fraction = 0, c = get(); is_digit(c); c = get()) ++fraction;
  }
  int exponent = -1;
  if (fraction != 0 && (c == 'e' || c == 'E')) {
    c = get();
    if (c == '-' || c == '+') c = get();
    for (exponent = 0; is_digit(c); c = get()) ++exponent;
  }
  const bool second_reader = zero || loads_ != loads_before;
  if (fraction == 0 || exponent == 0) {
    fail(Branch::kBadNumber, c);
    if (!second_reader) at_ = after_point;
    return false;
  }
  if (loads_ != loads_before) count(Branch::kNumberAcrossChunks);
  *token = fraction < 0 && exponent < 0 ? Token::kWhole : Token::kFraction;
  if (*token == Token::kWhole || !second_reader) {
    fraction = std::max(fraction, 0);
    exponent = std::max(exponent, 0);
  }
  if (!end_number(c)) return false;
  const bool too_long = whole + fraction + exponent > static_cast<int>(kLongestNumber);
  return too_long ? fail(Branch::kNumberTooLong) : true;
}

// Gives the character behind a number back; in the root it must be white space.
bool JacksonReader::end_number(int c) {
  if (c == kEnd) return true;
  if (frames_.back().kind == 0 && !is_space(c)) return fail(Branch::kNoRootSpace, c);
  --at_;
  return true;
}

// _handleInvalidNumberStart: c stands where the first digit should.
bool JacksonReader::read_odd_number(int c, bool negative, Token* token) {
  *token = Token::kFraction;
  if (c != 'I') return fail(Branch::kBadNumber, c);
  count(Branch::kNotANumber);
  c = get();
  if (c == 'N') return read_word(negative ? "-INF" : "+INF", 3);
  if (c == 'n') return read_word(negative ? "-Infinity" : "+Infinity", 3);
  return fail(Branch::kBadNumber, c);
}

// --- Texts --------------------------------------------------------------------------------------

// From behind the opening quote to behind the closing one.
bool JacksonReader::read_text(int quote, bool kept) {
  length_ = 0;
  for (;;) {
    if (at_ == end_ && !load()) return fail(Branch::kEndInText);
    const char16_t* first = chunk_.data() + at_;
    const char16_t* last = chunk_.data() + end_;
    const char16_t* odd = std::find_if(
        first, last, [quote](char16_t c) { return c == quote || c == '\\' || c < ' '; });
    if (kept && !keep(first, odd)) {
      at_ += kBreakingText - length_;
      return false;
    }
    at_ += static_cast<std::size_t>(odd - first);
    if (odd == last) continue;
    ++at_;
    if (*odd == quote) return true;
    if (*odd != '\\') return fail(Branch::kControlInText, *odd);
    const int c = read_escape();
    if (c == kFailed) return false;
    const auto escaped = static_cast<char16_t>(c);
    if (kept && !keep(&escaped, &escaped + 1)) return false;
  }
}

// Adds characters to the text, of which only what text_is() and the limits need is kept. TextBuffer
// keeps all of it, and so breaks off a text that is much too long.
bool JacksonReader::keep(const char16_t* first, const char16_t* last) {
  const auto more = static_cast<std::size_t>(last - first);
  if (length_ + more >= kBreakingText) return fail(Branch::kTextBreaks);
  for (; first != last && length_ < head_.size(); ++first) head_[length_++] = *first;
  length_ += static_cast<std::size_t>(last - first);
  return true;
}

int JacksonReader::read_escape() {
  count(Branch::kEscape);
  const int c = get();
  switch (c) {
    case 'b':
      return '\b';
    case 't':
      return '\t';
    case 'n':
      return '\n';
    case 'f':
      return '\f';
    case 'r':
      return '\r';
    case '"':
    case '/':
    case '\\':
    case '\'':
      return c;
    case 'u':
      break;
    default:
      fail(c == kEnd ? Branch::kEndInText : Branch::kBadEscape, c);
      return kFailed;
  }
  count(Branch::kHexEscape);
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit_c = get();
    const int digit = digit_c == kEnd ? -1 : hex_digit(digit_c);
    if (digit < 0) {
      fail(digit_c == kEnd ? Branch::kEndInText : Branch::kBadHexDigit, digit_c);
      return kFailed;
    }
    value = value << 4 | digit;
  }
  return value;
}

bool JacksonReader::finish_text() {
  if (std::exchange(text_open_, false) && !read_text('"', true)) return false;
  return length_ > kLongestText ? fail(Branch::kTextTooLong) : true;
}

bool JacksonReader::text_is(std::string_view ascii) const {
  return length_ == ascii.size() && std::equal(ascii.begin(), ascii.end(), head_.begin());
}

}  // namespace clicktally
