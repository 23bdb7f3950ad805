// offsets, batches and snapshots: what there was and up to where, without a look at any count.
#include <fmt/format.h>

#include "absl/strings/str_replace.h"
#include "base/text.h"
#include "checkpoint/commit_record_codec.h"
#include "checkpoint/snapshots.h"
#include "tools/inspect/commands.h"
#include "tools/inspect/history.h"
#include "tools/inspect/open.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

using Kind = Column::Kind;

constexpr std::int64_t kUsualBatches = 20;

Cell changed_of(const CommitRecord& record) {
  return record.batch == kNoBatch ? Cell() : Cell(record.changed.in_all);
}

// What one batch added: its record less the one before it, if that is known. How long it took, the
// one after it says.
std::vector<Cell> batch_row(const CommitRecord& record, const CommitRecord* before,
                            std::optional<std::int64_t> duration_ms) {
  const bool known = before != nullptr || record.batch == 0;
  const PartitionCounters now = record.totals();
  const PartitionCounters then = before != nullptr ? before->totals() : PartitionCounters{};
  const auto added = [&](std::int64_t left, std::int64_t right) {
    return known ? Cell(left - right) : Cell();
  };
  return {record.batch,
          record.time_ms,
          added(now.records(), then.records()),
          added(now.clicks, then.clicks),
          added(now.rejected(), then.rejected()),
          added(now.gaps, then.gaps),
          changed_of(record),
          duration_ms ? Cell(*duration_ms) : Cell(),
          record.epoch,
          offsets_json(record)};
}

// past_record(), or nothing if it is damaged: what else can be read is good, and `damage` is said
// at the end.
absl::StatusOr<std::optional<CommitRecord>> past_record_or(const Source& source, BatchId batch,
                                                           absl::Status* damage) {
  auto record = past_record(source, batch);
  if (!absl::IsDataLoss(record.status())) return record;
  *damage = record.status();
  return std::nullopt;
}

// A snapshot that is removed while it is looked at has no size.
std::int64_t bytes_of(Disk& disk, const std::string& path) {
  std::int64_t bytes = 0;
  auto files = disk.list(path);
  if (!files.ok()) return 0;
  for (const std::string& file : *files) {
    auto info = disk.stat(path + "/" + file);
    if (info.ok()) bytes += static_cast<std::int64_t>(info->size_bytes);
  }
  return bytes;
}

// Nothing for a pin that has no name, or that is taken away just now.
Cell pin_name_of(Disk& disk, const CheckpointLayout& layout, const SnapshotName& snapshot) {
  if (!snapshot.pinned) return Cell();
  auto name = pin_name(disk, layout, snapshot.batch);
  return name.ok() && !name->empty() ? Cell(*std::move(name)) : Cell();
}

}  // namespace

absl::StatusOr<std::optional<CommitRecord>> past_record(const Source& source, BatchId batch) {
  if (batch == source.record.batch) return source.record;
  if (batch < 0) return std::nullopt;
  auto bytes = source.store->history(batch);
  if (!bytes.ok()) return bytes.status();
  if (!*bytes) return std::nullopt;
  auto record = decode_commit_record(**bytes);
  if (!record.ok()) return record.status();
  if (record->batch != batch) return std::nullopt;  // its slot holds a later one
  return *std::move(record);
}

void write_partitions(Output& output, Format format, const CommitRecord& record) {
  Table table(output, format,
              {{"partition", "partition", Kind::kId},
               {"start", "start", Kind::kId},
               {"next", "next", Kind::kId},
               {"clicks", "clicks", Kind::kCount},
               {"otherEvents", "other", Kind::kCount},
               {"rejected", "rejected", Kind::kCount},
               {"gaps", "gaps", Kind::kCount},
               {"repeated", "repeated", Kind::kCount}});
  for (const auto& [id, partition] : record.partitions) {
    const PartitionCounters& counters = partition.counters;
    table.add({std::int64_t{id}, partition.start, partition.next, counters.clicks,
               counters.other_events, counters.rejected(), counters.gaps, counters.repeated});
  }
  table.end();
}

absl::Status offsets_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  Output output;
  if (line.format == Format::kJson) {
    output.write(fmt::format("{{{}:{}}}\n", json_text(source->record.job.topic),
                             offsets_json(source->record)));
  } else {
    write_partitions(output, line.format, source->record);
  }
  return finish(output, source->damage);
}

absl::Status batches_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto limit = number_of(line, "limit", 1, kHistorySlots, kUsualBatches);
  if (!limit.ok()) return limit.status();
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  Output output;
  Table table(output, line.format,
              {{"batchId", "batch", Kind::kId},
               {"timeMs", "committed", Kind::kTime},
               {"records", "records", Kind::kCount},
               {"clicks", "clicks", Kind::kCount},
               {"rejected", "rejected", Kind::kCount},
               {"gaps", "gaps", Kind::kCount},
               {"changedUsers", "users", Kind::kCount},
               {"durationMs", "ms", Kind::kCount},
               {"epoch", "epoch", Kind::kId},
               {"offsets", "offsets", Kind::kJson}});
  std::optional<CommitRecord> record = source->record;
  std::optional<std::int64_t> duration_ms;
  absl::Status damage = source->damage;
  for (std::int64_t left = *limit; left > 0 && record && record->batch != kNoBatch; --left) {
    auto before = past_record_or(*source, record->batch - 1, &damage);
    if (!before.ok()) return before.status();
    const bool wanted = table.add(batch_row(*record, *before ? &**before : nullptr, duration_ms));
    if (!wanted) break;
    duration_ms = record->previous_duration_ms;
    record = *std::move(before);
  }
  table.end();
  return finish(output, damage);
}

absl::Status snapshots_command(Disk& disk, const CommandLine& line) {
  if (absl::Status s = check_arguments(line, 0, 0); !s.ok()) return s;
  auto source = open_source(disk, line);
  if (!source.ok()) return source.status();
  auto names = list_snapshots(disk, source->layout);
  if (!names.ok()) return names.status();
  Output output;
  Table table(output, line.format,
              {{"batchId", "batch", Kind::kId},
               {"timeMs", "committed", Kind::kTime},
               {"epoch", "epoch", Kind::kId},
               {"totalClicks", "clicks", Kind::kCount},
               {"bytes", "bytes", Kind::kBytes},
               {"readBack", "read back", Kind::kYesNo},
               {"pinned", "pinned", Kind::kYesNo},
               {"pinName", "name", Kind::kText}});
  absl::Status damage = source->damage;
  for (const SnapshotName& name : *names) {
    auto record = past_record_or(*source, name.batch, &damage);
    if (!record.ok()) return record.status();
    const auto& known = *record;
    const std::int64_t bytes = bytes_of(disk, source->layout.snapshot(name.batch));
    table.add({name.batch, known ? Cell(known->time_ms) : Cell(),
               known ? Cell(known->epoch) : Cell(), known ? Cell(known->totals().clicks) : Cell(),
               bytes, name.scanned, name.pinned, pin_name_of(disk, source->layout, name)});
  }
  table.end();
  return finish(output, damage);
}

}  // namespace clicktally
