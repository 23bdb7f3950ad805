// crash_writer: lives and dies for tests/crash/check.py. docs/crash_testing.md says how.
//
//   crash_writer live --image FILE [--name value ...]   one life (life.h)
//   crash_writer read --image FILE [--deep 1]           the state on that disk (report.h)
//   crash_writer read --directory CHECKPOINT            the same of a real directory
//   crash_writer export --image FILE --directory DIR    the disk as a real directory
//   crash_writer import --image FILE --directory DIR    and back; all of it counts as safe
//   crash_writer harm --image FILE --to FILE --file PATH --how HOW [--at N] [--bit N]
//                     [--other PATH]
//                                                       the disk with one damage (harm.h)
//   crash_writer serve                                  one JSON array of arguments a line on
//                                                       standard input; each is run by a child
//
// The server never opens anything: a child is a fresh process that shares no memory with any other
// life, and costs no loading of programs. After a child's lines it says {"exit":code}, or
// {"signal":number}.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/log.h"
#include "crash/harm.h"
#include "crash/life.h"
#include "crash/report.h"

namespace clicktally {
namespace {

// A life that hangs is ended by the system, and told by its signal.
constexpr unsigned kLongestLifeS = 300;

class Arguments {
 public:
  explicit Arguments(const std::vector<std::string>& words) {
    for (std::size_t i = 1; i + 1 < words.size(); i += 2) {
      if (!words[i].starts_with("--")) throw std::invalid_argument(words[i] + ": not an option");
      values_[words[i].substr(2)] = words[i + 1];
    }
    if (words.size() % 2 == 0) throw std::invalid_argument(words.back() + ": lacks its value");
  }
  std::string text(const std::string& name, std::string otherwise) {
    const auto found = values_.find(name);
    if (found == values_.end()) return otherwise;
    std::string value = found->second;
    values_.erase(found);
    return value;
  }
  template <typename Number>
  void number(const std::string& name, Number* value) {
    const std::string given = text(name, "");
    if (!given.empty()) *value = static_cast<Number>(std::stoull(given));
  }
  template <typename Value>
  void choice(const std::string& name, const std::map<std::string, Value>& values, Value* value) {
    const std::string given = text(name, "");
    if (given.empty()) return;
    if (!values.contains(given)) throw std::invalid_argument(name + ": " + given + "?");
    *value = values.at(given);
  }
  void end() const {
    if (!values_.empty()) throw std::invalid_argument(values_.begin()->first + ": no such option");
  }

