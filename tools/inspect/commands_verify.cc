// verify: every check there is, file by file, and whether a job may be started on it.
//
// A check that fails does not end the others: each is a line. A disk that refuses to read is no
// proof of damage, and ends the command with its own exit code.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/verification.h"
#include "checkpoint/witness.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/open.h"
#include "tools/inspect/rows.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using Kind = Column::Kind;
using nlohmann::ordered_json;

class Verification {
 public:
  Verification(Disk& disk, CheckpointLayout layout, bool full)
      : disk_(disk), layout_(std::move(layout)), full_(full) {}

  // What the disk refused to tell; OK if every check was made.
  absl::Status run() {
    check_directory();
    check_live();
    auto names = list_snapshots(disk_, layout_);
    if (!names.ok()) return names.status();
    for (const SnapshotName& name : *names) check_snapshot(name.batch);
    return refused_;
  }

  struct Check {
    std::string what;
    std::string where;
    absl::Status status;
    std::string detail;
  };
  const std::vector<Check>& checks() const { return checks_; }
  bool has_damage() const { return !first_damage_.ok(); }
  // The one sentence at the end.
  std::string verdict() const;

 private:
  bool add(std::string what, std::string where, const absl::Status& status,
           std::string detail = "") {
    const bool damage = absl::IsDataLoss(status) || absl::IsFailedPrecondition(status);
    if (damage && first_damage_.ok()) first_damage_ = status;
    if (!status.ok() && !damage && refused_.ok()) refused_ = status;
    checks_.push_back({std::move(what), std::move(where), status, std::move(detail)});
    return status.ok();
  }
  void check_directory();
  void check_witness_file(WitnessOf what, std::string of, std::string name, std::string if_missing);
  void check_live();
  void check_snapshot(BatchId batch);
  bool check_files(const CountStore& store, const std::string& where);
  bool check_rows(const CountStore& store, const CommitRecord& record, const std::string& where);

  Disk& disk_;
  const CheckpointLayout layout_;
  const bool full_;
  std::vector<Check> checks_;
  std::set<TableFile> read_;  // whole; under another name it is the same file
  std::optional<CommitRecord> live_;
  std::optional<CommitRecord> takes_over_;  // the newest snapshot that is whole
  bool job_is_running_ = false;
  bool witnesses_ = true;  // job.json, COMMITTED and SHOWN are whole
  absl::Status refused_;
  absl::Status first_damage_;
};

absl::Status check_owner(Disk& disk, const CheckpointLayout& layout) {
  auto info = disk.stat(layout.root() + "/.");
  if (!info.ok()) return info.status();
  if ((info->mode & 0022) != 0) {
    return absl::FailedPreconditionError(fmt::format(
        "{}: others may write it (mode {:o}); chmod go-w it", layout.root(), info->mode));
  }
  auto remote = disk.is_network_file_system(layout.root());
  if (!remote.ok()) return remote.status();
  if (!*remote) return absl::OkStatus();
  return absl::FailedPreconditionError(layout.root() + ": on a network file system");
}

void Verification::check_directory() {
  add("owner and place", "", check_owner(disk_, layout_));
  add("no links", "", check_no_links(disk_, layout_));
  witnesses_ = add("format", "job.json", check_job_file(disk_, layout_));
  check_witness_file(WitnessOf::kCommitted, "last committed batch",
                     CheckpointLayout::kCommittedName, "missing; made at the next start");
  check_witness_file(WitnessOf::kShown, "last shown batch", CheckpointLayout::kShownName,
                     "missing; the last batch is shown again");
}

void Verification::check_witness_file(WitnessOf what, std::string of, std::string name,
                                      std::string if_missing) {
  auto found = read_witness(disk_, layout_, what);
  if (absl::IsNotFound(found.status())) {
    add(std::move(of), std::move(name), absl::OkStatus(), std::move(if_missing));
    return;
  }
  const std::string says =
      found.ok() ? fmt::format("batch {}, epoch {}", found->batch, found->epoch) : "";
  witnesses_ = add(std::move(of), std::move(name), found.status(), says) && witnesses_;
}

// A running job replaces files under a reader: then only what is opened at once is checked.
void Verification::check_live() {
  auto reader = open_checkpoint_reader(disk_, layout_.root(), open_any_state);
  const std::string where = "live";
  if (!reader.ok()) {
    add("record, digests, progress", where, reader.status());
    return;
  }
  const CommitRecord& record = reader->state.record;
  job_is_running_ = reader->job_is_running;
  bool whole = add(
      "record, digests, progress", where, absl::OkStatus(),
      fmt::format("batch {}, {} clicks, {} files", record.batch,
                  group_thousands(record.totals().clicks), reader->store->table_files().size()));
  if (full_ && !job_is_running_) {
    whole = check_files(*reader->store, where) && whole;
    whole = check_rows(*reader->store, record, where) && whole;
  }
  if (whole) live_ = record;
}

