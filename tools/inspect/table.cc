#include "tools/inspect/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "base/text.h"

namespace clicktally {
namespace {

using Kind = Column::Kind;

constexpr std::size_t kRowsToMeasure = 1000;
constexpr std::string_view kGap = "  ";

// Characters of valid UTF-8: bytes that do not go on with one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

bool is_number(Kind kind) {
  return kind == Kind::kId || kind == Kind::kUser || kind == Kind::kCount || kind == Kind::kBytes;
}

std::string text_of(const Cell& cell, Kind kind) {
  switch (cell.holds) {
    case Cell::Holds::kNothing:
      return kind == Kind::kUser ? "NULL" : "-";
    case Cell::Holds::kText:
      return escape_controls(cell.text);
    case Cell::Holds::kYesNo:
      return cell.number != 0 ? "yes" : "no";
    case Cell::Holds::kNumber:
      break;
  }
  if (kind == Kind::kCount) return group_thousands(cell.number);
  if (kind == Kind::kBytes) return bytes_text(cell.number);
  return kind == Kind::kTime ? local_time(cell.number) : fmt::format("{}", cell.number);
}

std::string csv_of(const Cell& cell) {
  if (cell.holds == Cell::Holds::kNothing) return "";
  if (cell.holds == Cell::Holds::kNumber) return fmt::format("{}", cell.number);
  if (cell.holds == Cell::Holds::kYesNo) return cell.number != 0 ? "true" : "false";
  const std::string safe = escape_controls(cell.text);
  if (safe.find_first_of(",\"") == safe.npos) return safe;
  std::string quoted = "\"";
  for (const char c : safe) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

std::string json_of(const Cell& cell, Kind kind) {
  if (cell.holds == Cell::Holds::kNothing) return "null";
  if (cell.holds != Cell::Holds::kText) return csv_of(cell);
  return kind == Kind::kJson ? cell.text : json_text(cell.text);
}

}  // namespace

Table::Table(Output& output, Format format, std::vector<Column> columns)
    : output_(output), format_(format), columns_(std::move(columns)) {
  if (format != Format::kCsv) return;
  std::string line;
  for (const Column& column : columns_) {
    line += fmt::format("{}{}", line.empty() ? "" : ",", column.key);
  }
  output_.write(line + "\n");
}

bool Table::add(const std::vector<Cell>& row) {
  if (format_ == Format::kText) {
    std::vector<std::string> cells;
    for (std::size_t i = 0; i < row.size(); ++i) cells.push_back(text_of(row[i], columns_[i].kind));
    if (!widths_.empty()) return write_text(cells, /*heading=*/false);
    measured_.push_back(std::move(cells));
    return measured_.size() < kRowsToMeasure || write_lines();
  }
  const bool json = format_ == Format::kJson;
  std::string line;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (i > 0) line += ',';
    line += json ? fmt::format("\"{}\":{}", columns_[i].key, json_of(row[i], columns_[i].kind))
                 : csv_of(row[i]);
  }
  return output_.write(json ? "{" + line + "}\n" : line + "\n");
}

void Table::end() {
  if (format_ == Format::kText && widths_.empty()) write_lines();
}

// The widths are known now.
bool Table::write_lines() {
  std::vector<std::string> titles;
  for (const Column& column : columns_) {
    titles.emplace_back(column.title);
    widths_.push_back(width_of(column.title));
  }
  for (const auto& cells : measured_) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      widths_[i] = std::max(widths_[i], width_of(cells[i]));
    }
  }
  bool wanted = write_text(titles, /*heading=*/true);
  for (const auto& cells : measured_) wanted = wanted && write_text(cells, /*heading=*/false);
  measured_.clear();
  return wanted;
}

bool Table::write_text(const std::vector<std::string>& cells, bool heading) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i > 0) line += kGap;
    const std::size_t width = width_of(cells[i]);
    const std::string fill(widths_[i] - std::min(width, widths_[i]), ' ');
    const bool last = i + 1 == cells.size();
    line += is_number(columns_[i].kind) ? fill + cells[i] : cells[i] + (last ? "" : fill);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return output_.write((heading ? output_.bold(line) : line) + "\n");
}

std::string local_time(std::int64_t time_ms) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%E3S", absl::FromUnixMillis(time_ms),
                          absl::LocalTimeZone());
}

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  auto size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  constexpr std::string_view kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  for (; size >= 1024 && unit < 3; ++unit) size /= 1024;
  return fmt::format("{:.1f} {}", size, kUnits[unit]);
}

std::string duration_text(std::int64_t ms) {
  const double s = static_cast<double>(ms) / 1000;
  if (s < 120) return fmt::format("{:.1f} s", s);
  if (s < 120 * 60) return fmt::format("{:.0f} min", s / 60);
  if (s < 48 * 3600) return fmt::format("{:.0f} h", s / 3600);
  return fmt::format("{:.0f} days", s / 86400);
}

std::string json_text(std::string_view text) {
  using nlohmann::json;
  return json(std::string(text)).dump(-1, ' ', true, json::error_handler_t::replace);
}

}  // namespace clicktally
