#include "tools/producer/click_truth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <string_view>
#include <vector>

namespace clicktally {
namespace {

constexpr std::string_view kHeader = "user_id,total_clicks";

template <typename Number>
bool parse_whole(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc{} && end == text.data() + text.size();
}

bool parse_row(std::string_view line, UserClicks* row) {
  const std::size_t comma = line.find(',');
  if (comma == std::string_view::npos) return false;
  const std::string_view user = line.substr(0, comma);
  std::int32_t id = 0;
  if (!user.empty() && !parse_whole(user, &id)) return false;
  row->user = user.empty() ? kNullUser : id;
  return parse_whole(line.substr(comma + 1), &row->clicks) && row->clicks > 0;
}

absl::Status file_error(std::string_view doing, const std::string& path) {
  return absl::UnavailableError(fmt::format("cannot {} {}: {}", doing, path, std::strerror(errno)));
}

}  // namespace

void ClickTruth::add_all(const ClickTruth& other) {
  for (const auto& [user, clicks] : other.clicks_) add(user, clicks);
}

std::int64_t ClickTruth::clicks_of(UserKey user) const {
  const auto found = clicks_.find(user);
  return found == clicks_.end() ? 0 : found->second;
}

absl::StatusOr<ClickTruth> ClickTruth::load(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return file_error("read", path);
  ClickTruth truth;
  std::string line;
  UserKey last = std::numeric_limits<UserKey>::min();
  for (int number = 1; std::getline(in, line); ++number) {
    if (number == 1 && line == kHeader) continue;
    UserClicks row;
    if (number == 1 || !parse_row(line, &row) || row.user <= last) {
      return absl::InvalidArgumentError(fmt::format(
          "{} line {} is not of a truth file: name another file, or remove it", path, number));
    }
    last = row.user;
    truth.add(row.user, row.clicks);
  }
  if (in.bad()) return file_error("read", path);
  return truth;
}

absl::Status ClickTruth::save(const std::string& path) const {
  std::vector<UserClicks> rows;
  rows.reserve(clicks_.size());
  for (const auto& [user, clicks] : clicks_) rows.push_back({user, clicks});
  std::ranges::sort(rows, {}, &UserClicks::user);

  std::string text = fmt::format("{}\n", kHeader);
  for (const UserClicks& row : rows) {
    if (row.user != kNullUser) fmt::format_to(std::back_inserter(text), "{}", row.user);
    fmt::format_to(std::back_inserter(text), ",{}\n", row.clicks);
  }

  const std::string partial = path + ".partial";
  std::ofstream out(partial, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return file_error("write", partial);
  if (std::rename(partial.c_str(), path.c_str()) != 0) return file_error("write", path);
  return absl::OkStatus();
}

}  // namespace clicktally
