// golden/*.txt hold what Spark 3.5.0 printed: console_* its console sink under a running streaming
// query, the others Dataset.showString below the same heading. golden/cases.jsonl says from which
// rows, at which time, in which zone and with which options.
#include "sink/console_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

namespace clicktally {
namespace {

using nlohmann::json;

const std::string kGolden = std::string(CLICKTALLY_TEST_DATA) + "/golden/";

std::string file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class ZoneScope {
 public:
  explicit ZoneScope(const std::string& zone) { ::setenv("TZ", zone.c_str(), 1); }
  ~ZoneScope() { ::unsetenv("TZ"); }
};

// A batch as the pipeline hands it over: at most as many rows as were asked for.
struct Batch {
  CommitRecord record;
  std::vector<UserClicks> rows;
  bool more = false;
  BatchRows view() const { return {&record, rows, more}; }
};

Batch batch_of(const json& from, std::size_t wanted) {
  Batch batch;
  batch.record.batch = from.at("batch");
  batch.record.time_ms = from.at("ms");
  for (const json& row : from.at("rows")) {
    if (batch.rows.size() == wanted) {
      batch.more = true;
      break;
    }
    batch.rows.push_back({row[0].is_null() ? kNullUser : row[0].get<UserKey>(), row[1]});
  }
  return batch;
}

Batch batch_of_users(std::int64_t users) {
  Batch batch;
  batch.record.batch = 7;
  for (std::int64_t user = 0; user < users; ++user) batch.rows.push_back({user, 1});
  return batch;
}

std::vector<json> golden_cases() {
  std::vector<json> cases;
  std::ifstream in(kGolden + "cases.jsonl");
  for (std::string line; std::getline(in, line);) cases.push_back(json::parse(line));
  return cases;
}

TEST(ConsoleSink, PrintsEveryBatchAsSparkPrintedIt) {
  const std::vector<json> cases = golden_cases();
  ASSERT_EQ(cases.size(), 22U);
  for (const json& golden : cases) {
    const std::string name = golden.at("name");
    const std::string zone = golden.at("tz");
    SCOPED_TRACE(name);
    if (zone != "UTC" && ::access(("/usr/share/zoneinfo/" + zone).c_str(), R_OK) != 0) {
      continue;  // the machine has no time zones; the POSIX rules below are tested all the same
    }
    const ZoneScope scope(zone);
    ConsoleOptions options;
    options.num_rows = golden.at("num_rows");
    options.truncate = golden.at("truncate");
    std::string text;
    for (const json& batch : golden.at("batches")) {
      const Batch made = batch_of(batch, static_cast<std::size_t>(options.num_rows));
      text += format_batch(made.view(), options);
    }
    EXPECT_EQ(text, file_text(kGolden + name + ".txt"));
  }
}

TEST(ConsoleSink, SaysMoreWhenItIsGivenRowsBeyondThoseItShows) {
  ConsoleOptions options;
  options.num_rows = 2;
  const std::string text = format_batch(batch_of_users(3).view(), options);
  EXPECT_NE(text.find("|1      |"), std::string::npos);
  EXPECT_EQ(text.find("|2      |"), std::string::npos);
  EXPECT_NE(text.find("only showing top 2 rows\n\n"), std::string::npos);
}

TEST(ConsoleSink, PrintsTheTimeInTheLocalZoneOnBothSidesOfAChangeOfClocks) {
  const ZoneScope scope("CET-1CEST,M3.5.0,M10.5.0/3");
  const auto time_at = [](std::int64_t time_ms) {
    Batch batch = batch_of_users(1);
    batch.record.time_ms = time_ms;
    const std::string text = format_batch(batch.view(), ConsoleOptions{});
    const std::size_t row = text.find("|0      |1           |") + 22;
    return text.substr(row, text.find('|', row) - row);
  };
  EXPECT_EQ(time_at(1774745999999), "2026-03-29 01:59:59.999");
  EXPECT_EQ(time_at(1774746000000), "2026-03-29 03:00:00");
  EXPECT_EQ(time_at(1792889999999), "2026-10-25 02:59:59.999");
  EXPECT_EQ(time_at(1792890000000), "2026-10-25 02:00:00");
}

TEST(ConsoleSink, FormatsAnyTimeAtAll) {
  const ZoneScope scope("UTC");
  for (const std::int64_t time_ms : {INT64_MIN, INT64_MIN + 1, INT64_MAX}) {
    Batch batch = batch_of_users(1);
    batch.record.time_ms = time_ms;
    EXPECT_FALSE(format_batch(batch.view(), ConsoleOptions{}).empty());
  }
}

// --- Through a pipe ------------------------------------------------------------------------------

struct IgnoreSigpipe {
  IgnoreSigpipe() { std::signal(SIGPIPE, SIG_IGN); }
};
const IgnoreSigpipe ignore_sigpipe;

class ConsoleSinkOnPipe : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe2(ends_, O_CLOEXEC), 0); }
  void TearDown() override {
    close_reading();
    ::close(ends_[1]);
  }
  void close_reading() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }
  std::string read_some() const {
    char bytes[8192];
    const ssize_t got = ::read(ends_[0], bytes, sizeof bytes);
    return {bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  int fd() const { return ends_[1]; }

 private:
  int ends_[2] = {-1, -1};
};

TEST_F(ConsoleSinkOnPipe, TheFirstLineNamesTheTopicWithControlCharactersEscaped) {
  const auto sink = make_console_sink({.fd = fd()});
  ASSERT_TRUE(sink->begin("clickstream_events").ok());
  EXPECT_EQ(read_some(),
            "Streaming query started on topic: clickstream_events. Press Ctrl+C to stop.\n");
  ASSERT_TRUE(sink->begin("a\x1b[2Jb").ok());
  EXPECT_EQ(read_some(), "Streaming query started on topic: a\\x1b[2Jb. Press Ctrl+C to stop.\n");
}

TEST_F(ConsoleSinkOnPipe, ShowWritesTheTextOfTheBatchAndNothingElse) {
  const ConsoleOptions options{.truncate = true, .fd = fd()};
  const Batch batch = batch_of_users(3);
  ASSERT_TRUE(make_console_sink(options)->show(batch.view()).ok());
  EXPECT_EQ(read_some(), format_batch(batch.view(), options));
}

TEST_F(ConsoleSinkOnPipe, AnErrorNamesTheBatchAndSaysThatItWillBeShownAgain) {
  close_reading();
  const absl::Status status = make_console_sink({.fd = fd()})->show(batch_of_users(1).view());
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(
      std::string(status.message()),
      "output descriptor " + std::to_string(fd()) +
          ": cannot write batch 7: Broken pipe; the batch is committed and will be shown again "
          "at the next start");
  EXPECT_EQ(make_console_sink({.fd = fd()})->begin("t").code(), absl::StatusCode::kAborted);
}

TEST_F(ConsoleSinkOnPipe, ABlockedBatchIsGivenUpWhenTheProgramStops) {
  const std::atomic<bool> stopping{true};
  const auto sink = make_console_sink(
      {.num_rows = 100'000, .fd = fd(), .stopping = &stopping, .stop_grace_ms = 50});
  EXPECT_EQ(sink->show(batch_of_users(100'000).view()).code(), absl::StatusCode::kAborted);
}

TEST(ConsoleSink, WantsTheRowsItShowsAndTheNullSinkNone) {
  EXPECT_EQ(make_console_sink({.num_rows = 3})->rows_wanted(), 3);
  const auto none = make_null_sink();
  EXPECT_EQ(none->rows_wanted(), 0);
  EXPECT_TRUE(none->begin("t").ok());
  EXPECT_TRUE(none->show(batch_of_users(1).view()).ok());
}

}  // namespace
}  // namespace clicktally
