// The rows of a command, in the form that was asked for:
//
//   text   a table for people: columns aligned, counts in groups of three, times in the local zone
//   csv    a header and a line for each row (RFC 4180); times in milliseconds since 1970
//   json   one object a line, the same numbers
//
// Columns are as wide as the first rows need (kRowsToMeasure); what comes after streams, so that a
// table of any length takes constant memory. No text reaches the output with a control in it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/inspect/commands.h"
#include "tools/inspect/output.h"

namespace clicktally {

struct Column {
  enum class Kind {
    kText,
    kId,     // a number that is a name: a batch, a partition, an offset
    kUser,   // a user; nothing is the NULL group
    kCount,  // how many
    kBytes,
    kTime,  // milliseconds since the Unix epoch
    kYesNo,
    kJson,  // a text that is JSON, ours
  };
  std::string_view key;    // in csv and json
  std::string_view title;  // for people
  Kind kind = Kind::kText;
};

struct Cell {
  enum class Holds { kNothing, kNumber, kYesNo, kText };

  Cell() = default;  // where a value is not known
  Cell(std::int64_t value) : holds(Holds::kNumber), number(value) {}
  Cell(bool value) : holds(Holds::kYesNo), number(value ? 1 : 0) {}
  Cell(std::string value) : holds(Holds::kText), text(std::move(value)) {}

  Holds holds = Holds::kNothing;
  std::int64_t number = 0;
  std::string text;
};

class Table {
 public:
  // Borrows `output`.
  Table(Output& output, Format format, std::vector<Column> columns);
  // False when nobody reads any more.
  bool add(const std::vector<Cell>& row);
  void end();

 private:
  bool write_lines();
  bool write_text(const std::vector<std::string>& cells, bool heading);

  Output& output_;
  const Format format_;
  const std::vector<Column> columns_;
  std::vector<std::vector<std::string>> measured_;  // text rows that wait for the widths
  std::vector<std::size_t> widths_;                 // of the columns, once they are known
};

// "2026-11-22 13:18:36.196", in the local zone.
std::string local_time(std::int64_t time_ms);
// "312 bytes", "2.5 MiB".
std::string bytes_text(std::int64_t bytes);
// "4.2 s", "3 min", "5 h", "12 days": how long a time is.
std::string duration_text(std::int64_t ms);
// A string in JSON, quotes and all, in ASCII.
std::string json_text(std::string_view text);

}  // namespace clicktally
