// Small text helpers that more than one room needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace clicktally {

// Whatever would not be seen as what it is becomes \xNN, byte by byte, so that the result can be
// shown on any terminal and stays one line: bytes that are not part of valid UTF-8, control
// characters (C0, DEL, C1), byte order marks, characters of no width, line separators, and what
// turns the direction of writing.
std::string escape_controls(std::string_view text);

// The words of a library for one line: what ends in line breaks or white space loses it, the rest
// is escaped.
std::string one_line(std::string_view text);

// The words of an error. Borrowed from `status`.
inline std::string_view message_of(const absl::Status& status) {
  return {status.message().data(), status.message().size()};
}

// "5 seconds", "100 ms", "1 minute 30 seconds": Spark's interval words, from 0 up to 24 days.
absl::StatusOr<std::int64_t> parse_interval_ms(std::string_view text);

// "67108864", "64M", "64 MiB", "1GB": a whole number of bytes, or of K, M, G or T, each 1,024 times
// the one before, with or without "B" or "iB"; up to 2^50.
absl::StatusOr<std::int64_t> parse_size_bytes(std::string_view text);

// 1234567 -> "1,234,567".
std::string group_thousands(std::int64_t number);

}  // namespace clicktally
