// One damage of one file, for the lane that damages checkpoints (damage.py).
#pragma once

#include <cstdint>
#include <string>

#include "crash/disk_image.h"

namespace clicktally {

enum class Harm {
  kFlip,    // one bit of the byte at `at`
  kZero,    // 16 bytes from `at` on, as far as there are any
  kCut,     // nothing is left from `at` on
  kRemove,  // the name goes; links to the file elsewhere stay
  kSwap,    // its bytes and those of `other` change places
};

struct HarmOptions {
  std::string file;  // on the image
  std::string other;
  Harm harm = Harm::kFlip;
  std::uint64_t at = 0;
  int bit = 0;
};

// What is harmed is harmed under each of its links, and counts as safe. Throws
// std::invalid_argument if there is no such file or no such byte.
void harm(Node& root, const HarmOptions& options);

}  // namespace clicktally
