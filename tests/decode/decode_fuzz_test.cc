// libFuzzer's target for decoding: any bytes are answered by the decoder as by the exact reader,
// and leave both ready for the next record. Built by the preset `fuzz`; elsewhere a test that tries
// the kept corpus, fuzz_corpus/.
//
//   cmake --preset fuzz && cmake --build build/fuzz --target fuzz_decode
//   cd tests/decode && FUZZ -dict=fuzz.dict -max_len=600 NEW fuzz_corpus
//
// where FUZZ is build/fuzz/bin/fuzz_decode and NEW a folder for what it finds. Needs clang with its
// runtime (Debian: clang, libclang-rt-14-dev).
#include <cstdio>
#include <cstdlib>

#include "decode/click_decoder.h"
#include "decode/exact_reader.h"

namespace clicktally {
namespace {

constexpr std::string_view kEvent = R"({"user_id": 1001, "page_url": "/home", "action": "click"})";

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "decode_fuzz: %s\n", what);
  std::abort();
}

bool is_printable(const std::string& text) {
  for (const char c : text) {
    if (c < ' ' || c > '~') return false;
  }
  return text.size() <= 100;
}

void try_value(std::string_view value) {
  static ClickDecoder decoder;
  static ExactReader exact;
  const Record record{.value = value};
  const Decoded decoded = decoder.decode(record);
  require(decoded == exact.decode(value), "the decoder and the exact reader differ");
  require(decoded == decoder.decode(record), "the second answer differs from the first");
  const std::string detail = decoder.explain(record);
  require(detail.empty() == (decoded.kind != RecordKind::kRejection),
          "a detail too many or too few");
  require(is_printable(detail), "a detail cannot be printed");
  require(decoder.decode(Record{.value = kEvent}) == Decoded::click(1001), "the next is wrong");
  require(exact.decode(kEvent) == Decoded::click(1001), "the exact reader's next is wrong");
}

}  // namespace
}  // namespace clicktally

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  clicktally::try_value({reinterpret_cast<const char*>(data), size});
  return 0;
}

#ifndef CLICKTALLY_FUZZING
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace clicktally {
namespace {

TEST(DecodeFuzz, TheKeptCorpusHoldsNoFinding) {
  int files = 0;
  const std::string folder = std::string(CLICKTALLY_TEST_DATA) + "/fuzz_corpus";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(entry.path(), std::ios::binary);
    try_value(std::string(std::istreambuf_iterator<char>(in), {}));
    ++files;
  }
  EXPECT_GT(files, 100);
}

}  // namespace
}  // namespace clicktally
#endif
