#include "tools/producer/producer_options.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace clicktally {
namespace {

absl::StatusOr<ProducerOptions> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "clicktally-produce");
  return parse_producer_options(static_cast<int>(words.size()), words.data());
}

TEST(ProducerOptions, DefaultsAreAThousandEventsToTheLocalBroker) {
  const ProducerOptions options = parse({}).value();
  EXPECT_EQ(options.kafka.bootstrap_servers, "localhost:9092");
  EXPECT_EQ(options.kafka.topic, "clickstream_events");
  EXPECT_EQ(options.count, 1000);
  EXPECT_EQ(options.rate, 0);
  EXPECT_EQ(options.events.click_share, 0.5);
  EXPECT_EQ(options.kafka.create_partitions, 0);
}

TEST(ProducerOptions, AreAllHeard) {
  const ProducerOptions options = parse({"--bootstrap-servers",
                                         "h:1",
                                         "--topic",
                                         "t",
                                         "--events",
                                         "5",
                                         "--rate",
                                         "2.5",
                                         "--users",
                                         "7",
                                         "--first-user=-3",
                                         "--skew",
                                         "1.1",
                                         "--null-users",
                                         "0.25",
                                         "--clicks",
                                         "0.75",
                                         "--broken",
                                         "1",
                                         "--seed",
                                         "18446744073709551615",
                                         "--truth",
                                         "f",
                                         "--append-truth",
                                         "--create-topic",
                                         "6:2",
                                         "--print",
                                         "-X",
                                         "a=b=c",
                                         "-X",
                                         "d="})
                                      .value();
  EXPECT_EQ(options.kafka.bootstrap_servers, "h:1");
  EXPECT_EQ(options.kafka.topic, "t");
  EXPECT_EQ(options.count, 5);
  EXPECT_EQ(options.rate, 2.5);
  EXPECT_EQ(options.events.users, 7);
  EXPECT_EQ(options.events.first_user, -3);
  EXPECT_EQ(options.events.skew, 1.1);
  EXPECT_EQ(options.events.null_user_share, 0.25);
  EXPECT_EQ(options.events.click_share, 0.75);
  EXPECT_EQ(options.events.broken_share, 1);
  EXPECT_EQ(options.events.seed, UINT64_MAX);
  EXPECT_EQ(options.truth_file, "f");
  EXPECT_TRUE(options.append_truth && options.print);
  EXPECT_EQ(options.kafka.create_partitions, 6);
  EXPECT_EQ(options.kafka.create_replication, 2);
  const std::vector<std::pair<std::string, std::string>> properties{{"a", "b=c"}, {"d", ""}};
  EXPECT_EQ(options.kafka.properties, properties);
}

TEST(ProducerOptions, SecondsAloneMeanNoLimitOfEvents) {
  EXPECT_EQ(parse({"--seconds", "2"})->count, 0);
  EXPECT_EQ(parse({"--seconds", "2", "--events", "50"})->count, 50);
}

TEST(ProducerOptions, ThatMakeNoSenseAreRefusedNamingTheOption) {
  const std::vector<std::pair<std::vector<const char*>, std::string>> cases{
      {{"--clicks", "1.01"}, "--clicks"},
      {{"--broken", "-0.1"}, "--broken"},
      {{"--null-users", "nan"}, "--null-users"},
      {{"--rate", "-1"}, "--rate"},
      {{"--rate", "inf"}, "--rate"},
      {{"--skew", "-1"}, "--skew"},
      {{"--seconds", "-1"}, "--seconds"},
      {{"--events", "-1"}, "--events"},
      {{"--events", "many"}, "--events"},
      {{"--users", "0"}, "--users"},
      {{"--users", "2147483649"}, "--users"},
      {{"--users", "1", "--first-user", "2147483648"}, "--first-user"},
      {{"--append-truth"}, "--truth"},
      {{"--create-topic", "3"}, "--create-topic"},
      {{"--create-topic", "0:1"}, "--create-topic"},
      {{"--create-topic", "3:3x"}, "--create-topic"},
      {{"-X", "linger.ms"}, "-X"},
      {{"-X", "=1"}, "-X"},
      {{"--evnts", "3"}, "--evnts"},
      {{"--event", "3"}, "--event"},
      {{"3"}, "positional"},
  };
  for (const auto& [words, named] : cases) {
    const absl::Status status = parse(words).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << words[0] << ": " << status;
    EXPECT_NE(status.message().find(named), std::string::npos) << status;
    EXPECT_EQ(status.message().find('\n'), std::string::npos) << status;
  }
}

TEST(ProducerOptions, EveryUserIdThatFitsIsTaken) {
  EXPECT_TRUE(parse({"--users", "2147483648"}).ok());
  EXPECT_TRUE(parse({"--users", "4294967296", "--first-user=-2147483648"}).ok());
}

TEST(ProducerOptions, HelpNamesEveryOption) {
  EXPECT_TRUE(parse({"--help"})->help);
  const std::string help = producer_help();
  for (const char* name :
       {"--bootstrap-servers", "--topic", "--create-topic", "--events", "--seconds", "--rate",
        "--users", "--first-user", "--skew", "--null-users", "--clicks", "--broken", "--seed",
        "--truth", "--append-truth", "--print", "-X"}) {
    EXPECT_NE(help.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace clicktally
