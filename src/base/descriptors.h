// File descriptors: the soft limit is for programs that select(); we take what the hard one allows.
#pragma once

#include <cstdint>

#include "absl/status/status.h"

namespace clicktally {

// Raises this process's soft limit to the hard one. kResourceExhausted if that is less than
// `least`.
absl::Status raise_descriptor_limit(std::uint64_t least);

}  // namespace clicktally
