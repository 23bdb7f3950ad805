#include "source/bootstrap_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/text.h"

namespace clicktally {
namespace {

constexpr std::array<absl::string_view, 4> kProtocols{"plaintext", "ssl", "sasl_plaintext",
                                                      "sasl_ssl"};

absl::Status refuse(absl::string_view entry, std::string_view why) {
  return absl::InvalidArgumentError(
      fmt::format("--bootstrap-servers: '{}' {}; see clicktally --help",
                  escape_controls({entry.data(), entry.size()}), why));
}

bool is_port(absl::string_view text) {
  std::int32_t port = 0;
  const bool digits = std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  return digits && absl::SimpleAtoi(text, &port) && port >= 1 && port <= 65535;
}

absl::Status check_host_and_port(absl::string_view entry, absl::string_view address) {
  constexpr std::string_view kNoHost = "names no host; write host:port";
  constexpr std::string_view kNoPort = "has no port from 1 to 65535; write host:port";
  if (address.find_first_of(" \t\r\n") != address.npos) return refuse(entry, kNoHost);
  if (absl::StartsWith(address, "[")) {  // [::1]:9092
    const std::size_t end = address.find(']');
    if (end == address.npos || end < 2) return refuse(entry, kNoHost);
    const absl::string_view rest = address.substr(end + 1);
    const bool whole = rest.empty() || (rest[0] == ':' && is_port(rest.substr(1)));
    return whole ? absl::OkStatus() : refuse(entry, kNoPort);
  }
  const std::size_t colon = address.find(':');
  if (colon != address.npos && address.find(':', colon + 1) != address.npos) {
    return absl::OkStatus();  // an IPv6 address alone
  }
  if (address.empty() || colon == 0) return refuse(entry, kNoHost);
  if (colon == address.npos) return absl::OkStatus();
  return is_port(address.substr(colon + 1)) ? absl::OkStatus() : refuse(entry, kNoPort);
}

absl::Status check_entry(absl::string_view entry, absl::string_view security_protocol) {
  const std::size_t scheme = entry.find("://");
  if (scheme == entry.npos) return check_host_and_port(entry, entry);
  const std::string protocol = absl::AsciiStrToLower(entry.substr(0, scheme));
  if (std::find(kProtocols.begin(), kProtocols.end(), protocol) == kProtocols.end()) {
    return refuse(entry, "names a protocol that is none of Kafka's; write host:port");
  }
  if (protocol != security_protocol) {
    return refuse(entry, fmt::format("is not the protocol that is set; add -X security.protocol={}",
                                     protocol));
  }
  return check_host_and_port(entry, entry.substr(scheme + 3));
}

}  // namespace

absl::Status check_bootstrap_servers(std::string_view servers, std::string_view security_protocol) {
  const std::string protocol =
      absl::AsciiStrToLower({security_protocol.data(), security_protocol.size()});
  bool any = false;
  for (absl::string_view entry :
       absl::StrSplit(absl::string_view(servers.data(), servers.size()), ',')) {
    entry = absl::StripAsciiWhitespace(entry);
    if (entry.empty()) continue;  // librdkafka passes over them too
    any = true;
    if (absl::Status status = check_entry(entry, protocol); !status.ok()) return status;
  }
  return any ? absl::OkStatus()
             : refuse({servers.data(), servers.size()}, "names no broker; write host:port");
}

}  // namespace clicktally
