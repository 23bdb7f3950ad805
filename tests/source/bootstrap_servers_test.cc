#include "source/bootstrap_servers.h"

#include <gtest/gtest.h>

namespace clicktally {
namespace {

TEST(BootstrapServersTest, WhatLibrdkafkaCanReachIsTaken) {
  for (const char* servers :
       {"localhost", "localhost:9092", "a:1,b:65535", "a:1, b:2 ,", ",a", "127.0.0.1:9092",
        "[::1]:9092", "[::1]", "::1", "plaintext://a:1", "PLAINTEXT://a:1,b"}) {
    EXPECT_TRUE(check_bootstrap_servers(servers, "plaintext").ok()) << servers;
  }
  EXPECT_TRUE(check_bootstrap_servers("SASL_SSL://a:1", "sasl_ssl").ok());
}

TEST(BootstrapServersTest, WhatCanNeverWorkIsRefusedAndNamed) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "names no broker"},
      {",", "names no broker"},
      {" , ", "names no broker"},
      {":9092", "names no host"},
      {"[]:9092", "names no host"},
      {"a b:9092", "names no host"},
      {"plaintext://", "names no host"},
      {"localhost:99999", "'localhost:99999' has no port"},
      {"localhost:0", "has no port"},
      {"localhost:", "has no port"},
      {"localhost:x", "has no port"},
      {"localhost:-1", "has no port"},
      {"[::1]9092", "has no port"},
      {"a:1,b:99999999999999999999", "'b:99999999999999999999' has no port"},
      {"http://localhost:9092", "none of Kafka's"},
      {"a:1,kafka://b:2", "none of Kafka's"},
      {"ssl://localhost:9092", "add -X security.protocol=ssl"}};
  for (const auto& [servers, words] : wrong) {
    const absl::Status status = check_bootstrap_servers(servers, "plaintext");
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << servers;
    EXPECT_NE(status.message().find(words), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace clicktally
