#include "base/last_resort.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <future>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "base/exit_code.h"

namespace clicktally {
namespace {

constexpr char kNoMemory[] =
    "the system gives no more memory; the last commit stands: raise the limit (ulimit -v, the "
    "container's), then start again";
constexpr char kNoThreads[] =
    "the system gives no more threads; the last commit stands: raise the limit (ulimit -u, ulimit "
    "-v, the container's), then start again";
constexpr char kNoneOfEither[] =
    "the system gives no more threads or memory; the last commit stands: raise the limit (ulimit "
    "-u, ulimit -v, the container's), then start again";

const char* program_name = "";

bool is_shortage(const std::system_error& error) {
  return error.code() == std::errc::resource_unavailable_try_again ||
         error.code() == std::errc::not_enough_memory;
}

// Without memory of its own, and without waiting for a reader of a full pipe.
void say(const char* words) {
  pollfd error_output{STDERR_FILENO, POLLOUT, 0};
  if (::poll(&error_output, 1, 0) != 1 || (error_output.revents & POLLOUT) == 0) return;
  char line[512];
  line[0] = '\0';
  for (const char* part : {program_name, ": ", words, "\n"}) {
    std::strncat(line, part, sizeof line - std::strlen(line) - 1);
  }
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line, std::strlen(line));
}

[[noreturn]] void leave(const char* words) {
  static std::atomic_flag leaving = ATOMIC_FLAG_INIT;
  while (leaving.test_and_set()) ::pause();  // another thread is just doing it
  say(words);
  std::_Exit(kExitCodeOfShortage);
}

[[noreturn]] void last_resort() {
  // A thread of RocksDB's that still runs while the failed start of the next one is unwound.
  if (!std::current_exception() && std::uncaught_exceptions() > 0) leave(kNoneOfEither);
  try {
    if (std::current_exception()) throw;
  } catch (const std::bad_alloc&) {
    leave(kNoMemory);
  } catch (const std::system_error& error) {
    if (is_shortage(error)) leave(kNoThreads);
    say(error.what());
  } catch (const std::exception& error) {
    say(error.what());
  } catch (...) {
  }
  std::abort();  // a bug
}

}  // namespace

absl::Status status_of_exception() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(kNoMemory);
  } catch (const std::system_error& error) {
    if (is_shortage(error)) return absl::ResourceExhaustedError(kNoThreads);
    return absl::InternalError(error.what());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("an exception of an unknown type");
  }
}

absl::Status check_threads(int count) {
  std::promise<void> all_started;
  const std::shared_future<void> leave_now = all_started.get_future().share();
  std::vector<std::thread> threads;
  const absl::Status given = status_of_body([&] {
    while (threads.size() < static_cast<std::size_t>(count)) {
      threads.emplace_back([leave_now] { leave_now.wait(); });
    }
  });
  all_started.set_value();
  for (std::thread& thread : threads) thread.join();
  return given;
}

void install_last_resort(const char* program) {
  program_name = program;
  std::set_new_handler([] { leave(kNoMemory); });
  std::set_terminate(last_resort);
}

}  // namespace clicktally

// Instead of libc's. librdkafka asserts what its allocations give; without memory that is not a
// bug.
extern "C" __attribute__((__noreturn__)) void __assert_fail(const char* assertion, const char* file,
                                                            unsigned line,
                                                            const char* function) noexcept {
  for (const char* allocates :
       {"rd_calloc", "rd_malloc", "rd_realloc", "rd_strdup", "rd_strndup"}) {
    if (std::strcmp(function, allocates) == 0) clicktally::leave(clicktally::kNoMemory);
  }
  std::fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, assertion);
  std::abort();
}
