// The bytes of a dead letter in the state:
//
//   key    'd' BE32(partition) BE64(offset)
//   value  LE64 timestamp_ms | LE64 batch | u8 cause | LE16 size of the detail | detail | raw value
//
// The cause is its place in kRejectionCauseNames. No value at all: the letter was there, and is
// none any more.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/dead_letter.h"

namespace clicktally {

inline constexpr char kDeadLetterPrefix = 'd';

std::string dead_letter_key(PartitionId partition, Offset offset);
std::string dead_letter_value(const DeadLetter& letter);

struct DeadLetterPlace {
  PartitionId partition = 0;
  Offset offset = 0;
};

// Nothing if `key` is not the key of a dead letter.
std::optional<DeadLetterPlace> parse_dead_letter_key(std::string_view key);

// Nothing if the bytes are not those of a dead letter.
std::optional<DeadLetter> parse_dead_letter(std::string_view key, std::string_view value);

}  // namespace clicktally
