#include "sink/console_sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <span>
#include <string_view>

#include "base/text.h"
#include "sink/output.h"

namespace clicktally {
namespace {

constexpr std::size_t kColumns = 3;
constexpr std::size_t kTruncatedCell = 20;
constexpr std::string_view kRuler = "-------------------------------------------\n";

using Row = std::array<std::string, kColumns>;

// As Spark casts a timestamp to a string: a year of at least four digits, with a sign when it has
// more or is negative; no trailing zeros in the fraction, and no point without one.
std::string format_local_time(std::int64_t time_ms) {
  const std::int64_t second_ms = (time_ms % 1000 + 1000) % 1000;
  const std::time_t seconds = time_ms / 1000 - (time_ms % 1000 < 0 ? 1 : 0);
  ::tzset();  // localtime_r need not look at TZ itself
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) ::gmtime_r(&seconds, &local);
  const std::int64_t year = std::int64_t{local.tm_year} + 1900;
  std::string text = year < 0      ? fmt::format("-{:04}", -year)
                     : year > 9999 ? fmt::format("+{}", year)
                                   : fmt::format("{:04}", year);
  text += fmt::format("-{:02}-{:02} {:02}:{:02}:{:02}", local.tm_mon + 1, local.tm_mday,
                      local.tm_hour, local.tm_min, local.tm_sec);
  if (second_ms == 0) return text;
  text += fmt::format(".{:03}", second_ms);
  while (text.back() == '0') text.pop_back();
  return text;
}

void truncate_cell(std::string& cell) {
  if (cell.size() <= kTruncatedCell) return;
  cell.resize(kTruncatedCell - 3);
  cell += "...";
}

// The whole table in memory twice (cells, then text) would be much at a large --num-rows, so the
// widths are found in a first pass and the cells made again in the second.
class Table {
 public:
  Table(const BatchRows& batch, const ConsoleOptions& options)
      : batch_(batch), truncate_(options.truncate) {
    const auto wanted = static_cast<std::size_t>(std::max<std::int64_t>(options.num_rows, 0));
    shown_ = batch.rows.first(std::min(batch.rows.size(), wanted));
    time_ = format_local_time(batch.record->time_ms);
    widen(kNames);  // all longer than 3, Spark's narrowest column
    for (const UserClicks& row : shown_) widen(cells_of(row));
  }

  void append_to(std::string& out) const {
    std::string separator = "+";
    for (const std::size_t width : widths_) separator += std::string(width, '-') + "+";
    separator += "\n";
    out.reserve(out.size() + separator.size() * (shown_.size() + 4) + 64);
    out += separator;
    append_row(out, kNames);
    out += separator;
    for (const UserClicks& row : shown_) append_row(out, cells_of(row));
    out += separator;
    if (batch_.more || shown_.size() < batch_.rows.size()) {
      out += fmt::format("only showing top {} {}\n", shown_.size(),
                         shown_.size() == 1 ? "row" : "rows");
    }
  }

 private:
  inline static const Row kNames{"user_id", "total_clicks", "processing_time"};

  Row cells_of(const UserClicks& row) const {
    Row cells{row.user == kNullUser ? "NULL" : fmt::format("{}", row.user),
              fmt::format("{}", row.clicks), time_};
    if (truncate_) std::for_each(cells.begin(), cells.end(), truncate_cell);
    return cells;
  }
  void widen(const Row& cells) {
    for (std::size_t i = 0; i < kColumns; ++i) widths_[i] = std::max(widths_[i], cells[i].size());
  }
  void append_row(std::string& out, const Row& cells) const {
    out += '|';
    for (std::size_t i = 0; i < kColumns; ++i) {
      const std::size_t padding = widths_[i] - cells[i].size();
      if (truncate_) out.append(padding, ' ');
      out += cells[i];
      if (!truncate_) out.append(padding, ' ');
      out += '|';
    }
    out += '\n';
  }

  const BatchRows& batch_;
  bool truncate_;
  std::span<const UserClicks> shown_;
  std::string time_;
  std::array<std::size_t, kColumns> widths_{};
};

class ConsoleSink final : public Sink {
 public:
  explicit ConsoleSink(const ConsoleOptions& options)
      : options_(options), output_(options.fd, options.stopping, options.stop_grace_ms) {}

  std::int64_t rows_wanted() const override { return options_.num_rows; }

  absl::Status begin(std::string_view topic) override {
    return output_.write(
        fmt::format("Streaming query started on topic: {}. Press Ctrl+C to stop.\n",
                    escape_controls(topic)),
        "the first line", "nothing was read yet; mend the output and start again");
  }
  absl::Status show(const BatchRows& batch) override {
    return output_.write(format_batch(batch, options_),
                         fmt::format("batch {}", batch.record->batch),
                         "the batch is committed and will be shown again at the next start");
  }

 private:
  const ConsoleOptions options_;
  Output output_;
};

class NullSink final : public Sink {
 public:
  std::int64_t rows_wanted() const override { return 0; }
  absl::Status begin(std::string_view /*topic*/) override { return absl::OkStatus(); }
  absl::Status show(const BatchRows& /*batch*/) override { return absl::OkStatus(); }
};

}  // namespace

std::unique_ptr<Sink> make_console_sink(const ConsoleOptions& options) {
  return std::make_unique<ConsoleSink>(options);
}

std::unique_ptr<Sink> make_null_sink() {
  return std::make_unique<NullSink>();
}

std::string format_batch(const BatchRows& batch, const ConsoleOptions& options) {
  std::string out{kRuler};
  out += fmt::format("Batch: {}\n", batch.record->batch);
  out += kRuler;
  Table(batch, options).append_to(out);
  out += "\n";
  return out;
}

}  // namespace clicktally
