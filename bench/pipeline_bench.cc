// The whole way of the data without a broker: records replayed from memory, decoded, counted and
// committed to a state on disk, by the number of workers. The counts must be right afterwards.
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/disk.h"
#include "pipeline/pipeline.h"
#include "sink/console_sink.h"
#include "state/count_store.h"
#include "tools/producer/event_generator.h"

namespace clicktally {
namespace {

constexpr std::size_t kEvents = 9'000'000;
constexpr std::int64_t kUsers = 100'000;
constexpr PartitionId kPartitions = 6;

// The same records in every partition, handed out without a copy.
class ReplaySource final : public Source {
 public:
  ReplaySource() {
    EventGenerator mix(EventOptions{.users = kUsers});
    const std::size_t each = kEvents / kPartitions;
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < each; ++i) {
      const Event event = mix.next();
      clicks_ += event.click ? kPartitions : 0;
      bytes_ += event.value;
      ends.push_back(bytes_.size());
    }
    std::size_t begin = 0;
    for (std::size_t i = 0; i < each; ++i) {
      records_.push_back({.offset = static_cast<Offset>(i),
                          .timestamp_ms = 1,
                          .value = std::string_view(bytes_).substr(begin, ends[i] - begin),
                          .tombstone = false});
      begin = ends[i];
    }
  }
  std::int64_t clicks() const { return clicks_; }

  absl::StatusOr<TopicDescription> describe(std::chrono::milliseconds) override {
    TopicDescription topic{.cluster_id = "replay", .partitions = {}};
    for (PartitionId id = 0; id < kPartitions; ++id) {
      topic.partitions[id] = {0, static_cast<Offset>(records_.size())};
    }
    return topic;
  }
  absl::Status start(const std::map<PartitionId, Offset>& next) override {
    const std::lock_guard lock(mutex_);
    next_ = next;
    claimed_.clear();
    return absl::OkStatus();
  }
  absl::StatusOr<bool> poll(std::size_t most, RecordChunk* chunk) override {
    const std::lock_guard lock(mutex_);
    for (auto& [id, next] : next_) {
      if (claimed_[id] || next == static_cast<Offset>(records_.size())) continue;
      const auto begin = records_.begin() + next;
      const auto left = static_cast<std::size_t>(records_.end() - begin);
      const auto count = static_cast<Offset>(std::min(most, left));
      chunk->partition = id;
      chunk->next_before = next;
      chunk->records.assign(begin, begin + count);
      next += count;
      chunk->next_after = next;
      claimed_[id] = true;
      return true;
    }
    return false;
  }
  void release(RecordChunk* chunk) override {
    const std::lock_guard lock(mutex_);
    claimed_[chunk->partition] = false;
  }
  void wait(std::chrono::milliseconds) override {}
  void set_limits(const std::map<PartitionId, Offset>&) override {}
  std::map<PartitionId, PartitionStatus> status() override {
    const std::lock_guard lock(mutex_);
    std::map<PartitionId, PartitionStatus> out;
    for (const auto& [id, next] : next_) out[id] = {next, static_cast<Offset>(records_.size())};
    return out;
  }
  absl::StatusOr<std::map<PartitionId, Offset>> take_new_partitions() override {
    return std::map<PartitionId, Offset>{};
  }
  void report_committed(const std::map<PartitionId, Offset>&) override {}
  void stop() override {}

 private:
  std::string bytes_;
  std::vector<Record> records_;
  std::int64_t clicks_ = 0;
  std::mutex mutex_;
  std::map<PartitionId, Offset> next_;
  std::map<PartitionId, bool> claimed_;
};

StoreOpener real_state() {
  return [](Disk& disk, const std::string& path, OpenMode mode) {
    return open_count_store(disk, path, mode, CountStoreOptions{});
  };
}

void bm_replay(benchmark::State& state) {
  static ReplaySource source;
  const auto disk = make_posix_disk();
  const SystemClock clock;
  const std::atomic<bool> stop{false};
  const auto sink = make_null_sink();
  std::string scratch = (std::filesystem::temp_directory_path() / "clicktally-XXXXXX").string();
  if (::mkdtemp(scratch.data()) == nullptr) std::abort();
  for (auto _ : state) {
    state.PauseTiming();
    std::filesystem::remove_all(scratch + "/c");
    auto checkpoint = Checkpoint::open(*disk, scratch + "/c", {.open_state = real_state()});
    const StartUpOptions options{.topic = "replay",
                                 .checkpoint_path = scratch,
                                 .starting_offsets = StartingOffsets::kEarliest,
                                 .began_ms = clock.monotonic_ms()};
    auto start = start_up(source, **checkpoint, clock, stop, options);
    PipelineOptions pipeline_options;
    pipeline_options.available_now = true;
    pipeline_options.workers = static_cast<int>(state.range(0));
    Pipeline pipeline(source, **checkpoint, *sink, clock, stop, pipeline_options);
    state.ResumeTiming();
    const absl::Status ran = pipeline.run(*start);
    state.PauseTiming();
    if (!ran.ok() || (*checkpoint)->last().totals().clicks != source.clicks()) {
      state.SkipWithError("the counts are wrong");
    }
    checkpoint->reset();
    state.ResumeTiming();
  }
  std::filesystem::remove_all(scratch);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEvents));
}
BENCHMARK(bm_replay)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace clicktally
