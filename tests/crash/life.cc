#include "crash/life.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/exit_code.h"
#include "base/text.h"
#include "checkpoint/checkpoint.h"
#include "crash/fake_log.h"
#include "crash/report.h"
#include "pipeline/pipeline.h"
#include "pipeline/start_up.h"

namespace clicktally {
namespace {

constexpr std::int64_t kTriggerMs = 5000;
// The ruler asks for the time this often in a trigger; snapshots come by time.
constexpr std::int64_t kLooksPerTrigger = 4;
constexpr std::int64_t kSomeWallMs = 1'700'000'000'000;

std::int64_t entries_of(const char* directory) {
  return std::distance(std::filesystem::directory_iterator(directory), {});
}

// Linux, proc(5): the second number of statm is resident pages.
std::int64_t resident_kb() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE) / 1024;
}

class Life {
 public:
  explicit Life(const LifeOptions& options)
      : options_(options),
        log_({.seed = options.log_seed,
              .dice = options.dice,
              .partitions = static_cast<int>(options.partitions),
              .triggers = options.triggers,
              .empty_percent = static_cast<int>(options.empty_percent),
              .large_percent = static_cast<int>(options.large_percent),
              .earliest = options.earliest,
              .committed =
                  [this](const auto&) {
                    say(fmt::format(R"({{"shown":{}}})", sink_.last()));
                    measure();
                  }},
             stop_),
        sink_(options.rows),
        disk_(load(options.image), trouble()) {}

  [[noreturn]] void live() {
    const absl::Status status = run();
    if (!status.ok()) {
      end(kExitFailed, fmt::format(R"("failed":{},"message":{})", exit_code_of(status),
                                   json_text(message_of(status))));
    }
    end(kExitStopped, R"("stopped":true)");
  }

 private:
  static NodePtr load(const std::string& path) {
    NodePtr image = load_image(path);
    return image == nullptr ? new_directory() : image;
  }

  Trouble trouble() {
    const bool cut = options_.cut_at > 0;
    return {.cut_at = cut ? options_.cut_at : options_.kill_at,
            .on_cut =
                [this, cut](const std::string& what) {
                  end(cut ? kExitCut : kExitKilled,
                      fmt::format(R"("{}":{})", cut ? "cut" : "killed", json_text(what)));
                },
            .refusal = options_.refusal,
            .refuse_at = options_.refuse_at,
            .refuse_once = options_.refuse_once};
  }

  absl::Status run();
  void measure();

  // The last words, and the disk as it is then. Other threads may be anywhere: they do not get on.
  [[noreturn]] void end(int code, const std::string& how) {
    const bool power_lost =
        code == kExitCut || (code == kExitStopped && options_.power_lost_at_stop);
    const OperationCounts counts = disk_.counts();
    say(fmt::format(R"({{{},"phase":"{}","triggers":{},"changes":{},"operations":{},)"
                    R"("takes_space":{},"syncs":{},"refused":{}}})",
                    how, phase_.load(), log_.triggers(), counts.changes, counts.all, counts.space,
                    counts.syncs, counts.refused));
    if (!power_lost) {
      save_image(disk_.root(), options_.image);
    } else if (options_.damage != Damage::kEvery) {
      save_survivors(options_.damage, options_.image);
    } else {
      save_survivors(Damage::kDropped, options_.image + ".dropped");
      save_survivors(Damage::kTorn, options_.image + ".torn");
      save_survivors(Damage::kGarbled, options_.image + ".garbled");
      save_survivors(Damage::kNames, options_.image + ".names");
    }
    ::_exit(code);
  }

  void save_survivors(Damage damage, const std::string& image) const {
    save_image(survivors(*disk_.root(), damage, options_.dice), image);
  }

  const LifeOptions options_;
  std::atomic<bool> stop_{false};
  std::atomic<const char*> phase_{"recovery"};
  std::int64_t measured_ = 0;  // how often
  FakeLog log_;
  ReportingSink sink_;
  ForgetfulDisk disk_;
};

void Life::measure() {
  const std::int64_t every = options_.measure_triggers;
  if (every == 0 || log_.triggers() < (measured_ + 1) * every) return;
  ++measured_;
  const DiskUse use = disk_.use();
  say(fmt::format(R"({{"measured":{},"files":{},"bytes":{},"resident_kb":{},"descriptors":{},)"
                  R"("threads":{}}})",
                  log_.triggers(), use.files, use.bytes, resident_kb(), entries_of("/proc/self/fd"),
                  entries_of("/proc/self/task")));
}

absl::Status Life::run() {
  const auto began = std::chrono::steady_clock::now();
  const CountStoreOptions store_options{
      .ingest_above_users = static_cast<std::size_t>(options_.ingest_above_users),
      .most_level0_files = 6,
      .most_logged_rows = 40,
      .block_cache_bytes = 1 << 20,
      .memtable_bytes = static_cast<std::size_t>(options_.memtable_bytes)};
  const CheckpointOptions checkpoint_options{
      .may_fall_back = options_.may_fall_back,
      .most_dead_letter_bytes = options_.dead_letter_bytes,
      .snapshots = {.retain = static_cast<int>(options_.retain),
                    .scan_bytes_per_s = std::uint64_t{1} << 40,
                    .scrub_bytes_per_s = std::uint64_t{1} << 40},
      .open_state = [&](Disk& seam, const std::string& path, OpenMode mode) {
        return open_count_store(seam, path, mode, store_options);
      }};
  auto checkpoint = Checkpoint::open(disk_, options_.checkpoint, checkpoint_options);
  if (!checkpoint.ok()) return checkpoint.status();
  const char* from = (*checkpoint)->is_new()     ? "new"
                     : (*checkpoint)->fallback() ? "fallback"
                                                 : "live";
  const FakeClock clock(log_, kTriggerMs, kSomeWallMs);
  auto start =
      start_up(log_, **checkpoint, clock, stop_,
               {.topic = "clicks",
                .checkpoint_path = options_.checkpoint,
                .starting_offsets = options_.start_at_latest ? StartingOffsets::kLatest
                                                             : StartingOffsets::kEarliest});
  if (!start.ok()) return start.status();
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
  const CommitRecord& last = (*checkpoint)->last();
  say(fmt::format(
      R"({{"started":"{}","batch":{},"epoch":{},"was_shown":{},"offsets":{},"ms":{:.3f},)"
      R"("changes":{}}})",
      from, last.batch, last.epoch, (*checkpoint)->last_was_shown(), offsets_text(last),
      took.count(), disk_.counts().changes));
  phase_ = "running";
  Pipeline pipeline(
      log_, **checkpoint, sink_, clock, stop_,
      {.trigger_ms = kTriggerMs,
       .max_offsets_per_trigger = {},
       .output_mode = options_.update_mode ? OutputMode::kUpdate : OutputMode::kComplete,
       .workers = static_cast<int>(options_.workers),
       .keep_dead_letters = true,
       .snapshot_ms = options_.snapshot_triggers * kLooksPerTrigger * kTriggerMs});
  return pipeline.run(*start);
}

}  // namespace

void live(const LifeOptions& options) {
  try {
    Life life(options);
    life.live();
  } catch (const std::exception& error) {
    say(fmt::format(R"({{"broken":{}}})", json_text(error.what())));
  }
  ::_exit(91);
}

}  // namespace clicktally
