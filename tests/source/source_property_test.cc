// Which of librdkafka's properties a user may set. Refused are those that would break a guarantee
// or load code; secrets never show in an error.
#include <gtest/gtest.h>

#include "source/kafka_config.h"
#include "source/kafka_source.h"

namespace clicktally {
namespace {

bool says(const absl::Status& status, const std::string& part) {
  return std::string(status.message()).find(part) != std::string::npos;
}

absl::Status make_with(const std::string& name, const std::string& value) {
  SourceOptions options;
  options.bootstrap_servers = "127.0.0.1:1";
  options.properties = {{name, value}};
  return make_kafka_source(options).status();
}

TEST(SourceProperty, RefusesWhatWouldMoveOffsetsOutOfTheCheckpoint) {
  for (const char* name : {"enable.auto.commit", "auto.commit.enable", "auto.commit.interval.ms",
                           "enable.auto.offset.store", "offset.store.method", "offset.store.path",
                           "offset.store.sync.interval.ms", "auto.offset.reset"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(check_source_property(name, "1"))) << name;
  }
}

TEST(SourceProperty, RefusesWhatWouldHideRecordsOrTroubles) {
  for (const char* name :
       {"enable.partition.eof", "check.crcs", "api.version.request", "api.version.fallback.ms",
        "broker.version.fallback", "enabled_events", "log.queue", "topic.blacklist",
        "allow.auto.create.topics", "group.instance.id", "partition.assignment.strategy",
        "test.mock.num.brokers", "consume.callback.max.messages", "internal.termination.signal"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(check_source_property(name, "1"))) << name;
  }
}

TEST(SourceProperty, RefusesWhatWouldLoadCodeOrRunACommand) {
  for (const char* name :
       {"plugin.library.paths", "ssl.engine.location", "ssl.engine.id", "ssl.providers",
        "sasl.kerberos.kinit.cmd", "interceptors", "opaque", "default_topic_conf", "error_cb",
        "rebalance_cb", "log_cb", "ssl.certificate.verify_cb", "oauthbearer_token_refresh_cb"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(check_source_property(name, "1"))) << name;
  }
}

TEST(SourceProperty, RefusesKerberosNamesThatAShellWouldObey) {
  EXPECT_TRUE(check_source_property("sasl.kerberos.principal", "click/host-1.x@REALM.ORG").ok());
  EXPECT_TRUE(check_source_property("sasl.kerberos.keytab", "/etc/click tally.keytab").ok());
  for (const char* value : {"x; reboot", "x`id`", "$(id)", "a\"b", "a|b", "a\nb"}) {
    EXPECT_FALSE(check_source_property("sasl.kerberos.principal", value).ok()) << value;
    EXPECT_FALSE(check_source_property("sasl.kerberos.keytab", value).ok()) << value;
  }
}

TEST(SourceProperty, NamesTheFlagThatIsMeant) {
  EXPECT_TRUE(says(check_source_property("bootstrap.servers", "x"), "--bootstrap-servers"));
  EXPECT_TRUE(says(check_source_property("metadata.broker.list", "x"), "--bootstrap-servers"));
  EXPECT_TRUE(
      says(check_source_property("isolation.level", "read_uncommitted"), "--isolation-level"));
}

TEST(SourceProperty, AllowsTuningLoginAndDiagnosis) {
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"fetch.wait.max.ms", "10"},
                                                        {"queued.max.messages.kbytes", "1000"},
                                                        {"group.id", "mine"},
                                                        {"client.id", "me"},
                                                        {"client.rack", "a"},
                                                        {"debug", "security"},
                                                        {"statistics.interval.ms", "1000"},
                                                        {"security.protocol", "plaintext"},
                                                        {"sasl.mechanisms", "PLAIN"},
                                                        {"sasl.username", "u"},
                                                        {"sasl.password", "p"}}) {
    EXPECT_TRUE(check_source_property(name, value).ok()) << name;
    EXPECT_TRUE(make_with(name, value).ok()) << name << ": " << make_with(name, value);
  }
}

TEST(SourceProperty, AnUnknownNameOrAWrongValueIsRefusedInLibrdkafkasWords) {
  const absl::Status unknown = make_with("no.such.thing", "1");
  EXPECT_TRUE(absl::IsInvalidArgument(unknown));
  EXPECT_TRUE(says(unknown, "no.such.thing"));
  EXPECT_TRUE(says(unknown, "No such configuration property"));
  EXPECT_TRUE(absl::IsInvalidArgument(make_with("fetch.wait.max.ms", "soon")));
  EXPECT_TRUE(absl::IsInvalidArgument(make_with("fetch.max.bytes", "10")));
}

TEST(SourceProperty, ARefusedNameIsAlsoRefusedWhenTheSourceIsMade) {
  EXPECT_TRUE(absl::IsInvalidArgument(make_with("check.crcs", "false")));
}

TEST(SourceProperty, NeverShowsASecret) {
  for (const char* name : {"ssl.key.pem", "ssl.key.password", "sasl.password",
                           "sasl.oauthbearer.client.secret", "ssl.keystore.password"}) {
    SourceOptions options;
    options.bootstrap_servers = "127.0.0.1:1";
    options.properties = {{"security.protocol", "ssl"},
                          {name, "hunter2-and-more"},
                          {"ssl.ca.location", "/nowhere/hunter2-and-more"}};
    const absl::Status status = make_kafka_source(options).status();
    ASSERT_FALSE(status.ok()) << name;
    EXPECT_FALSE(says(status, "hunter2")) << name;
  }
}

TEST(SourceProperty, HidesSecretsInWhateverTextHasThem) {
  SourceOptions options;
  options.properties = {{"sasl.password", "hunter2"}, {"client.id", "plain"}};
  EXPECT_EQ(without_secrets("hunter2, hunter2 and plain", options), "(hidden), (hidden) and plain");
}

TEST(SourceProperty, AnImpossibleTopicNameIsRefused) {
  SourceOptions options;
  options.bootstrap_servers = "127.0.0.1:1";
  options.topic = std::string(600, 'x');
  EXPECT_TRUE(absl::IsInvalidArgument(make_kafka_source(options).status()));
}

}  // namespace
}  // namespace clicktally
