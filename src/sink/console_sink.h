// The Spark console sink's table, to the character (Spark 3.5, Dataset.showString and
// ConsoleWriter): heading, alignment, truncation, NULL, "only showing top 20 rows".
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "sink/sink.h"

namespace clicktally {

struct ConsoleOptions {
  std::int64_t num_rows = 20;  // 0 up to 2^31 - 1
  bool truncate = false;       // cells of more than 20 characters cut, and cells right-aligned
  int fd = 1;                  // not owned
  // When it becomes true, output that stays blocked for `stop_grace_ms` more is given up.
  const std::atomic<bool>* stopping = nullptr;
  int stop_grace_ms = 2000;
};

std::unique_ptr<Sink> make_console_sink(const ConsoleOptions& options);

// For --sink none: batches are committed and shown to nobody.
std::unique_ptr<Sink> make_null_sink();

// The text of one batch. processing_time is the record's time_ms in the local time zone.
std::string format_batch(const BatchRows& batch, const ConsoleOptions& options);

}  // namespace clicktally
