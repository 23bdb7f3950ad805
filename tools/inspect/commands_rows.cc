// get, list, export and top: users and their clicks.
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <queue>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/text.h"
#include "checkpoint/snapshots.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/rows.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using Kind = Column::Kind;

constexpr std::size_t kManyUsers = 1'000'000;
constexpr std::int64_t kMostRows = 1'000'000;
constexpr std::int64_t kUsualTop = 10;
constexpr Column kUserColumn{"user_id", "user_id", Kind::kUser};
constexpr Column kClicksColumn{"total_clicks", "total_clicks", Kind::kCount};
constexpr Column kBatchColumn{"last_batch", "last_batch", Kind::kId};

Cell user_cell(UserKey user) {
  return user == kNullUser ? Cell() : Cell(user);
}

absl::StatusOr<UserKey> parse_user(const CommandLine& line, const std::string& text) {
  std::int32_t user = 0;
  if (text == "NULL" || text == "null") return kNullUser;
  if (absl::SimpleAtoi(text, &user)) return user;
  return usage_error(
      line, fmt::format("'{}' is not a user: a number from -2147483648 to 2147483647, or NULL",
                        escape_controls(text)));
}

// Those named, and for "-" those that standard input names, one a line.
absl::StatusOr<std::vector<UserKey>> users_of(const CommandLine& line) {
  std::vector<UserKey> users;
  const auto add = [&](const std::string& text) -> absl::Status {
    auto user = parse_user(line, text);
    if (user.ok()) users.push_back(*user);
    return user.status();
  };
  for (const std::string& argument : line.arguments) {
    if (argument != "-") {
      if (absl::Status s = add(argument); !s.ok()) return s;
      continue;
    }
    for (std::string text; std::getline(std::cin, text);) {
      if (!text.empty() && text.back() == '\r') text.pop_back();
      if (text.empty()) continue;
      if (absl::Status s = add(text); !s.ok()) return s;
    }
  }
  return users;
}

// --- top -----------------------------------------------------------------------------------------

struct Ranked {
  UserCount count;
  std::int64_t gained = 0;
  std::int64_t rank = 0;  // what it is ranked by, and by clicks where that is equal
  bool operator<(const Ranked& other) const {  // before the other in the table
    if (rank != other.rank) return rank > other.rank;
    if (count.clicks != other.count.clicks) return count.clicks > other.count.clicks;
    return count.user < other.count.user;
  }
};

// The first `size` of all that are offered.
class Ranking {
 public:
  explicit Ranking(std::size_t size) : size_(size) {}
  void offer(const Ranked& row) {
    if (rows_.size() == size_) {
      if (!(row < rows_.top())) return;
      rows_.pop();
    }
    rows_.push(row);
  }
  std::vector<Ranked> take() {
    std::vector<Ranked> sorted;
    for (; !rows_.empty(); rows_.pop()) sorted.push_back(rows_.top());
    std::ranges::reverse(sorted);
    return sorted;
  }

 private:
  std::size_t size_;
  std::priority_queue<Ranked> rows_;  // its last on top
};

struct alignas(kCacheLineBytes) RankedPart {
  Ranking ranking;
  Digest digest = 0;
};

absl::StatusOr<std::vector<Ranked>> rank_all(const Source& source, std::size_t size,
                                             bool by_batch) {
  std::array<RankedPart, kParts> parts{RankedPart{Ranking(size)}, RankedPart{Ranking(size)}};
  const absl::Status scanned =
      scan_in_parts(*source.store, [&](std::size_t part, const UserCount& count) {
        parts[part].digest += digest_of(count.user, count.clicks);
        parts[part].ranking.offer({count, 0, by_batch ? count.last_batch : count.clicks});
        return true;
      });
  if (!scanned.ok()) return scanned;
  Ranking all(size);
  Digest digest = 0;
  for (RankedPart& part : parts) {
    for (const Ranked& row : part.ranking.take()) all.offer(row);
    digest += part.digest;
  }
  if (digest == source.record.digest) return all.take();
  return absl::DataLossError(
      "the rows do not add up to the digest of their batch: the state is "
      "damaged; restore the checkpoint from a backup");
}

// Gained since `before`; who gained nothing is left out.
absl::StatusOr<std::vector<Ranked>> rank_by_gain(const Source& source, const Source& before,
                                                 std::size_t size) {
  Ranking all(size);
  RowCursor now(*source.view);
  RowCursor then(*before.view);
  while (true) {
    auto row = now.peek();
    if (!row.ok()) return row.status();
    if (*row == nullptr) return all.take();
    auto old = then.peek();
    if (!old.ok()) return old.status();
    if (*old != nullptr && (*old)->user < (*row)->user) {
      then.next();
      continue;
    }
    const bool same = *old != nullptr && (*old)->user == (*row)->user;
    const std::int64_t gained = (*row)->clicks - (same ? (*old)->clicks : 0);
    if (gained != 0) all.offer({**row, gained, gained});
    now.next();
  }
}

