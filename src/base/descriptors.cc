#include "base/descriptors.h"

#include <fmt/format.h>
#include <sys/resource.h>

namespace clicktally {

absl::Status raise_descriptor_limit(std::uint64_t least) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return absl::OkStatus();  // nothing to go by
  rlimit raised{limit.rlim_max, limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) raised = limit;
  if (raised.rlim_cur >= least) return absl::OkStatus();
  return absl::ResourceExhaustedError(fmt::format(
      "at most {} file descriptors are allowed, and {} are needed for brokers and table "
      "files; raise the limit (ulimit -n, LimitNOFILE=), then start again",
      raised.rlim_cur, least));
}

}  // namespace clicktally
