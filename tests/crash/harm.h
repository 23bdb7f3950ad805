// One damage of one file, for the lane that damages checkpoints (damage.py).
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "base/disk.h"

namespace clicktally {

enum class Harm {
  kFlip,    // one bit of the byte at `at`
  kZero,    // 16 bytes from `at` on, as far as there are any
  kCut,     // nothing is left from `at` on
  kRemove,  // the name goes; links to the file elsewhere stay
  kSwap,    // its bytes and those of `other` change places
};

struct HarmOptions {
  std::string file;
  std::string other;
  Harm harm = Harm::kFlip;
  std::uint64_t at = 0;
  int bit = 0;
};

// What is harmed is harmed under each of its links, and synced. kInvalidArgument for a byte that is
// not there, or what the disk says.
absl::Status harm(Disk& disk, const HarmOptions& options);

}  // namespace clicktally
