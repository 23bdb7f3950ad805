// The list of brokers to ask first, judged before any waiting: librdkafka takes a list that can
// never work, says so in its log at best, and then waits for ever.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace clicktally {

// kInvalidArgument, with the entry and the reason, unless `servers` is a list of HOST, HOST:PORT or
// PROTOCOL://HOST:PORT with commas between, in which PROTOCOL is `security_protocol`.
absl::Status check_bootstrap_servers(std::string_view servers, std::string_view security_protocol);

}  // namespace clicktally
