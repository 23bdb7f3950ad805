// clicktally-mock-kafka: a mock Kafka cluster in a process of its own, for the demo and the tests.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <boost/program_options.hpp>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "tools/mock_kafka/mock_cluster.h"
#include "tools/mock_kafka/mock_commands.h"

namespace clicktally {
namespace {

namespace po = boost::program_options;

constexpr int kMaxBrokers = 100;

struct MockOptions {
  int brokers = 3;
  std::vector<std::string> topics;
  bool daemon = false;
  bool help = false;
};

po::options_description describe(MockOptions* options) {
  po::options_description all("Options", 100, 60);
  all.add_options()("brokers", po::value(&options->brokers)->value_name("N")->default_value(3),
                    "how many, numbered from 1")(
      "topic",
      po::value(&options->topics)
          ->composing()
          ->value_name("NAME:PARTITIONS:REPLICATION")
          ->default_value({"clickstream_events:3:3"}, "clickstream_events:3:3"),
      "create it at the start; repeatable")("daemon", po::bool_switch(&options->daemon),
                                            "stay when stdin ends, until SIGTERM or SIGINT")(
      "help", po::bool_switch(&options->help), "this text");
  return all;
}

void print_help() {
  MockOptions options;
  std::cout << "clicktally-mock-kafka: a Kafka cluster in memory, on free ports of 127.0.0.1.\n"
               "Prints its bootstrap servers as the first line on stdout.\n\n"
            << describe(&options)
            << "\nCommands on stdin, each answered by a line, `ok` or `error: ...`:\n"
            << kMockCommands
            << "\nLimits: a partition keeps 5 MiB or 100,000 batches and drops the oldest; a fetch "
               "gets one\nbatch; aborted transactions stay visible; clients cannot create topics "
               "with options or delete\nthem; no TLS; leaders stay where they are until told.\n";
}

absl::StatusOr<MockOptions> parse_options(int argc, char** argv) {
  MockOptions options;
  const po::options_description description = describe(&options);
  try {
    namespace style = po::command_line_style;
    po::variables_map values;
    po::store(po::command_line_parser(argc, argv)
                  .options(description)
                  .positional(po::positional_options_description())
                  .style(style::unix_style & ~style::allow_guessing)
                  .run(),
              values);
    po::notify(values);
  } catch (const po::error& error) {
    return absl::InvalidArgumentError(fmt::format("{}; see --help", error.what()));
  }
  if (options.brokers < 1 || options.brokers > kMaxBrokers) {
    return absl::InvalidArgumentError(
        fmt::format("--brokers is {}: give 1 to {}", options.brokers, kMaxBrokers));
  }
  return options;
}

// From here on SIGTERM and SIGINT are read, never delivered; before any thread is started, because
// threads inherit the mask.
int signals_as_file() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);
}

// Answers the whole lines in `input` and leaves the rest. False: one of them was `quit`.
bool answer_lines(std::string* input, MockCluster* cluster) {
  std::size_t end = 0;
  while ((end = input->find('\n')) != std::string::npos) {
    const std::string line = input->substr(0, end);
    input->erase(0, end + 1);
    const bool quit = line == "quit";
    const absl::Status status = quit ? absl::OkStatus() : run_mock_command(line, cluster);
    say(status.ok() ? "ok" : "error: " + escape_controls(std::string(status.message())));
    if (quit) return false;
  }
  return true;
}

// Until a signal, `quit`, or the end of stdin.
void serve(int signals, bool daemon, MockCluster* cluster) {
  std::array<pollfd, 2> files{{{signals, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}}};
  std::string input;
  std::array<char, 4096> bytes;
  for (;;) {
    if (poll(files.data(), files.size(), -1) < 0 && errno != EINTR) return;
    if (files[0].revents != 0) return;
    if (files[1].revents == 0) continue;
    const ssize_t count = read(STDIN_FILENO, bytes.data(), bytes.size());
    if (count > 0) {
      input.append(bytes.data(), static_cast<std::size_t>(count));
      if (!answer_lines(&input, cluster)) return;
    } else if (daemon) {
      files[1].fd = -1;  // poll passes over it
    } else {
      return;
    }
  }
}

absl::Status run_cluster(const MockOptions& options) {
  const int signals = signals_as_file();
  absl::StatusOr<std::unique_ptr<MockCluster>> cluster = MockCluster::start(options.brokers);
  if (!cluster.ok()) return cluster.status();
  for (const std::string& text : options.topics) {
    const absl::StatusOr<TopicSpec> topic = parse_topic(text);
    if (!topic.ok()) return topic.status();
    if (absl::Status status = (*cluster)->create_topic(*topic); !status.ok()) {
      return absl::InvalidArgumentError(
          fmt::format("--topic {}: {}", text, std::string(status.message())));
    }
  }
  say((*cluster)->bootstrap_servers());
  serve(signals, options.daemon, cluster->get());
  return absl::OkStatus();
}

int run(int argc, char** argv) {
  const absl::StatusOr<MockOptions> options = parse_options(argc, argv);
  if (options.ok() && options->help) {
    print_help();
    return 0;
  }
  const absl::Status status = options.ok() ? run_cluster(*options) : options.status();
  if (status.ok()) return 0;
  fmt::print(stderr, "clicktally-mock-kafka: {}\n", escape_controls(std::string(status.message())));
  return 2;
}

}  // namespace
}  // namespace clicktally

int main(int argc, char** argv) {
  try {
    return clicktally::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "clicktally-mock-kafka: {}\n", error.what());
    return 1;
  }
}
