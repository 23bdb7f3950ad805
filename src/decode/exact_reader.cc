#include "decode/exact_reader.h"

#include <fmt/format.h>

#include <limits>

#include "decode/jackson_reader.h"

namespace clicktally {
namespace {

enum class Action { kNull, kClick, kOther };

struct User {
  UserKey key = kNullUser;
  NullUserCause why = NullUserCause::kAbsent;
};

// JsonParser.skipChildren().
bool skip_children(JacksonReader& tokens) {
  for (int depth = is_start(tokens.token()) ? 1 : 0; depth > 0;) {
    if (!tokens.next()) return false;
    depth += is_start(tokens.token()) - is_end(tokens.token());
  }
  return true;
}

// JsonGenerator.copyCurrentStructure(), but for what it writes.
bool copy_structure(JacksonReader& tokens) {
  if (is_end(tokens.token())) {  // met after an error: the generator has nothing to end
    tokens.count(Branch::kLoneEnd);
    return false;
  }
  int depth = is_start(tokens.token()) ? 1 : 0;
  while (depth > 0) {
    if (!tokens.next()) return false;
    if (tokens.token() == Token::kText && !tokens.finish_text()) return false;
    depth += is_start(tokens.token()) - is_end(tokens.token());
  }
  return true;
}

// The converter of a StringType column. False is a thrown exception; the column stays as it was.
bool convert_action(JacksonReader& tokens, Action* action) {
  switch (tokens.token()) {
    case Token::kNone:
    case Token::kNull:
      *action = Action::kNull;
      return true;
    case Token::kText:
      if (!tokens.finish_text()) return false;
      *action = tokens.text_is("click") ? Action::kClick : Action::kOther;
      return true;
    default:  // becomes the value's own JSON text
      if (!copy_structure(tokens)) return false;
      *action = Action::kOther;
      return true;
  }
}

// The converter of an IntegerType column.
bool convert_user_id(JacksonReader& tokens, User* user) {
  if (tokens.token() == Token::kNull || tokens.token() == Token::kNone) {
    *user = {kNullUser, NullUserCause::kNull};
    return true;
  }
  NullUserCause why = NullUserCause::kWrongType;
  if (tokens.token() == Token::kWhole) {
    const std::int64_t number = tokens.number();
    if (number >= std::numeric_limits<std::int32_t>::min() &&
        number <= std::numeric_limits<std::int32_t>::max()) {
      user->key = number;
      return true;
    }
    why = NullUserCause::kOutOfRange;
  }
  if (tokens.token() == Token::kText) (void)tokens.finish_text();  // for Spark's message
  user->why = why;
  return false;
}

// JacksonParser.convertObject of the row: only an error inside the column's own value is survived.
template <class Convert, class Column>
bool read_object(JacksonReader& tokens, Convert convert, Column* column) {
  for (;;) {
    if (!tokens.next()) return false;
    if (tokens.token() == Token::kNone || tokens.token() == Token::kEndObject) return true;
    bool converted = false;
    if (tokens.is_column()) {
      converted = (tokens.token() != Token::kName || tokens.next()) && convert(tokens, column);
      if (!converted && tokens.has_problem()) tokens.count(Branch::kReadOn);
    }
    if (!converted && !skip_children(tokens)) return false;
  }
}

// What a document that begins with `token` is, if that is no object.
Decoded read_other(JacksonReader& tokens) {
  if (tokens.token() == Token::kNone) return Decoded::rejection(RejectionCause::kEmpty);
  const bool readable = tokens.token() != Token::kText || tokens.finish_text();
  return Decoded::rejection(readable ? RejectionCause::kNotObject : RejectionCause::kNotJson);
}

Decoded read_user(JacksonReader& tokens, std::string_view value) {
  tokens.open(value, "user_id");
  User user;
  if (!tokens.next() || !read_object(tokens, convert_user_id, &user)) {
    return Decoded::click_of_null(NullUserCause::kUnreadable);
  }
  return user.key == kNullUser ? Decoded::click_of_null(user.why) : Decoded::click(user.key);
}

std::string_view words_for(Branch error) {
  static constexpr std::array<std::string_view, kErrors> kWords{
      "unexpected character",
      "unknown word",
      "a comma is missing",
      "a colon is missing",
      "a name is missing",
      "the wrong bracket closes",
      "control character",
      "comment",
      "the input ends too early",
      "a text is not closed",
      "control character in a text",
      "unknown escape",
      "no hex digit in an escape",
      "no digit in a number",
      "leading zero",
      "no space behind a number",
      "a number of more than 1,000 digits",
      "nested deeper than 1,000",
      "a text of more than 20,000,000 characters",
      "a text of more than 20,000,000 characters",
  };
  return kWords.at(static_cast<std::size_t>(error));
}

std::string describe(const JacksonReader& tokens) {
  const Problem& problem = tokens.problem();
  const std::string_view words = words_for(problem.branch);
  const std::size_t byte = tokens.problem_byte();
  if (problem.character < 0) return fmt::format("{} at byte {}", words, byte);
  return fmt::format("{} at byte {} ({:#04x})", words, byte, problem.character);
}

}  // namespace

ExactReader::ExactReader() : tokens_(std::make_unique<JacksonReader>()) {}
ExactReader::~ExactReader() = default;

Decoded ExactReader::decode(std::string_view value) {
  JacksonReader& tokens = *tokens_;
  tokens.open(value, "action");
  if (!tokens.next()) return Decoded::rejection(RejectionCause::kNotJson);
  if (tokens.token() != Token::kStartObject) return read_other(tokens);
  Action action = Action::kNull;
  if (!read_object(tokens, convert_action, &action)) {
    return Decoded::rejection(RejectionCause::kNotJson);
  }
  if (action == Action::kOther) return Decoded::other_event();
  if (action == Action::kClick) return read_user(tokens, value);
  const bool broken = tokens.has_problem() && tokens.problem().branch != Branch::kTextTooLong;
  return Decoded::rejection(broken ? RejectionCause::kNotJson : RejectionCause::kMissingAction);
}

std::string ExactReader::explain(std::string_view value) {
  const Decoded decoded = decode(value);
  if (decoded.kind != RecordKind::kRejection) return "";
  if (tokens_->has_problem()) return describe(*tokens_);
  switch (decoded.cause) {
    case RejectionCause::kEmpty:
      return fmt::format("no JSON in {} bytes", value.size());
    case RejectionCause::kNotObject:
      return "the JSON is no object";
    case RejectionCause::kMissingAction:
      return "action is absent or null";
    default:
      return "";
  }
}

}  // namespace clicktally
