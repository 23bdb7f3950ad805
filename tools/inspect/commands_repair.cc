#include <fmt/format.h>

#include <functional>
#include <map>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "checkpoint/repair.h"
#include "checkpoint/snapshots.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

std::int64_t now_ms() {
  return absl::ToUnixMillis(absl::Now());
}

absl::StatusOr<BatchId> batch_of(const CommandLine& line, const std::string& word) {
  BatchId batch = kNoBatch;
  if (absl::SimpleAtoi(word, &batch) && batch >= 0) return batch;
  return usage_error(line, fmt::format("'{}' is no batch of a snapshot", escape_controls(word)));
}

absl::StatusOr<std::map<PartitionId, Offset>> offsets_of(const CommandLine& line) {
  std::map<PartitionId, Offset> next;
  for (const std::string& word : line.arguments) {
    const std::vector<std::string> parts = absl::StrSplit(word, '=');
    PartitionId id = 0;
    Offset offset = 0;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &id) || id < 0 ||
        !absl::SimpleAtoi(parts[1], &offset) || offset < 0) {
      return usage_error(
          line, fmt::format("'{}' is not PARTITION=OFFSET, as in 0=1234", escape_controls(word)));
    }
    if (!next.emplace(id, offset).second) {
      return usage_error(line, fmt::format("partition {} is given twice", id));
    }
  }
  return next;
}

// What changes, a row each: text, or JSON lines with `what`, `before` and `after`.
void write_plan(const RepairPlan& plan, Format format, Output& output) {
  Table table(output, format,
              {{.key = "what", .title = "", .kind = Column::Kind::kText},
               {.key = "before", .title = "before", .kind = Column::Kind::kId},
               {.key = "after", .title = "after", .kind = Column::Kind::kId}});
  const StateSummary after = summary_of(plan.after);
  const auto before = plan.before ? std::optional(summary_of(*plan.before)) : std::nullopt;
  const auto row = [&](const std::string& what, const auto& of) {
    const Cell was = before ? Cell(of(*before)) : Cell();
    table.add({Cell(what), was, Cell(of(after))});
  };
  row("batch", [](const StateSummary& state) { return state.batch; });
  row("epoch", [](const StateSummary& state) { return state.epoch; });
  row("clicks", [](const StateSummary& state) { return state.clicks; });
  std::map<PartitionId, Offset> all = after.next;
  if (before) all.insert(before->next.begin(), before->next.end());
  for (const auto& [id, unused] : all) {
    const auto offset_in = [id = id](const StateSummary& state) -> Cell {
      const auto found = state.next.find(id);
      return found == state.next.end() ? Cell() : Cell(found->second);
    };
    table.add({Cell(fmt::format("offset of partition {}", id)),
               before ? offset_in(*before) : Cell(), offset_in(after)});
  }
  table.end();
}

using Planner = std::function<absl::StatusOr<RepairPlan>(const Repair&)>;

absl::Status repair_with(Disk& disk, const CommandLine& line, const Planner& make_plan) {
  const bool dry = line.has("dry-run");
  auto repair = Repair::open(disk, line.checkpoint, open_any_state,
                             dry ? ChangeMode::kDryRun : ChangeMode::kCarryOut);
  if (!repair.ok()) return repair.status();
  auto plan = make_plan(**repair);
  if (!plan.ok()) return plan.status();
  if (!plan->before) note(fmt::format("the live state is damaged: {}", plan->damage));
  if (!dry) {
    if (absl::Status s = (*repair)->carry_out(*plan); !s.ok()) return s;
  }
  Output output;
  write_plan(*plan, line.format, output);
  const absl::Status written = output.finish();
  const std::string undo = plan->before && plan->before->batch != kNoBatch
                               ? fmt::format("what was before is snapshot {}", plan->before->batch)
                               : "what was damaged is in live.damaged";
  note(dry ? "dry run: nothing was written" : fmt::format("done: {}; start the job", undo));
  return written;
}

}  // namespace

absl::Status rollback_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, 1); !s.ok()) return s;
  auto batch = batch_of(line, line.arguments[0]);
  if (!batch.ok()) return batch.status();
  return repair_with(disk, line,
                     [&](const Repair& repair) { return repair.plan_rollback(*batch, now_ms()); });
}

absl::Status offsets_set_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 1, 100000); !s.ok()) return s;
  auto next = offsets_of(line);
  if (!next.ok()) return next.status();
  return repair_with(disk, line,
                     [&](const Repair& repair) { return repair.plan_offsets(*next, now_ms()); });
}

namespace {

absl::Status change_pin(Disk& disk, const CommandLine& line, bool pinned) {
  if (absl::Status s = check_arguments(line, 1, pinned ? 2 : 1); !s.ok()) return s;
  auto batch = batch_of(line, line.arguments[0]);
  if (!batch.ok()) return batch.status();
  const std::string name = line.arguments.size() > 1 ? line.arguments[1] : "";
  if (absl::Status s = check_pin_name(name); !s.ok()) return usage_error(line, message_of(s));
  const CheckpointLayout layout(line.checkpoint);
  const bool dry = line.has("dry-run");
  const absl::Status done = pinned ? pin_snapshot(disk, layout, *batch, name, dry)
                                   : unpin_snapshot(disk, layout, *batch, dry);
  if (!done.ok()) return done;
  if (dry) note("dry run: nothing was written");
  Output output;
  output.write(fmt::format("snapshot {} {} {}{}\n", *batch, dry ? "would be" : "is",
                           pinned ? "pinned" : "not pinned any more",
                           name.empty() ? "" : ": " + name));
  return output.finish();
}

}  // namespace

absl::Status pin_command(Disk& disk, const CommandLine& line) {
  return change_pin(disk, line, true);
}

absl::Status unpin_command(Disk& disk, const CommandLine& line) {
  return change_pin(disk, line, false);
}

}  // namespace clicktally
