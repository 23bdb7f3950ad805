#include "sink/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

namespace clicktally {
namespace {

using namespace std::chrono_literals;
using SteadyClock = std::chrono::steady_clock;

struct IgnoreSigpipe {
  IgnoreSigpipe() { std::signal(SIGPIPE, SIG_IGN); }
};
const IgnoreSigpipe ignore_sigpipe;

// Longer than any pipe, in lines that all differ.
const std::string kLongText = [] {
  std::string text;
  for (int line = 0; text.size() < (1U << 20); ++line) text += std::to_string(line) + "\n";
  return text;
}();

class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0); }
  ~Pipe() {
    close_reading();
    ::close(ends_[1]);
  }
  void close_reading() {
    if (ends_[0] >= 0) ::close(ends_[0]);
    ends_[0] = -1;
  }
  int reading() const { return ends_[0]; }
  int writing() const { return ends_[1]; }

  std::string read_bytes(std::size_t size) const {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t got = ::read(ends_[0], bytes.data() + done, size - done);
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

 private:
  int ends_[2] = {-1, -1};
};

absl::Status write_all(int fd, std::string_view text) {
  return Output(fd, nullptr, 0).write(text, "batch 7", "start again");
}

void expect_aborted(const absl::Status& status, int fd, const std::string& why) {
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted) << status;
  EXPECT_EQ(std::string(status.message()), "output descriptor " + std::to_string(fd) +
                                               ": cannot write batch 7: " + why + "; start again");
}

// Writing to `fd` while the program is told to stop must end in time, and not before.
void expect_gives_up_when_told_to_stop(int fd) {
  std::atomic<bool> stopping{false};
  SteadyClock::time_point told;
  std::thread stopper([&] {
    std::this_thread::sleep_for(400ms);
    told = SteadyClock::now();
    stopping = true;
  });
  Output output(fd, &stopping, 300);
  const absl::Status status = output.write(kLongText, "batch 7", "start again");
  const auto gave_up = SteadyClock::now();
  stopper.join();
  expect_aborted(status, fd, "blocked while the program was told to stop");
  EXPECT_GE(gave_up - told, 299ms);
  EXPECT_LT(gave_up - told, 2s);
}

TEST(Output, WritesATextLargerThanThePipeWholeToALateReader) {
  for (const int flags : {0, O_NONBLOCK}) {  // someone else may have made it non-blocking
    const Pipe pipe;
    ASSERT_EQ(::fcntl(pipe.writing(), F_SETFL, flags), 0);
    std::string got;
    std::thread reader([&] {
      std::this_thread::sleep_for(250ms);
      got = pipe.read_bytes(kLongText.size());
    });
    EXPECT_TRUE(write_all(pipe.writing(), kLongText).ok());
    reader.join();
    EXPECT_EQ(got, kLongText);
  }
}

TEST(Output, WritesATextThatIsReadAlthoughTheProgramWasToldToStop) {
  const Pipe pipe;
  const std::atomic<bool> stopping{true};
  ASSERT_TRUE(Output(pipe.writing(), &stopping, 2000).write("text", "batch 7", "").ok());
  EXPECT_EQ(pipe.read_bytes(4), "text");
}

TEST(Output, GivesUpAPipeThatNobodyReadsWhenToldToStop) {
  const Pipe pipe;
  expect_gives_up_when_told_to_stop(pipe.writing());
}

TEST(Output, GivesUpATerminalThatNobodyReadsWhenToldToStop) {
  int keyboard = -1;
  int screen = -1;
  ASSERT_EQ(::openpty(&keyboard, &screen, nullptr, nullptr, nullptr), 0);
  expect_gives_up_when_told_to_stop(screen);
  EXPECT_EQ(::fcntl(screen, F_GETFL) & O_NONBLOCK, 0);
  ::close(screen);
  ::close(keyboard);
}

