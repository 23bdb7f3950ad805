// The gold standard of decoding: reads a record exactly as the Spark job does, every input, broken
// ones included. Slow and plain; ClickDecoder is fast and is tested against it.
//
// What it models, class by class, of Spark 3.5.0 with its Jackson 2.15.2 on Java 17:
//   JacksonParser.convertObject, FailureSafeParser   exact_reader.cc
//   ReaderBasedJsonParser, ParserBase, TextBuffer    jackson_reader.h
//   InputStreamReader (UTF-8), Character             java_text.h
//
// Spark's optimizer has `action` and `user_id` read by a parser each, from the first byte, which
// passes over the other's values. An error inside a column's own value is caught there: the column
// stays as it was, and reading goes on right behind the error, wherever that is. So
// {"action":"\x,"action":"click"} is a click. Any other error loses the column for good. Nothing
// after the object's end is read.
//
// Time is linear in the record's length, memory does not depend on it. A reader belongs to one
// thread. Nothing fails but by lack of memory, at construction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "model/decoded.h"

namespace clicktally {

class JacksonReader;

class ExactReader {
 public:
  ExactReader();
  ~ExactReader();
  ExactReader(const ExactReader&) = delete;
  ExactReader& operator=(const ExactReader&) = delete;

  // Of a value that is not null.
  Decoded decode(std::string_view value);

  // Why decode() rejects the value, in printable ASCII of at most 100 characters, such as
  // `unexpected character at byte 17 (0x7d)`; empty if it does not.
  std::string explain(std::string_view value);

  // For tests: how often each branch of JacksonReader was taken, errors and oddities.
  const JacksonReader& tokens() const { return *tokens_; }

 private:
  std::unique_ptr<JacksonReader> tokens_;
};

}  // namespace clicktally
