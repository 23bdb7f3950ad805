#include "tools/inspect/import_rows.h"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "absl/strings/numbers.h"
#include "base/text.h"

namespace clicktally {
namespace {

using nlohmann::json;

constexpr std::size_t kLongestLine = 4096;
constexpr std::size_t kReadAtOnce = 1 << 16;

// Digits and a minus, nothing else: no white space, no plus.
template <typename Number>
bool read_number(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

class Reader {
 public:
  Reader(std::FILE* file, std::string name) : file_(file), name_(std::move(name)) {}

  absl::StatusOr<std::optional<ImportedRow>> next() {
    while (true) {
      auto line = next_line();
      if (!line.ok()) return line.status();
      if (!*line) return std::nullopt;
      ++number_;
      if (number_ == 1) {
        is_json_ = (*line)->starts_with('{');
        if (**line == "user_id,total_clicks") continue;
      }
      ImportedRow row{.line = number_};
      const std::string wrong = is_json_ ? read_json(**line, &row) : read_csv(**line, &row);
      if (wrong.empty()) return row;
      return absl::InvalidArgumentError(fmt::format("{}: line {}: {}", name_, number_, wrong));
    }
  }

 private:
  // Without its line break; nothing at the end.
  absl::StatusOr<std::optional<std::string_view>> next_line() {
    std::size_t end = buffer_.find('\n', at_);
    while (end == std::string::npos && !ended_) {
      buffer_.erase(0, at_);
      at_ = 0;
      const std::size_t searched = buffer_.size();
      if (searched > kLongestLine) {
        return absl::InvalidArgumentError(
            fmt::format("{}: line {}: longer than a count can be", name_, number_ + 1));
      }
      buffer_.resize(searched + kReadAtOnce);
      const std::size_t got = std::fread(buffer_.data() + searched, 1, kReadAtOnce, file_);
      buffer_.resize(searched + got);
      ended_ = got == 0;
      if (std::ferror(file_) != 0) {
        return absl::ResourceExhaustedError(
            fmt::format("{}: cannot be read after line {}", name_, number_));
      }
      end = buffer_.find('\n', searched);
    }
    if (end == std::string::npos) {
      if (at_ == buffer_.size()) return std::nullopt;
      end = buffer_.size();
    }
    std::string_view line(buffer_.data() + at_, end - at_);
    at_ = std::min(end + 1, buffer_.size());
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  static std::string shown(std::string_view text) {
    return escape_controls(text.size() > 60 ? std::string(text.substr(0, 60)) + "..."
                                            : std::string(text));
  }

  static std::string check_clicks(std::int64_t clicks) {
    if (clicks >= 1) return "";
    return fmt::format("{} clicks; a user who is counted has 1 at least", clicks);
  }

  static std::string read_csv(std::string_view line, ImportedRow* row) {
    const std::size_t comma = line.find(',');
    if (comma == line.npos) {
      return fmt::format("'{}' is not user_id,total_clicks", shown(line));
    }
    const std::string_view user = line.substr(0, comma);
    const std::string_view clicks = line.substr(comma + 1);
    std::int32_t id = 0;
    if (user.empty() || user == "NULL" || user == "null") {
      row->user = kNullUser;
    } else if (read_number(user, &id)) {
      row->user = id;
    } else {
      return fmt::format("user_id '{}' is no whole number from -2147483648 to 2147483647",
                         shown(user));
    }
    if (!read_number(clicks, &row->clicks)) {
      return fmt::format("total_clicks '{}' is no whole number of 64 bits", shown(clicks));
    }
    return check_clicks(row->clicks);
  }

  static std::string read_json(std::string_view line, ImportedRow* row) {
    const json parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!parsed.is_object() || parsed.size() != 2 || !parsed.contains("user_id") ||
        !parsed.contains("total_clicks")) {
      return fmt::format(R"('{}' is not {{"user_id":7,"total_clicks":3}})", shown(line));
    }
    const json& user = parsed["user_id"];
    const json& clicks = parsed["total_clicks"];
    if (!user.is_null()) {
      const bool fits = user.is_number_integer() &&
                        user >= std::numeric_limits<std::int32_t>::min() &&
                        user <= std::numeric_limits<std::int32_t>::max();
      if (!fits) {
        return fmt::format("user_id {} is no whole number from -2147483648 to 2147483647",
                           shown(user.dump()));
      }
      row->user = user.get<std::int64_t>();
    }
    if (!clicks.is_number_integer() || clicks > std::numeric_limits<std::int64_t>::max()) {
      return fmt::format("total_clicks {} is no whole number of 64 bits", shown(clicks.dump()));
    }
    row->clicks = clicks.get<std::int64_t>();
    return check_clicks(row->clicks);
  }

  std::FILE* const file_;
  const std::string name_;
  std::string buffer_;
  std::size_t at_ = 0;
  bool ended_ = false;
  bool is_json_ = false;
  std::int64_t number_ = 0;
};

}  // namespace

RowReader read_rows(std::FILE* file, std::string name) {
  auto reader = std::make_shared<Reader>(file, std::move(name));
  return [reader] { return reader->next(); };
}

absl::StatusOr<TopicOffsets> parse_offsets(std::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError(
      R"(offsets: not in Spark's form, {"topic":{"0":12,"1":7}}, with one topic)");
  const json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || parsed.size() != 1) return wrong;
  TopicOffsets out{.topic = parsed.begin().key(), .next = {}};
  const json& partitions = parsed.begin().value();
  if (!partitions.is_object() || partitions.empty()) return wrong;
  for (const auto& [name, offset] : partitions.items()) {
    PartitionId id = 0;
    if (!read_number(name, &id) || id < 0 || name != std::to_string(id)) {
      return absl::InvalidArgumentError(
          fmt::format("offsets: '{}' is no partition", escape_controls(name)));
    }
    if (!offset.is_number_integer() || offset < 0 ||
        offset > std::numeric_limits<std::int64_t>::max()) {
      return absl::InvalidArgumentError(
          fmt::format("offsets: partition {}: {} is no offset; say where to go on, in numbers", id,
                      escape_controls(offset.dump())));
    }
    out.next[id] = offset.get<Offset>();
  }
  return out;
}

}  // namespace clicktally