TEST(Output, WritesATextWholeToATerminalThatIsReadSlowly) {
  int keyboard = -1;
  int screen = -1;
  ASSERT_EQ(::openpty(&keyboard, &screen, nullptr, nullptr, nullptr), 0);
  termios settings{};
  ASSERT_EQ(::tcgetattr(screen, &settings), 0);
  ::cfmakeraw(&settings);
  ASSERT_EQ(::tcsetattr(screen, TCSANOW, &settings), 0);
  const std::string text = kLongText.substr(0, 200'000);
  std::string got;
  std::thread reader([&] {
    char bytes[1000];
    while (got.size() < text.size()) {
      const ssize_t count = ::read(keyboard, bytes, sizeof bytes);
      if (count <= 0) break;
      got.append(bytes, static_cast<std::size_t>(count));
      if (got.size() % 7 == 0) std::this_thread::sleep_for(1ms);
    }
  });
  EXPECT_TRUE(write_all(screen, text).ok());
  reader.join();
  EXPECT_EQ(got, text);
  ::close(screen);
  ::close(keyboard);
}

TEST(Output, GivesUpAReaderTooSlowToFinishInTimeWhenToldToStop) {
  const Pipe pipe;
  std::atomic<bool> done{false};
  std::thread reader([&] {
    while (!done && !pipe.read_bytes(512).empty()) std::this_thread::sleep_for(20ms);
  });
  expect_gives_up_when_told_to_stop(pipe.writing());
  done = true;
  reader.join();
}

TEST(Output, LeavesTheFlagsOfASharedDescriptorAlone) {
  const Pipe pipe;
  Output output(pipe.writing(), nullptr, 0);
  EXPECT_EQ(::fcntl(pipe.writing(), F_GETFL) & O_NONBLOCK, 0);
  ASSERT_TRUE(output.write("text", "batch 7", "").ok());
  EXPECT_EQ(::fcntl(pipe.writing(), F_GETFL) & O_NONBLOCK, 0);
}

TEST(Output, GoesOnAfterSignalsThatInterruptIt) {
  struct sigaction action {};
  action.sa_handler = [](int) {};  // without SA_RESTART
  struct sigaction before {};
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  const Pipe pipe;
  absl::Status status;
  std::thread writer([&] { status = write_all(pipe.writing(), kLongText); });
  for (int i = 0; i < 50; ++i) {
    ::pthread_kill(writer.native_handle(), SIGUSR1);
    std::this_thread::sleep_for(2ms);
  }
  EXPECT_EQ(pipe.read_bytes(kLongText.size()), kLongText);
  writer.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Output, SaysInOneLineThatTheReaderIsGone) {
  Pipe pipe;
  pipe.close_reading();
  expect_aborted(write_all(pipe.writing(), "text"), pipe.writing(), "Broken pipe");
}

TEST(Output, SaysInOneLineThatTheDiskIsFull) {
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(full, 0);
  expect_aborted(write_all(full, "text"), full, "No space left on device");
  ::close(full);
}

TEST(Output, SaysInOneLineThatItsDescriptorIsClosed) {
  const int fd = ::dup(STDERR_FILENO);
  ::close(fd);
  expect_aborted(write_all(fd, "text"), fd, "Bad file descriptor");
}

TEST(Output, CallsDescriptor1StandardOutput) {
  std::fflush(stdout);
  const int saved = ::dup(STDOUT_FILENO);
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::dup2(full, STDOUT_FILENO), STDOUT_FILENO);
  const absl::Status status = write_all(STDOUT_FILENO, "text");
  ASSERT_EQ(::dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
  ::close(full);
  ::close(saved);
  EXPECT_EQ(std::string(status.message()),
            "standard output: cannot write batch 7: No space left on device; start again");
}

TEST(Output, AppendsToAFile) {
  char path[] = "/tmp/output_test_XXXXXX";
  const int fd = ::mkstemp(path);
  ASSERT_GE(fd, 0);
  EXPECT_TRUE(write_all(fd, kLongText).ok());
  EXPECT_TRUE(write_all(fd, "end").ok());
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  EXPECT_EQ(text.str(), kLongText + "end");
  ::close(fd);
  ::unlink(path);
}

}  // namespace
}  // namespace clicktally