 private:
  std::map<std::string, std::string> values_;
};

// 12,0,7
std::vector<std::int64_t> numbers(const std::string& text) {
  std::vector<std::int64_t> out;
  std::istringstream in(text);
  for (std::string one; std::getline(in, one, ',');) out.push_back(std::stoll(one));
  return out;
}

LifeOptions life_options(Arguments arguments) {
  LifeOptions out;
  out.image = arguments.text("image", "");
  if (out.image.empty()) throw std::invalid_argument("--image is needed");
  out.checkpoint = arguments.text("checkpoint", out.checkpoint);
  arguments.number("log-seed", &out.log_seed);
  arguments.number("dice", &out.dice);
  arguments.number("triggers", &out.triggers);
  arguments.number("partitions", &out.partitions);
  arguments.number("empty-percent", &out.empty_percent);
  arguments.number("large-percent", &out.large_percent);
  out.earliest = numbers(arguments.text("earliest", ""));
  arguments.number("start-at-latest", &out.start_at_latest);
  arguments.number("cut-at", &out.cut_at);
  arguments.number("kill-at", &out.kill_at);
  arguments.choice<Damage>("damage",
                           {{"dropped", Damage::kDropped},
                            {"torn", Damage::kTorn},
                            {"garbled", Damage::kGarbled},
                            {"names", Damage::kNames},
                            {"every", Damage::kEvery}},
                           &out.damage);
  arguments.number("power-lost-at-stop", &out.power_lost_at_stop);
  arguments.choice<Refusal>(
      "fail-kind",
      {{"enospc", Refusal::kNoSpace}, {"eio", Refusal::kIo}, {"fsync", Refusal::kSync}},
      &out.refusal);
  arguments.number("fail-at", &out.refuse_at);
  arguments.number("fail-once", &out.refuse_once);
  arguments.number("workers", &out.workers);
  arguments.number("update-mode", &out.update_mode);
  arguments.number("rows", &out.rows);
  arguments.number("snapshot-triggers", &out.snapshot_triggers);
  arguments.number("retain", &out.retain);
  arguments.number("ingest-above-users", &out.ingest_above_users);
  arguments.number("dead-letter-bytes", &out.dead_letter_bytes);
  arguments.number("memtable-bytes", &out.memtable_bytes);
  arguments.number("may-fall-back", &out.may_fall_back);
  arguments.number("measure-triggers", &out.measure_triggers);
  arguments.end();
  return out;
}

// The product's log goes where the driver finds it when something is wrong.
void send_log_to(const std::string& path) {
  if (path.empty()) return;
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0 || ::dup2(fd, STDERR_FILENO) < 0) {
    throw std::invalid_argument(path + ": cannot be the log");
  }
}

NodePtr image_at(const std::string& path) {
  NodePtr root = load_image(path);
  if (root == nullptr) throw std::invalid_argument(path + ": no image");
  return root;
}

int read(Arguments arguments) {
  const std::string image = arguments.text("image", "");
  const std::string directory = arguments.text("directory", "");
  const std::string checkpoint = arguments.text("checkpoint", LifeOptions().checkpoint);
  bool deep = false;
  arguments.number("deep", &deep);
  arguments.end();
  if (image.empty()) {
    const auto disk = make_posix_disk();
    report_state(*disk, directory, deep);
  } else {
    ForgetfulDisk disk(image_at(image), {});
    report_state(disk, checkpoint, deep);
  }
  return 0;
}

int harm(Arguments arguments) {
  ForgetfulDisk disk(image_at(arguments.text("image", "")), {});
  const std::string target = arguments.text("to", "");
  HarmOptions options;
  options.file = arguments.text("file", "");
  options.other = arguments.text("other", "");
  arguments.choice<Harm>("how",
                         {{"flip", Harm::kFlip},
                          {"zero", Harm::kZero},
                          {"cut", Harm::kCut},
                          {"remove", Harm::kRemove},
                          {"swap", Harm::kSwap}},
                         &options.harm);
  arguments.number("at", &options.at);
  arguments.number("bit", &options.bit);
  arguments.end();
  if (const absl::Status s = harm(disk, options); !s.ok()) {
    throw std::invalid_argument(std::string(s.message()));
  }
  save_image(disk.root(), target);
  return 0;
}

int run(const std::vector<std::string>& words) {
  try {
    if (words.empty())
      throw std::invalid_argument("one of live, read, harm, export, import, serve is needed");
    Arguments arguments(words);
    send_log_to(arguments.text("log", ""));
    set_log_level(LogLevel::kWarning);
    ::alarm(kLongestLifeS);
    if (words[0] == "live") live(life_options(std::move(arguments)));
    if (words[0] == "read") return read(std::move(arguments));
    if (words[0] == "harm") return harm(std::move(arguments));
    const std::string image = arguments.text("image", "");
    const std::string directory = arguments.text("directory", "");
    arguments.end();
    if (words[0] == "export") {
      save_directory(*image_at(image), directory);
      return 0;
    }
    if (words[0] == "import") {
      save_image(load_directory(directory), image);
      return 0;
    }
    throw std::invalid_argument(words[0] + ": no such command");
  } catch (const std::exception& error) {
    std::fputs(fmt::format("crash_writer: {}\n", error.what()).c_str(), stderr);
    return 2;
  }
}

int serve() {
  for (std::string line; std::getline(std::cin, line);) {
    const auto words = nlohmann::json::parse(line).get<std::vector<std::string>>();
    const pid_t child = ::fork();
    if (child < 0) return 2;
    if (child == 0) ::_exit(run(words));
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return 2;
    say(WIFEXITED(status) ? fmt::format(R"({{"exit":{}}})", WEXITSTATUS(status))
                          : fmt::format(R"({{"signal":{}}})", WTERMSIG(status)));
  }
  return 0;
}

}  // namespace
}  // namespace clicktally

// RocksDB sleeps a second after a background error, by libc's usleep; lives are many and short.
extern "C" int usleep(useconds_t) {
  return ::sched_yield();
}

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 1 && words[0] == "serve") return clicktally::serve();
  return clicktally::run(words);
}
