// Turns a record's value into a click, another event, or a rejection with a cause.
//
// The answer is that of Spark 3.5's from_json (PERMISSIVE) with the job's schema, followed by the
// filter action == "click" and the grouping by user_id, for every value that simdjson's
// DOM accepts. What it refuses is rejected as not_json: broken JSON, and also some that Spark
// takes: single quotes, NaN, bytes after the document, invalid UTF-8, lone surrogate escapes,
// integers beyond 64 bits, numbers beyond double.
//
// One decoder belongs to one thread; it keeps a buffer, which a large record does not grow for
// good.
#pragma once

#include <memory>
#include <string_view>

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

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace clicktally
