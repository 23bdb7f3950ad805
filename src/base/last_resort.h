// What is left when the system gives no memory or no thread: one line and an exit code of ours,
// never an abort.
//
// A failed allocation ends the process where it happens: unwinding through a library that is not
// made for it (RocksDB would keep its locks) could hang. A thread that does not start is met with
// four nets, the finest first:
//   1 the root of each of our threads runs its body in status_of_body(): the job fails in order
//   2 main turns what is thrown on its own thread into a status
//   3 std::terminate says one line and leaves with the exit code of kResourceExhausted. It catches
//     what is thrown on a thread of RocksDB or in a destructor.
//   4 librdkafka asserts what its allocations give; __assert_fail is ours, and leaves like 3
// The checkpoint is whole at any moment, so leaving loses nothing that was shown. Only a library in
// C that calls abort() itself is beyond reach: librdkafka does so where a thread for its group
// coordinator does not start; check_threads() makes that unlikely.
#pragma once

#include "absl/status/status.h"

namespace clicktally {

// Of the exception being handled: kResourceExhausted where memory or threads ran out, kInternal for
// any other.
absl::Status status_of_exception();

// What `body` returns (nothing is OK) or throws.
template <typename Body>
absl::Status status_of_body(Body&& body) {
  try {
    body();
    return absl::OkStatus();
  } catch (...) {
    return status_of_exception();
  }
}

// kResourceExhausted if the system does not give `count` threads at once, to be asked before a
// library is called that aborts or hangs for want of one.
absl::Status check_threads(int count);

// Net 3, and the end at a failed allocation. `program` is a literal, the name that stands before
// the line.
void install_last_resort(const char* program);

}  // namespace clicktally
