#include "crash/report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/snapshots.h"

namespace clicktally {
namespace {

using nlohmann::json;

json json_of(UserKey user) {
  return user == kNullUser ? json() : json(user);
}

json json_of(const CommitRecord& record) {
  json partitions = json::object();
  for (const auto& [id, partition] : record.partitions) {
    const PartitionCounters& counted = partition.counters;
    partitions[std::to_string(id)] = {{"start", partition.start},
                                      {"next", partition.next},
                                      {"clicks", counted.clicks},
                                      {"other_events", counted.other_events},
                                      {"rejected", counted.rejected()},
                                      {"gaps", counted.gaps},
                                      {"repeated", counted.repeated},
                                      {"letters_from", partition.dead_letters.first},
                                      {"letters_kept", partition.dead_letters.kept}};
  }
  return {{"epoch", record.epoch},
          {"batch", record.batch},
          {"time_ms", record.time_ms},
          {"digest", to_hex(record.digest)},
          {"partitions", partitions}};
}

// Adds "counts" and "letters".
absl::Status add_rows(const CountView& view, const CommitRecord& record, json* out) {
  json& counts = (*out)["counts"] = json::array();
  absl::Status s = view.scan(kFirstUser, kLastUser, [&](const UserCount& count) {
    counts.push_back({json_of(count.user), count.clicks, count.last_batch});
    return true;
  });
  json& letters = (*out)["letters"] = json::array();
  for (const auto& [id, partition] : record.partitions) {
    if (!s.ok()) return s;
    s = view.scan_dead_letters(id, partition.dead_letters.first, [&](const DeadLetter& letter) {
      letters.push_back({letter.partition, letter.offset, letter.batch, letter.value});
      return true;
    });
  }
  return s;
}

CountStoreOptions small_options() {
  return CountStoreOptions{.block_cache_bytes = 1 << 20, .memtable_bytes = 64 << 10};
}

absl::StatusOr<json> snapshot_json(Disk& disk, const CheckpointLayout& layout, BatchId batch,
                                   const StoreOpener& open_state) {
  auto snapshot = open_snapshot(disk, layout, batch, open_state);
  if (!snapshot.ok()) return snapshot.status();
  json out = json_of(snapshot->record);
  auto view = snapshot->store->view();
  if (!view.ok()) return view.status();
  if (absl::Status s = add_rows(**view, snapshot->record, &out); !s.ok()) return s;
  return out;
}

absl::StatusOr<json> state_json(Disk& disk, const std::string& path,
                                const StoreOpener& open_state) {
  auto reader = open_checkpoint_reader(disk, path, open_state);
  if (!reader.ok()) return reader.status();
  json out = json_of(reader->state.record);
  out["was_shown"] = reader->state.was_shown;
  if (absl::Status s = add_rows(*reader->view, reader->state.record, &out); !s.ok()) return s;
  return out;
}

json failed_json(const absl::Status& status) {
  return {{"code", static_cast<int>(status.code())}, {"failed", std::string(message_of(status))}};
}

}  // namespace

void say(std::string line) {
  line += '\n';
  for (std::string_view left = line; !left.empty();) {
    const ssize_t put = ::write(STDOUT_FILENO, left.data(), left.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) ::_exit(90);  // nobody listens
    left.remove_prefix(static_cast<std::size_t>(put));
  }
}

std::string json_text(std::string_view text) {
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string offsets_text(const CommitRecord& record) {
  std::string text = "{";
  for (const auto& [id, partition] : record.partitions) {
    text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", id, partition.next);
  }
  return text + "}";
}

absl::Status ReportingSink::show(const BatchRows& batch) {
  const CommitRecord& record = *batch.record;
  std::string rows;
  for (const UserClicks& row : batch.rows) {
    const std::string user = row.user == kNullUser ? "null" : std::to_string(row.user);
    rows += fmt::format("{}[{},{}]", rows.empty() ? "" : ",", user, row.clicks);
  }
  last_ = record.batch;
  say(fmt::format(R"({{"emitted":{},"epoch":{},"time_ms":{},"digest":"{}","offsets":{},)"
                  R"("rows":[{}],"more":{}}})",
                  record.batch, record.epoch, record.time_ms, to_hex(record.digest),
                  offsets_text(record), rows, batch.more));
  return absl::OkStatus();
}

void report_state(Disk& disk, const std::string& checkpoint, bool deep) {
  const CheckpointLayout layout(checkpoint);
  const StoreOpener open_state = [](Disk& seam, const std::string& path, OpenMode mode) {
    return open_count_store(seam, path, mode, small_options());
  };
  auto state = state_json(disk, checkpoint, open_state);
  json out{{"state", state.ok() ? *state : failed_json(state.status())}};
  json& snapshots = out["snapshots"] = json::object();
  const auto listed = list_snapshots(disk, layout);
  if (!listed.ok()) out["state"] = failed_json(listed.status());
  if (listed.ok()) {
    for (const SnapshotName& name : *listed) {
      json& snapshot = snapshots[std::to_string(name.batch)] = json::object();
      if (!deep) continue;
      auto whole = snapshot_json(disk, layout, name.batch, open_state);
      snapshot = whole.ok() ? *whole : failed_json(whole.status());
    }
  }
  say(out.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace clicktally
