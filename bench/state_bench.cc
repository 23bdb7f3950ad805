// One durable commit by the number of users it changes, through the log and as an ingested file;
// the two cross where CountStoreOptions::ingest_above_users should stand. Runs in the directory for
// temporary files (TMPDIR), which must be on a real disk for the small ones to mean anything. What
// was committed must be there afterwards, and the files' digests must agree with it.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <vector>

#include "base/disk.h"
#include "state/count_store.h"

namespace clicktally {
namespace {

constexpr std::int64_t kUsers = 1'000'000;

class ScratchDirectory {
 public:
  ScratchDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "clicktally-bench-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// `count` users spread evenly over all of them; every batch shifted by one.
std::vector<UserClicks> changed_users(std::int64_t count, BatchId batch) {
  std::vector<UserClicks> rows;
  const std::int64_t step = kUsers / count;
  for (std::int64_t i = 0; i < count; ++i) rows.push_back({i * step + batch % step, 1});
  return rows;
}

bool holds(const CountStore& store, std::int64_t clicks, const Digest& digest) {
  auto view = store.view();
  auto files = store.sum_of_file_digests();
  if (!view.ok() || !files.ok() || *files != digest) return false;
  std::int64_t found = 0;
  const absl::Status scanned = (*view)->scan(kFirstUser, kLastUser, [&](const UserCount& count) {
    found += count.clicks;
    return true;
  });
  return scanned.ok() && found == clicks;
}

void bm_commit(benchmark::State& state, bool ingest) {
  const std::int64_t count = state.range(0);
  const ScratchDirectory scratch;
  const auto disk = make_posix_disk();
  CountStoreOptions options;
  options.ingest_above_users = ingest ? 0 : std::numeric_limits<std::size_t>::max();
  auto store = open_count_store(*disk, scratch.path() + "/live", OpenMode::kCreate, options);
  if (!store.ok()) return state.SkipWithError("the state does not open");
  Digest digest = 0;
  BatchId batch = 0;
  absl::Status committed;
  for (auto _ : state) {
    state.PauseTiming();
    const std::vector<UserClicks> rows = changed_users(count, batch);
    digest += digest_of(rows);
    state.ResumeTiming();
    committed.Update((*store)->commit({.batch = batch++, .record = "record", .changed = rows}));
  }
  if (!committed.ok()) state.SkipWithError("a commit failed");
  if (!holds(**store, batch * count, digest)) state.SkipWithError("the state lost clicks");
  state.SetItemsProcessed(batch * count);
}
BENCHMARK_CAPTURE(bm_commit, logged, false)
    ->Arg(5)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(bm_commit, ingested, true)
    ->Arg(5)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clicktally
