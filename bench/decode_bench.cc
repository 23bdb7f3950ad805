// Decoding events like the sample ones: the product's decoder beside a bare simdjson DOM that knows
// no Spark. Both must find the clicks that the generator made.
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <vector>

#include "decode/click_decoder.h"
#include "tools/producer/event_generator.h"

namespace clicktally {
namespace {

// More bytes than the caches hold, as when records come from the network.
constexpr std::size_t kEvents = 100'000;

struct Corpus {
  std::vector<std::string> values;  // kept with room for simdjson's padding
  std::int64_t clicks = 0;
  std::int64_t bytes = 0;
  std::int64_t user_sum = 0;  // of the clicks
};

const Corpus& corpus() {
  static const Corpus made = [] {
    Corpus corpus;
    EventGenerator generator(EventOptions{.users = 1'000'000});
    for (std::size_t i = 0; i < kEvents; ++i) {
      const Event event = generator.next();
      std::string& value = corpus.values.emplace_back(event.value);
      value.reserve(value.size() + simdjson::SIMDJSON_PADDING);
      corpus.bytes += static_cast<std::int64_t>(value.size());
      if (!event.click) continue;
      ++corpus.clicks;
      corpus.user_sum += event.user;
    }
    return corpus;
  }();
  return made;
}

void finish(benchmark::State& state, std::int64_t clicks, std::int64_t user_sum) {
  if (clicks != corpus().clicks || user_sum != corpus().user_sum) {
    state.SkipWithError("the clicks found are not those that were made");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEvents));
  state.SetBytesProcessed(state.iterations() * corpus().bytes);
}

void bm_click_decoder(benchmark::State& state) {
  ClickDecoder decoder;
  std::int64_t clicks = 0;
  std::int64_t user_sum = 0;
  for (auto _ : state) {
    clicks = user_sum = 0;
    for (const std::string& value : corpus().values) {
      const Decoded decoded = decoder.decode(Record{.value = value});
      if (decoded.kind != RecordKind::kClick) continue;
      ++clicks;
      user_sum += decoded.user;
    }
  }
  finish(state, clicks, user_sum);
}
BENCHMARK(bm_click_decoder)->Unit(benchmark::kMillisecond);

void bm_bare_simdjson_dom(benchmark::State& state) {
  simdjson::dom::parser parser;
  std::int64_t clicks = 0;
  std::int64_t user_sum = 0;
  for (auto _ : state) {
    clicks = user_sum = 0;
    for (const std::string& value : corpus().values) {
      simdjson::dom::element event;
      if (parser.parse(value.data(), value.size(), false).get(event)) continue;
      std::string_view action;
      std::int64_t user = 0;
      if (event["action"].get(action) || action != "click" || event["user_id"].get(user)) continue;
      ++clicks;
      user_sum += user;
    }
  }
  finish(state, clicks, user_sum);
}
BENCHMARK(bm_bare_simdjson_dom)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clicktally
