// diff: what lies between two states, and whether the offsets between them account for it.
//
// Invariants checked here
//   I1  the clicks that users gained are the clicks counted between the offsets of the two.
//   I4  the rows of each agree with its own record.
//   I7  per partition: clicks + other events + rejections + gaps = offsets between.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/text.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/rows.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using Kind = Column::Kind;
using nlohmann::ordered_json;

struct Difference {
  std::int64_t added = 0;
  std::int64_t changed = 0;
  std::int64_t removed = 0;
  std::int64_t gained = 0;  // clicks of all users, the second less the first
};

using VisitRow = std::function<bool(std::string_view change, UserKey user, std::int64_t before,
                                    std::int64_t after)>;

// Walks over both in order of users. `visit` may be empty.
absl::StatusOr<Difference> compare(const Source& left, const Source& right, const VisitRow& visit) {
  Difference found;
  RowSums left_sums, right_sums;
  RowCursor old_rows(*left.view), new_rows(*right.view);
  bool wanted = true;
  while (wanted) {
    auto old_row = old_rows.peek();
    if (!old_row.ok()) return old_row.status();
    auto new_row = new_rows.peek();
    if (!new_row.ok()) return new_row.status();
    if (*old_row == nullptr && *new_row == nullptr) break;
    const bool has_old =
        *old_row != nullptr && (*new_row == nullptr || (*old_row)->user <= (*new_row)->user);
    const bool has_new =
        *new_row != nullptr && (*old_row == nullptr || (*new_row)->user <= (*old_row)->user);
    const UserKey user = has_old ? (*old_row)->user : (*new_row)->user;
    const std::int64_t before = has_old ? (*old_row)->clicks : 0;
    const std::int64_t after = has_new ? (*new_row)->clicks : 0;
    if (has_old) left_sums.add(**old_row);
    if (has_new) right_sums.add(**new_row);
    std::string_view change;
    if (!has_old) {
      ++found.added;
      change = "added";
    } else if (!has_new) {
      ++found.removed;
      change = "removed";
    } else if (before != after) {
      ++found.changed;
      change = "changed";
    }
    found.gained += after - before;
    if (!change.empty() && visit) wanted = visit(change, user, before, after);
    if (has_old) old_rows.next();
    if (has_new) new_rows.next();
  }
  if (!wanted) return found;
  if (absl::Status s = left_sums.check(left.record); !s.ok()) return s;
  if (absl::Status s = right_sums.check(right.record); !s.ok()) return s;
  return found;
}

struct Between {
  Offset from = 0;
  Offset to = 0;
  PartitionCounters left = {};
  PartitionCounters right = {};
  std::int64_t moved = 0;  // by operators, of the offsets between
  std::int64_t offsets() const { return to - from; }
};

// Nothing, with the reason, where offsets can tell nothing.
std::string why_not_comparable(const CommitRecord& left, const CommitRecord& right) {
  if (left.job != right.job) return "they are of different jobs";
  for (const auto& [id, partition] : left.partitions) {
    const auto other = right.partitions.find(id);
    if (other != right.partitions.end() && other->second.start != partition.start) {
      return fmt::format("they began to count partition {} at different offsets", id);
    }
  }
  return "";
}

// A partition that only one of them has was counted from its start.
std::map<PartitionId, Between> offsets_between(const CommitRecord& left,
                                               const CommitRecord& right) {
  std::map<PartitionId, Between> between;
  for (const auto& [id, partition] : left.partitions) {
    between[id] = {.from = partition.next,
                   .to = partition.start,
                   .left = partition.counters,
                   .moved = -partition.moved};
  }
  for (const auto& [id, partition] : right.partitions) {
    auto [at, is_new] = between.try_emplace(id, Between{.from = partition.start});
    at->second.to = partition.next;
    at->second.right = partition.counters;
    at->second.moved += partition.moved;
  }
  return between;
}

// Empty if they account for it; otherwise what does not agree.
std::string unaccounted(const Difference& found, std::int64_t imported,
                        const std::map<PartitionId, Between>& between) {
  std::int64_t clicks = imported;
  for (const auto& [id, part] : between) {
    const std::int64_t counted =
        part.right.records() + part.right.gaps - part.left.records() - part.left.gaps + part.moved;
    clicks += part.right.clicks - part.left.clicks;
    if (counted == part.offsets()) continue;
    return fmt::format("partition {} has {} offsets between, {} records and gaps were counted", id,
                       part.offsets(), counted);
  }
  if (clicks == found.gained) return "";
  return fmt::format("{} clicks were counted between, the users gained {}", clicks, found.gained);
}

std::string verdict(const Difference& found, const std::map<PartitionId, Between>& between,
                    const std::string& not_comparable, const std::string& wrong) {
  if (!not_comparable.empty()) {
    return fmt::format("the offsets cannot account for the difference: {}", not_comparable);
  }
  if (!wrong.empty()) {
    return fmt::format("the offsets do not account for the difference: {}", wrong);
  }
  std::int64_t offsets = 0;
  for (const auto& [id, part] : between) offsets += part.offsets();
  return fmt::format("the offsets between account for the difference: {} clicks in {} offsets",
                     group_thousands(found.gained), group_thousands(offsets));
}

