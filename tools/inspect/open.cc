#include "tools/inspect/open.h"

#include <fmt/format.h>
#include <unistd.h>

#include <ranges>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/text.h"
#include "checkpoint/checkpoint_reader.h"
#include "checkpoint/commit_record_codec.h"
#include "checkpoint/snapshots.h"
#include "checkpoint/witness.h"
#include "tools/inspect/fresh.h"
#include "tools/inspect/output.h"
#include "tools/inspect/table.h"

namespace clicktally {
namespace {

// One that is pruned while it is opened has made room for a newer one.
constexpr int kAttempts = 10;
constexpr int kNiceness = 10;

struct Place {
  enum class What { kDefault, kLive, kNewest, kSnapshot };
  std::string root;
  What what = What::kDefault;
  BatchId batch = kNoBatch;
};

// A directory whose own name holds an @ is meant before anything else is.
Place place_of(Disk& disk, const std::string& name) {
  const std::size_t at = name.rfind('@');
  if (at == name.npos || at == 0 || exists(disk, name)) return {.root = name};
  Place place{.root = name.substr(0, at)};
  const std::string what = name.substr(at + 1);
  if (what == "live") {
    place.what = Place::What::kLive;
  } else if (what == "newest") {
    place.what = Place::What::kNewest;
  } else if (absl::SimpleAtoi(what, &place.batch) && place.batch >= 0) {
    place.what = Place::What::kSnapshot;
  } else {
    return {.root = name};
  }
  return place;
}

absl::StatusOr<bool> is_running(Disk& disk, const CheckpointLayout& layout) {
  auto lock = disk.lock_dir(layout.root(), Disk::LockMode::kShared, nullptr);
  if (absl::IsAlreadyExists(lock.status())) return true;
  return lock.ok() ? absl::StatusOr<bool>(false) : lock.status();
}

bool says_shown(Disk& disk, const CheckpointLayout& layout, const CommitRecord& record) {
  auto shown = read_witness(disk, layout, WitnessOf::kShown);
  if (!shown.ok()) return false;
  return shown->epoch > record.epoch ||
         (shown->epoch == record.epoch && shown->batch >= record.batch);
}

absl::StatusOr<Source> from_snapshot(Disk& disk, const CheckpointLayout& layout, BatchId batch) {
  auto opened = open_snapshot(disk, layout, batch, open_any_state);
  if (!opened.ok()) return opened.status();
  auto view = opened->store->view();
  if (!view.ok()) return view.status();
  const bool shown = says_shown(disk, layout, opened->record);
  return Source{.layout = layout,
                .record = std::move(opened->record),
                .was_shown = shown,
                .job_is_running = false,
                .snapshot = batch,
                .damage = {},
                .lock = std::move(opened->lock),
                .store = std::move(opened->store),
                .view = *std::move(view)};
}

absl::StatusOr<Source> from_live(Disk& disk, const CheckpointLayout& layout) {
  auto reader = open_checkpoint_reader(disk, layout.root(), open_any_state);
  if (!reader.ok()) return reader.status();
  return Source{.layout = layout,
                .record = std::move(reader->state.record),
                .was_shown = reader->state.was_shown,
                .job_is_running = reader->job_is_running,
                .snapshot = {},
                .damage = {},
                .lock = nullptr,
                .store = std::move(reader->store),
                .view = std::move(reader->view)};
}

// kNotFound if there is none.
absl::StatusOr<Source> from_newest(Disk& disk, const CheckpointLayout& layout) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto newest = newest_snapshot(disk, layout);
    if (!newest.ok()) return newest.status();
    if (*newest == kNoBatch) break;
    auto source = from_snapshot(disk, layout, *newest);
    if (!absl::IsNotFound(source.status())) return source;
  }
  return absl::NotFoundError(layout.root() + ": there is no snapshot yet");
}

// The newest snapshot that is whole.
absl::StatusOr<Source> from_any_snapshot(Disk& disk, const CheckpointLayout& layout) {
  auto names = list_snapshots(disk, layout);
  if (!names.ok()) return names.status();
  for (const SnapshotName& name : std::views::reverse(*names)) {
    auto source = from_snapshot(disk, layout, name.batch);
    if (source.ok()) return source;
    if (!absl::IsDataLoss(source.status()) && !absl::IsNotFound(source.status())) return source;
  }
  return absl::NotFoundError("no snapshot is whole");
}

