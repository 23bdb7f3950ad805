#include "options/options.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "options/memory_plan.h"

namespace clicktally {
namespace {

absl::StatusOr<ParsedCommandLine> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "clicktally");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

TEST(OptionsTest, WithOnlyACheckpointEverythingElseIsTheReplacedJobs) {
  auto parsed = parse({"--checkpoint", "dir"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const Options& options = parsed->options;
  EXPECT_EQ(options.checkpoint, "dir");
  EXPECT_EQ(options.source.topic, "clickstream_events");
  EXPECT_EQ(options.source.bootstrap_servers, "localhost:9092");
  EXPECT_EQ(options.source.isolation, IsolationLevel::kReadCommitted);
  EXPECT_EQ(options.start_up.starting_offsets, StartingOffsets::kLatest);
  EXPECT_EQ(options.pipeline.trigger_ms, 5000);
  EXPECT_EQ(options.pipeline.output_mode, OutputMode::kComplete);
  EXPECT_EQ(options.console.num_rows, 20);
  EXPECT_FALSE(options.console.truncate);
  EXPECT_FALSE(options.pipeline.available_now);
  EXPECT_EQ(options.pipeline.max_offsets_per_trigger, std::nullopt);
}

TEST(OptionsTest, EveryFlagArrives) {
  auto parsed = parse({"--checkpoint=dir",
                       "--topic",
                       "t",
                       "--bootstrap-servers",
                       "a:1,b:2",
                       "--starting-offsets",
                       "earliest",
                       "--trigger",
                       "100 ms",
                       "--available-now",
                       "--max-offsets-per-trigger",
                       "7",
                       "--isolation-level",
                       "read_uncommitted",
                       "--existing",
                       "--output-mode",
                       "update",
                       "--sink",
                       "none",
                       "--num-rows",
                       "3",
                       "--truncate",
                       "-X",
                       "client.id=me",
                       "-Xsocket.keepalive.enable=false",
                       "--log-level",
                       "debug"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const Options& options = parsed->options;
  EXPECT_EQ(options.source.topic, "t");
  EXPECT_EQ(options.start_up.topic, "t");
  EXPECT_EQ(options.source.bootstrap_servers, "a:1,b:2");
  EXPECT_EQ(options.source.isolation, IsolationLevel::kReadUncommitted);
  EXPECT_EQ(options.start_up.starting_offsets, StartingOffsets::kEarliest);
  EXPECT_EQ(options.pipeline.trigger_ms, 100);
  EXPECT_TRUE(options.pipeline.available_now);
  EXPECT_EQ(options.pipeline.max_offsets_per_trigger, 7);
  EXPECT_TRUE(options.existing);
  EXPECT_EQ(options.pipeline.output_mode, OutputMode::kUpdate);
  EXPECT_EQ(options.sink, SinkKind::kNone);
  EXPECT_EQ(options.console.num_rows, 3);
  EXPECT_TRUE(options.console.truncate);
  EXPECT_EQ(options.source.properties.size(), 2U);
  EXPECT_EQ(options.log_level, LogLevel::kDebug);
}

TEST(OptionsTest, AWrongCommandLineIsOneLineThatNamesTheFlag) {
  const std::vector<std::pair<std::vector<const char*>, const char*>> wrong{
      {{}, "--checkpoint"},
      {{"--checkpoint", ""}, "--checkpoint"},
      {{"--checkpoint", "d", "extra"}, "'extra' is not a flag"},
      {{"--checkpoint", "d", "-X"}, "option '-X' is missing"},
      {{"--checkpoint", "d", "-X", "receive.message.max.bytes=1048575"}, "at least 1048576"},
      {{"--checkpoint", "d", "--trigger", "soon"}, "--trigger"},
      {{"--checkpoint", "d", "--trigger", "-5 seconds"}, "--trigger"},
      {{"--checkpoint", "d", "--starting-offsets", "middle"}, "--starting-offsets"},
      {{"--checkpoint", "d", "--max-offsets-per-trigger", "0"}, "--max-offsets-per-trigger"},
      {{"--checkpoint", "d", "--max-offsets-per-trigger", "1e3"}, "--max-offsets-per-trigger"},
      {{"--checkpoint", "d", "--num-rows", "-1"}, "--num-rows"},
      {{"--checkpoint", "d", "--output-mode", "append"}, "--output-mode"},
      {{"--checkpoint", "d", "--sink", "kafka"}, "--sink"},
      {{"--checkpoint", "d", "--truncate", "maybe"}, "--truncate"},
      {{"--checkpoint", "d", "--isolation-level", "serializable"}, "--isolation-level"},
      {{"--checkpoint", "d", "--topic", ""}, "--topic"},
      {{"--checkpoint", "d", "--no-such-flag"}, "no-such-flag"},
      {{"--checkpoint", "d", "--checkpoint", "e"}, "checkpoint"},
      {{"--checkpoint", "d", "-X", "novalue"}, "-X"},
      {{"--checkpoint", "d", "-X", "auto.offset.reset=latest"}, "auto.offset.reset"},
      {{"--checkpoint", "d", "-X", "plugin.library.paths=x.so"}, "plugin.library.paths"},
      {{"--checkpoint", "d", "--topic", "a\x1b[31m", "--sink", "\x1b[31m"}, "--sink"},
  };
  for (const auto& [arguments, names] : wrong) {
    auto parsed = parse(arguments);
    ASSERT_TRUE(absl::IsInvalidArgument(parsed.status())) << names;
    const std::string message(message_of(parsed.status()));
    EXPECT_NE(message.find(names), std::string::npos) << message;
    EXPECT_EQ(message.find_first_of("\n\x1b"), std::string::npos) << message;
  }
}

TEST(OptionsTest, HelpAndVersionArePrintedWhateverElseIsMissing) {
  EXPECT_NE(parse({"--help"})->print->find("--checkpoint DIR"), std::string::npos);
  EXPECT_NE(parse({"--version"})->print->find("clicktally "), std::string::npos);
}

TEST(OptionsTest, TheMemoryLimitIsSharedOutAndTheSharesStayBelowIt) {
  for (const auto& [text, mebibytes] :
       {std::pair("128M", 128), std::pair("512M", 512), std::pair("4G", 4096)}) {
    auto parsed = parse({"--checkpoint", "dir", "--memory-limit", text});
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    const Options& options = parsed->options;
    const std::int64_t deltas = 3 * static_cast<std::int64_t>(options.pipeline.most_delta_bytes);
    const std::int64_t shares =
        options.source.queue_bytes + deltas + static_cast<std::int64_t>(options.block_cache_bytes);
    EXPECT_LE(shares, (std::int64_t{mebibytes} << 20) - kMemoryReserve);
    EXPECT_GT(options.pipeline.most_delta_bytes, 4U << 20);
  }
  auto by_default = parse({"--checkpoint", "dir"});
  EXPECT_EQ(by_default->options.source.queue_bytes, plan_memory(kDefaultMemoryLimit).queues);
  for (const char* wrong : {"127M", "0", "many", "1.5G"}) {
    auto parsed = parse({"--checkpoint", "dir", "--memory-limit", wrong});
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << wrong;
  }
}

TEST(OptionsTest, DeadLettersAreKeptOnlyWhenAskedFor) {
  EXPECT_FALSE(parse({"--checkpoint", "dir"})->options.pipeline.keep_dead_letters);
  auto parsed = parse({"--checkpoint", "dir", "--dead-letters", "--dead-letters-max-bytes", "1K"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->options.pipeline.keep_dead_letters);
  EXPECT_EQ(parsed->options.most_dead_letter_bytes, 1024);
}

TEST(OptionsTest, SnapshotsAndFallback) {
  auto by_default = parse({"--checkpoint", "dir"});
  EXPECT_EQ(by_default->options.pipeline.snapshot_ms, 300'000);
  EXPECT_EQ(by_default->options.snapshots.retain, 10);
  EXPECT_FALSE(by_default->options.no_fallback);
  auto parsed = parse({"--checkpoint", "dir", "--snapshot-interval", "90 seconds",
                       "--snapshots-to-retain", "3", "--no-fallback"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->options.pipeline.snapshot_ms, 90'000);
  EXPECT_EQ(parsed->options.snapshots.retain, 3);
  EXPECT_TRUE(parsed->options.no_fallback);
  EXPECT_TRUE(absl::IsInvalidArgument(
      parse({"--checkpoint", "dir", "--snapshots-to-retain", "0"}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      parse({"--checkpoint", "dir", "--snapshot-interval", "soon"}).status()));
}

}  // namespace
}  // namespace clicktally