// The snapshot that --since names, or the newest that is older than what is read.
absl::StatusOr<Source> open_before(Disk& disk, const CommandLine& line, const Source& source) {
  auto names = list_snapshots(disk, source.layout);
  if (!names.ok()) return names.status();
  BatchId since = kNoBatch;
  for (const SnapshotName& name : *names) {
    if (name.batch < source.record.batch) since = name.batch;
  }
  auto given = number_of(line, "since", 0, std::numeric_limits<std::int64_t>::max(), since);
  if (!given.ok()) return given.status();
  if (*given == kNoBatch) {
    return absl::FailedPreconditionError(
        fmt::format("{}: there is no snapshot older than batch {} to compare with",
                    source.layout.root(), source.record.batch));
  }
  return open_source(disk, fmt::format("{}@{}", source.layout.root(), *given), /*fresh=*/false);
}

}  // namespace

absl::Status get_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, kManyUsers); !s.ok()) return s;
  auto users = users_of(line);
  if (!users.ok()) return users.status();
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  Output output;
  Table table(output, line.format, {kUserColumn, kClicksColumn, kBatchColumn});
  for (const UserKey user : *users) {
    auto count = source->view->get(user);
    if (!count.ok()) return finish(output, count.status());
    const bool there = count->has_value();
    const bool wanted = table.add({user_cell(user), there ? (*count)->clicks : std::int64_t{0},
                                   there ? Cell((*count)->last_batch) : Cell()});
    if (!wanted) break;
  }
  table.end();
  return finish(output, source->damage);
}

absl::Status list_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto from = parse_user(line, line.value("from").value_or("NULL"));
  if (!from.ok()) return from.status();
  auto to = parse_user(line, line.value("to").value_or(std::to_string(kLastUser)));
  if (!to.ok()) return to.status();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  auto least = number_of(line, "min-clicks", 0, kMost, 0);
  if (!least.ok()) return least.status();
  auto limit = number_of(line, "limit", 1, kMost, kMost);
  if (!limit.ok()) return limit.status();
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  Output output;
  Table table(output, line.format, {kUserColumn, kClicksColumn, kBatchColumn});
  std::int64_t left = *limit;
  const absl::Status scanned = source->view->scan(*from, *to, [&](const UserCount& count) {
    if (count.clicks < *least) return true;
    return table.add({user_cell(count.user), count.clicks, count.last_batch}) && --left > 0;
  });
  table.end();
  return finish(output, scanned.ok() ? source->damage : scanned);
}

absl::Status export_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  const bool json = line.format == Format::kJson;
  Output output;
  Digest digest = 0;
  bool wanted = json || output.write("user_id,total_clicks\n");
  const absl::Status scanned =
      source->view->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
        digest += digest_of(count.user, count.clicks);
        const bool null = count.user == kNullUser;
        const std::string user = null ? (json ? "null" : "") : std::to_string(count.user);
        wanted = output.write(
            json ? fmt::format("{{\"user_id\":{},\"total_clicks\":{}}}\n", user, count.clicks)
                 : fmt::format("{},{}\n", user, count.clicks));
        return wanted;
      });
  if (!scanned.ok()) return finish(output, scanned);
  if (absl::Status status = output.finish(); !status.ok() || !wanted) return status;
  if (digest == source->record.digest) return source->damage;
  return absl::DataLossError(
      "the rows just written do not add up to the digest of their batch: the state is damaged; do "
      "not use them, restore the checkpoint from a backup");
}

absl::Status top_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 1); !s.ok()) return s;
  std::int64_t size = kUsualTop;
  if (!line.arguments.empty() &&
      (!absl::SimpleAtoi(line.arguments[0], &size) || size < 1 || size > kMostRows)) {
    return usage_error(line, fmt::format("'{}' is no whole number from 1 to {}",
                                         escape_controls(line.arguments[0]), kMostRows));
  }
  const std::string by = line.value("by").value_or("clicks");
  if (by != "clicks" && by != "delta" && by != "last-batch") {
    return usage_error(
        line, fmt::format("--by: '{}' is not clicks, delta or last-batch", escape_controls(by)));
  }
  if (line.has("since") && by != "delta") return usage_error(line, "--since is for --by delta");
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  absl::StatusOr<std::vector<Ranked>> rows = absl::UnknownError("");
  absl::Status damage = source->damage;
  if (by == "delta") {
    auto before = open_before(disk, line, *source);
    if (!before.ok()) return before.status();
    if (damage.ok()) damage = before->damage;
    rows = rank_by_gain(*source, *before, static_cast<std::size_t>(size));
  } else {
    rows = rank_all(*source, static_cast<std::size_t>(size), by == "last-batch");
  }
  if (!rows.ok()) return rows.status();
  Output output;
  std::vector<Column> columns{kUserColumn, kClicksColumn, kBatchColumn};
  if (by == "delta") columns.push_back({"gained", "gained", Kind::kCount});
  Table table(output, line.format, std::move(columns));
  for (const Ranked& row : *rows) {
    std::vector<Cell> cells{user_cell(row.count.user), row.count.clicks, row.count.last_batch};
    if (by == "delta") cells.push_back(row.gained);
    table.add(cells);
  }
  table.end();
  return finish(output, damage);
}

}  // namespace clicktally