// What a damaged live state still says of itself. Nothing of it is proved.
absl::StatusOr<Source> from_remains(Disk& disk, const CheckpointLayout& layout) {
  auto store = open_any_state(disk, layout.live(), OpenMode::kReadOnly);
  if (!store.ok()) return store.status();
  auto bytes = (*store)->last_record();
  if (!bytes.ok()) return bytes.status();
  auto record = decode_commit_record(*bytes);
  if (!record.ok()) return record.status();
  auto view = (*store)->view();
  if (!view.ok()) return view.status();
  return Source{.layout = layout,
                .record = *std::move(record),
                .was_shown = false,
                .job_is_running = false,
                .snapshot = {},
                .damage = {},
                .lock = nullptr,
                .store = *std::move(store),
                .view = *std::move(view)};
}

absl::StatusOr<Source> from_damaged(Disk& disk, const CheckpointLayout& layout,
                                    const absl::Status& damage) {
  auto source = from_any_snapshot(disk, layout);
  if (source.ok()) {
    source->damage = absl::DataLossError(fmt::format(
        "{}; what was shown is its newest snapshot, of batch {}, which takes over when the job "
        "starts",
        message_of(damage), *source->snapshot));
    return source;
  }
  if (!absl::IsNotFound(source.status())) return source;
  auto remains = from_remains(disk, layout);
  if (!remains.ok()) return damage;
  remains->damage = absl::DataLossError(
      fmt::format("{}; what was shown is not proved: do not use it", message_of(damage)));
  return remains;
}

absl::StatusOr<Source> from_running(Disk& disk, const CheckpointLayout& layout, bool fresh) {
  auto source = from_newest(disk, layout);
  if (absl::IsNotFound(source.status())) return from_live(disk, layout);
  if (!source.ok()) return source;
  source->job_is_running = true;
  note(fmt::format("a job is running; this is its snapshot of batch {}, {} old{}",
                   source->record.batch,
                   duration_text(absl::ToUnixMillis(absl::Now()) - source->record.time_ms),
                   fresh ? "" : " (--fresh asks it for a new one)"));
  return source;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CountStore>> open_any_state(Disk& disk, const std::string& path,
                                                           OpenMode mode) {
  return open_count_store(disk, path, mode, CountStoreOptions{});
}

std::string Source::name() const {
  return snapshot ? fmt::format("snapshot {}", *snapshot) : "the live state";
}

CheckpointLayout layout_of(Disk& disk, const std::string& name) {
  return CheckpointLayout(place_of(disk, name).root);
}

absl::StatusOr<Source> open_source(Disk& disk, const CommandLine& line) {
  return open_source(disk, line.checkpoint, line.has("fresh"));
}

absl::StatusOr<Source> open_source(Disk& disk, const std::string& name, bool fresh) {
  const Place place = place_of(disk, name);
  const CheckpointLayout layout(place.root);
  auto kind = checkpoint_kind(disk, layout);
  if (!kind.ok()) return kind.status();
  if (*kind != CheckpointKind::kWhole) return from_live(disk, layout);  // which says why not
  const absl::Status job_file = check_job_file(disk, layout);
  if (!job_file.ok() && !absl::IsDataLoss(job_file)) return job_file;
  auto running = is_running(disk, layout);
  if (!running.ok()) return running.status();
  if (*running) {
    errno = 0;
    [[maybe_unused]] const int niceness = ::nice(kNiceness);  // refused only to raise a priority
    const bool any_will_do =
        place.what == Place::What::kDefault || place.what == Place::What::kNewest;
    if (fresh && any_will_do) {
      if (absl::Status s = ask_for_snapshot(disk, layout); !s.ok()) return s;
    }
  }
  absl::StatusOr<Source> source = absl::UnknownError("");
  if (place.what == Place::What::kSnapshot || place.what == Place::What::kNewest) {
    source = place.what == Place::What::kNewest ? from_newest(disk, layout)
                                                : from_snapshot(disk, layout, place.batch);
    if (source.ok()) source->job_is_running = *running;
    if (!absl::IsNotFound(source.status())) return source;
    return absl::FailedPreconditionError(
        fmt::format("{}; see clicktally-inspect snapshots", message_of(source.status())));
  }
  const bool default_place = place.what == Place::What::kDefault;
  if (!job_file.ok()) return default_place ? from_damaged(disk, layout, job_file) : job_file;
  source = *running && default_place ? from_running(disk, layout, fresh) : from_live(disk, layout);
  if (!default_place || *running || !absl::IsDataLoss(source.status())) return source;
  return from_damaged(disk, layout, source.status());
}

}  // namespace clicktally
