// Turns a record's value into a click, another event, or a rejection with a cause.
//
// The answer is that of Spark 3.5's from_json (PERMISSIVE) with the job's schema, followed by the
// filter action == "click" and the grouping by user_id, for every value. simdjson decides what it
// takes, which is JSON that Spark takes too; whatever it refuses, and what may be beyond a limit of
// Spark's that it does not know, goes to the exact reader (exact_reader.h), in linear time.
//
// One decoder belongs to one thread; it keeps a buffer, which a large record does not grow for
// good. It throws std::bad_alloc and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "model/decoded.h"
#include "model/record.h"

namespace clicktally {

class ClickDecoder {
 public:
  ClickDecoder();
  ~ClickDecoder();
  ClickDecoder(const ClickDecoder&) = delete;
  ClickDecoder& operator=(const ClickDecoder&) = delete;

  Decoded decode(const Record& record);

  // Why decode() rejects the record, in printable ASCII of at most 100 characters, such as
  // `unexpected character at byte 17 (0x7d)`; empty if it does not. Reads the record again.
  std::string explain(const Record& record);

  // How many records went to the exact reader.
  std::int64_t exact_records() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clicktally
