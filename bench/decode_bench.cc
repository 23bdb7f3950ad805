// Decoding more than 100 MB of distinct events like the sample ones: the product's decoder beside a
// bare simdjson DOM that knows no Spark, on clean events and on events of which every tenth is
// broken, and the exact reader that the decoder falls back on. All must find the clicks that are
// there.
//
//   bm_click_decoder         at least 0.8 of the rate of bm_bare_simdjson_dom
//   bm_click_decoder_broken  at least 0.7 of the rate of bm_click_decoder
#include <benchmark/benchmark.h>
#include <simdjson.h>

#include <string>
#include <vector>

#include "decode/click_decoder.h"
#include "decode/exact_reader.h"
#include "tools/producer/event_generator.h"

namespace clicktally {
namespace {

constexpr std::size_t kEvents = 1'000'000;

struct Corpus {
  std::vector<std::string> values;  // kept with room for simdjson's padding
  std::int64_t clicks = 0;
  std::int64_t bytes = 0;
  std::int64_t user_sum = 0;  // of the clicks
};

// Breaks an event in one of the ways topics have them; true if Spark still reads it.
bool break_event(std::size_t way, std::string* value) {
  switch (way % 6) {
    case 0:
      value->resize(value->size() / 2);
      return false;
    case 1:
      value->insert(value->find("page_url") + 12, "\\x");
      return false;
    case 2:
      value->replace(value->find(','), 1, " ");
      return false;
    case 3:
      for (char& c : *value) c = c == '"' ? '\'' : c;
      return true;
    case 4:
      value->insert(value->find("page_url") + 12, "\xff");
      return true;
    default:
      value->append("\n{}");
      return true;
  }
}

Corpus make_corpus(std::size_t broken_every) {
  Corpus corpus;
  EventGenerator generator(EventOptions{.users = 1'000'000});
  for (std::size_t i = 0; i < kEvents; ++i) {
    const Event event = generator.next();
    std::string value(event.value);
    const bool broken = broken_every != 0 && i % broken_every == 0;
    const bool readable = !broken || break_event(i / broken_every, &value);
    value.reserve(value.size() + simdjson::SIMDJSON_PADDING);
    corpus.bytes += static_cast<std::int64_t>(value.size());
    corpus.values.push_back(std::move(value));
    if (!event.click || !readable) continue;
    ++corpus.clicks;
    corpus.user_sum += event.user;
  }
  return corpus;
}

const Corpus& clean() {
  static const Corpus made = make_corpus(0);
  return made;
}

const Corpus& broken() {
  static const Corpus made = make_corpus(10);
  return made;
}

// Decodes every value with decode(value), which gives a Decoded.
template <class Decode>
void run(benchmark::State& state, const Corpus& corpus, Decode decode) {
  std::int64_t clicks = 0;
  std::int64_t user_sum = 0;
  for (auto _ : state) {
    clicks = user_sum = 0;
    for (const std::string& value : corpus.values) {
      const Decoded decoded = decode(value);
      if (decoded.kind != RecordKind::kClick) continue;
      ++clicks;
      user_sum += decoded.user;
    }
  }
  if (clicks != corpus.clicks || user_sum != corpus.user_sum) {
    state.SkipWithError("the clicks found are not those that were made");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kEvents));
  state.SetBytesProcessed(state.iterations() * corpus.bytes);
}

void bm_bare_simdjson_dom(benchmark::State& state) {
  simdjson::dom::parser parser;
  run(state, clean(), [&parser](const std::string& value) {
    simdjson::dom::element event;
    std::string_view action;
    std::int64_t user = 0;
    if (parser.parse(value.data(), value.size(), false).get(event) || event["action"].get(action) ||
        action != "click" || event["user_id"].get(user)) {
      return Decoded::other_event();
    }
    return Decoded::click(user);
  });
}
BENCHMARK(bm_bare_simdjson_dom)->Unit(benchmark::kMillisecond);

void bm_click_decoder(benchmark::State& state) {
  ClickDecoder decoder;
  run(state, clean(),
      [&decoder](const std::string& value) { return decoder.decode(Record{.value = value}); });
}
BENCHMARK(bm_click_decoder)->Unit(benchmark::kMillisecond);

void bm_click_decoder_broken(benchmark::State& state) {
  ClickDecoder decoder;
  run(state, broken(),
      [&decoder](const std::string& value) { return decoder.decode(Record{.value = value}); });
}
BENCHMARK(bm_click_decoder_broken)->Unit(benchmark::kMillisecond);

void bm_exact_reader(benchmark::State& state) {
  ExactReader reader;
  run(state, clean(), [&reader](const std::string& value) { return reader.decode(value); });
}
BENCHMARK(bm_exact_reader)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace clicktally