void write_text(Output& output, const Source& left, const Source& right, const Difference& found,
                const std::map<PartitionId, Between>& between) {
  const auto side = [&](std::string_view word, const Source& source) {
    output.write(fmt::format("{:<14}{}, batch {}, epoch {}, {}, {} clicks\n", word, source.name(),
                             source.record.batch, source.record.epoch,
                             local_time(source.record.time_ms),
                             group_thousands(source.record.totals().clicks)));
  };
  side("from", left);
  side("to", right);
  output.write(fmt::format("{:<14}{} added, {} changed, {} removed\n", "users",
                           group_thousands(found.added), group_thousands(found.changed),
                           group_thousands(found.removed)));
  output.write(fmt::format("{:<14}{}\n\n", "clicks gained", group_thousands(found.gained)));
  Table table(output, Format::kText,
              {{"", "partition", Kind::kId},
               {"", "from", Kind::kId},
               {"", "to", Kind::kId},
               {"", "offsets", Kind::kCount},
               {"", "clicks", Kind::kCount},
               {"", "other", Kind::kCount},
               {"", "rejected", Kind::kCount},
               {"", "gaps", Kind::kCount}});
  for (const auto& [id, part] : between) {
    table.add({std::int64_t{id}, part.from, part.to, part.offsets(),
               part.right.clicks - part.left.clicks,
               part.right.other_events - part.left.other_events,
               part.right.rejected() - part.left.rejected(), part.right.gaps - part.left.gaps});
  }
  table.end();
}

ordered_json side_json(const Source& source) {
  return {{"readFrom", source.name()},
          {"batchId", source.record.batch},
          {"epoch", source.record.epoch},
          {"timeMs", source.record.time_ms},
          {"totalClicks", source.record.totals().clicks}};
}

std::string json_of(const Source& left, const Source& right, const Difference& found,
                    const std::map<PartitionId, Between>& between, bool comparable, bool accounts) {
  ordered_json partitions = ordered_json::object();
  for (const auto& [id, part] : between) {
    partitions[std::to_string(id)] = {
        {"from", part.from},
        {"to", part.to},
        {"offsets", part.offsets()},
        {"clicks", part.right.clicks - part.left.clicks},
        {"otherEvents", part.right.other_events - part.left.other_events},
        {"rejected", part.right.rejected() - part.left.rejected()},
        {"gaps", part.right.gaps - part.left.gaps}};
  }
  ordered_json out{{"from", side_json(left)},       {"to", side_json(right)},
                   {"usersAdded", found.added},     {"usersChanged", found.changed},
                   {"usersRemoved", found.removed}, {"clicksGained", found.gained},
                   {"comparable", comparable}};
  if (comparable) out["offsetsAccount"] = accounts;
  out["partitions"] = std::move(partitions);
  return out.dump(2) + "\n";
}

absl::StatusOr<Difference> write_rows(Output& output, const CommandLine& line, const Source& left,
                                      const Source& right) {
  Table table(output, line.format,
              {{"change", "change", Kind::kText},
               {"user_id", "user_id", Kind::kUser},
               {"before", "before", Kind::kCount},
               {"after", "after", Kind::kCount}});
  auto found =
      compare(left, right,
              [&](std::string_view change, UserKey user, std::int64_t before, std::int64_t after) {
                return table.add(
                    {std::string(change), user == kNullUser ? Cell() : Cell(user), before, after});
              });
  table.end();
  return found;
}

}  // namespace

absl::Status diff_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, 1); !s.ok()) return s;
  const bool rows = line.has("rows");
  if (line.format == Format::kCsv && !rows) return usage_error(line, "csv is for --rows");
  auto left = open_source(disk, line);
  if (!left.ok()) return left.status();
  auto right = open_source(disk, line.arguments[0], line.has("fresh"));
  if (!right.ok()) return right.status();
  Output output;
  auto found = rows ? write_rows(output, line, *left, *right) : compare(*left, *right, {});
  if (!found.ok()) return finish(output, found.status());
  const auto between = offsets_between(left->record, right->record);
  const std::int64_t imported = right->record.imported.clicks - left->record.imported.clicks;
  const std::string not_comparable = why_not_comparable(left->record, right->record);
  const std::string wrong = not_comparable.empty() ? unaccounted(*found, imported, between) : "";
  const std::string said = verdict(*found, between, not_comparable, wrong);
  if (!rows && line.format == Format::kText) {
    write_text(output, *left, *right, *found, between);
    output.write("\n" + said + "\n");
  } else if (!rows) {
    output.write(json_of(*left, *right, *found, between, not_comparable.empty(), wrong.empty()));
  }
  if (!wrong.empty()) return finish(output, absl::DataLossError(said));
  return finish(output, left->damage.ok() ? right->damage : left->damage);
}

}  // namespace clicktally
