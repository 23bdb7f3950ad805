#include "checkpoint/row_sorter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <queue>

namespace clicktally {
namespace {

constexpr std::size_t kRowsAtOnce = 4096;

std::string user_text(UserKey user) {
  return user == kNullUser ? "NULL" : std::to_string(user);
}

std::string path_of_run(const std::string& folder, std::size_t run) {
  return fmt::format("{}/{}", folder, run);
}

// One run, row by row: from its file, or from memory.
class Run {
 public:
  explicit Run(std::vector<ImportedRow> rows) : rows_(std::move(rows)), left_(rows_.size()) {}
  Run(std::string path, std::unique_ptr<RandomFile> file, std::size_t rows)
      : path_(std::move(path)), file_(std::move(file)), left_(rows) {}

  // Nothing at the end.
  absl::StatusOr<std::optional<ImportedRow>> next() {
    if (left_ == 0) return std::nullopt;
    if (at_ == rows_.size()) {
      if (absl::Status s = read_on(); !s.ok()) return s;
    }
    --left_;
    return rows_[at_++];
  }

 private:
  absl::Status read_on() {
    rows_.resize(std::min(left_, kRowsAtOnce));
    at_ = 0;
    const std::size_t bytes = rows_.size() * sizeof(ImportedRow);
    auto* into = reinterpret_cast<char*>(rows_.data());
    auto got = file_->read_at(read_, bytes, into);
    if (!got.ok()) return got.status();
    if (*got != bytes) return absl::DataLossError(path_ + ": shorter than what was written to it");
    read_ += bytes;
    return absl::OkStatus();
  }

  std::string path_;
  std::unique_ptr<RandomFile> file_;
  std::vector<ImportedRow> rows_;
  std::size_t left_;
  std::size_t at_ = 0;
  std::uint64_t read_ = 0;
};

struct Head {
  ImportedRow row;
  Run* run;
  bool operator>(const Head& other) const {
    return std::tie(row.user, row.line) > std::tie(other.row.user, other.row.line);
  }
};
using Heads = std::priority_queue<Head, std::vector<Head>, std::greater<>>;

absl::Status advance(Run& run, Heads* heads) {
  auto row = run.next();
  if (!row.ok()) return row.status();
  if (*row) heads->push({**row, &run});
  return absl::OkStatus();
}

}  // namespace

absl::Status RowSorter::add(const ImportedRow& row) {
  rows_.push_back(row);
  return rows_.size() < rows_in_memory_ ? absl::OkStatus() : write_run();
}

absl::Status RowSorter::write_run() {
  static_assert(std::is_trivially_copyable_v<ImportedRow>);
  std::ranges::sort(rows_, {}, [](const ImportedRow& row) { return std::tie(row.user, row.line); });
  auto file = disk_.open_append(path_of_run(folder_, runs_.size()), Disk::Create::kTruncate);
  if (!file.ok()) return file.status();
  const std::string_view bytes(reinterpret_cast<const char*>(rows_.data()),
                               rows_.size() * sizeof(ImportedRow));
  if (absl::Status s = (*file)->append(bytes); !s.ok()) return s;
  runs_.push_back(rows_.size());
  rows_.clear();
  return (*file)->close();
}

absl::Status RowSorter::merge(
    const std::function<absl::Status(std::span<const UserClicks>)>& take) {
  std::vector<Run> runs;
  runs.reserve(runs_.size() + 1);
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const std::string path = path_of_run(folder_, i);
    auto file = disk_.open_random(path);
    if (!file.ok()) return file.status();
    runs.emplace_back(path, *std::move(file), runs_[i]);
  }
  std::ranges::sort(rows_, {}, [](const ImportedRow& row) { return std::tie(row.user, row.line); });
  runs.emplace_back(std::move(rows_));
  Heads heads;
  for (Run& run : runs) {
    if (absl::Status s = advance(run, &heads); !s.ok()) return s;
  }
  std::vector<UserClicks> block;
  std::optional<ImportedRow> last;
  while (!heads.empty()) {
    const Head head = heads.top();
    heads.pop();
    if (last && last->user == head.row.user) {
      return absl::InvalidArgumentError(fmt::format("line {}: user {} again, who stands in line {}",
                                                    head.row.line, user_text(head.row.user),
                                                    last->line));
    }
    last = head.row;
    block.push_back({head.row.user, head.row.clicks});
    if (absl::Status s = advance(*head.run, &heads); !s.ok()) return s;
    if (block.size() < rows_in_memory_) continue;
    if (absl::Status s = take(block); !s.ok()) return s;
    block.clear();
  }
  return block.empty() ? absl::OkStatus() : take(block);
}

}  // namespace clicktally