void Verification::check_snapshot(BatchId batch) {
  const std::string where = fmt::format("snapshots/{}", batch);
  auto snapshot = open_snapshot(disk_, layout_, batch, open_any_state);
  if (absl::IsNotFound(snapshot.status())) return;  // pruned meanwhile
  if (!snapshot.ok()) {
    add("record, digests, progress", where, snapshot.status());
    return;
  }
  bool whole = add("record, digests, progress", where, absl::OkStatus(),
                   fmt::format("batch {}, {} clicks, {} files", snapshot->record.batch,
                               group_thousands(snapshot->record.totals().clicks),
                               snapshot->store->table_files().size()));
  if (full_) {
    whole = check_files(*snapshot->store, where) && whole;
    whole = check_rows(*snapshot->store, snapshot->record, where) && whole;
  }
  if (whole) takes_over_ = snapshot->record;
}

bool Verification::check_files(const CountStore& store, const std::string& where) {
  bool whole = true;
  for (const TableFile& file : store.table_files()) {
    if (read_.contains(file)) continue;
    const absl::Status read = store.scan_table_file(file.name, [](std::uint64_t) { return true; });
    whole = add("checksums and digest", where + "/" + file.name, read,
                bytes_text(static_cast<std::int64_t>(file.size_bytes))) &&
            whole;
    if (read.ok()) read_.insert(file);
  }
  return whole;
}

bool Verification::check_rows(const CountStore& store, const CommitRecord& record,
                              const std::string& where) {
  RowSums sums;
  auto view = store.view();
  absl::Status status = view.status();
  if (view.ok()) {
    status = (*view)->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
      sums.add(count);
      return true;
    });
  }
  if (status.ok()) status = sums.check(record);
  return add("all rows", where, status,
             fmt::format("{} users, {} clicks", group_thousands(sums.users),
                         group_thousands(sums.clicks)));
}

std::string Verification::verdict() const {
  if (live_ && witnesses_) {
    return fmt::format("safe to restart from batch {} at offsets {}{}{}", live_->batch,
                       offsets_json(*live_), job_is_running_ ? " (a job is running now)" : "",
                       has_damage() ? fmt::format(", but: {}", message_of(first_damage_)) : "");
  }
  const std::string why(message_of(first_damage_));
  if (!witnesses_ || !takes_over_ || live_) return fmt::format("not safe to restart: {}", why);
  if (exists(disk_, layout_.live_damaged())) {
    return fmt::format(
        "not safe to restart: {}; and live.damaged is still there, so no snapshot "
        "may take over",
        why);
  }
  return fmt::format(
      "the live state is not safe to restart from: {}; a start falls back to snapshot "
      "{} at offsets {}, if Kafka still has what came after",
      why, takes_over_->batch, offsets_json(*takes_over_));
}

void write_json(Output& output, const Verification& verification) {
  ordered_json checks = ordered_json::array();
  for (const auto& check : verification.checks()) {
    ordered_json fields{{"check", check.what}, {"of", check.where}, {"ok", check.status.ok()}};
    fields["detail"] = check.status.ok() ? check.detail : std::string(message_of(check.status));
    checks.push_back(std::move(fields));
  }
  const ordered_json out{{"checks", std::move(checks)},
                         {"damaged", verification.has_damage()},
                         {"verdict", verification.verdict()}};
  output.write(out.dump(2, ' ', true, ordered_json::error_handler_t::replace) + "\n");
}

void write_text(Output& output, const Verification& verification) {
  Table table(output, Format::kText,
              {{"", "check", Kind::kText},
               {"", "of", Kind::kText},
               {"", "result", Kind::kText},
               {"", "detail", Kind::kText}});
  for (const auto& check : verification.checks()) {
    table.add({check.what, check.where, std::string(check.status.ok() ? "ok" : "DAMAGED"),
               check.status.ok() ? check.detail : std::string(message_of(check.status))});
  }
  table.end();
  if (!verification.has_damage()) output.write("\n" + verification.verdict() + "\n");
}

}  // namespace

absl::Status verify_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  const CheckpointLayout layout(line.checkpoint);
  auto kind = checkpoint_kind(disk, layout);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kWhole) {
    auto why = open_checkpoint_reader(disk, line.checkpoint, open_any_state);
    if (!why.ok()) return why.status();
  }
  Verification verification(disk, layout, line.has("full"));
  if (absl::Status s = verification.run(); !s.ok()) return s;
  Output output;
  if (line.format == Format::kJson) {
    write_json(output, verification);
  } else {
    write_text(output, verification);
  }
  if (!verification.has_damage()) return output.finish();
  return finish(output, absl::DataLossError(verification.verdict()));
}

}  // namespace clicktally
