// Folding clicks into deltas, and merging what two workers hold into one sorted batch; by the
// number of users, because the cost is that of the caches. The clicks must all be there, in order.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "aggregate/accumulator.h"

namespace clicktally {
namespace {

constexpr std::size_t kEvents = 1'000'000;
constexpr std::size_t kChunk = 2048;

// Every second event a click of a random user, in chunks as a worker gets them.
std::vector<std::vector<Decoded>> make_chunks(std::int64_t users) {
  std::mt19937_64 random(1);
  std::uniform_int_distribution<UserKey> user(0, users - 1);
  std::vector<std::vector<Decoded>> chunks;
  for (std::size_t i = 0; i < kEvents; ++i) {
    if (i % kChunk == 0) chunks.emplace_back();
    chunks.back().push_back(i % 2 == 0 ? Decoded::click(user(random)) : Decoded::other_event());
  }
  return chunks;
}

void fold_all(const std::vector<std::vector<Decoded>>& chunks, std::span<Accumulator> workers) {
  const Explain no_words = [](const Record&) { return std::string(); };
  RecordChunk chunk;
  chunk.partition = 0;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    chunk.next_after += static_cast<Offset>(chunks[i].size());
    workers[i % workers.size()].fold(chunk, chunks[i], no_words);
  }
}

bool is_right(const BatchDeltas& batch) {
  std::int64_t clicks = 0;
  for (const UserClicks& row : batch.changed) clicks += row.clicks;
  const bool in_order = std::adjacent_find(batch.changed.begin(), batch.changed.end(),
                                           [](const UserClicks& left, const UserClicks& right) {
                                             return left.user >= right.user;
                                           }) == batch.changed.end();
  return clicks == kEvents / 2 && in_order;
}

std::array<Deltas, 2> take_both(std::array<Accumulator, 2>& workers) {
  return {workers[0].take(), workers[1].take()};
}

void bm_fold(benchmark::State& state) {
  const auto chunks = make_chunks(state.range(0));
  std::array<Accumulator, 2> workers;
  for (auto _ : state) {
    fold_all(chunks, workers);
    state.PauseTiming();
    auto parts = take_both(workers);
    if (!is_right(merge_deltas(parts))) state.SkipWithError("clicks are missing or out of order");
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEvents));
}
BENCHMARK(bm_fold)->Arg(1'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

void bm_merge(benchmark::State& state) {
  const auto chunks = make_chunks(state.range(0));
  std::array<Accumulator, 2> workers;
  std::int64_t users = 0;
  for (auto _ : state) {
    state.PauseTiming();
    fold_all(chunks, workers);
    auto parts = take_both(workers);
    state.ResumeTiming();
    const BatchDeltas batch = merge_deltas(parts);
    state.PauseTiming();
    if (!is_right(batch)) state.SkipWithError("clicks are missing or out of order");
    users += static_cast<std::int64_t>(batch.changed.size());
    state.ResumeTiming();
  }
  state.SetItemsProcessed(users);
}
BENCHMARK(bm_merge)->Arg(1'000)->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clicktally
