// Descriptors 0, 1 and 2 belong to the shell, also when it has closed them.
//
// A program that starts with one of them closed gives its number to the first file it opens, which
// may be a file of the checkpoint; the next log line or table would be written into it. So each one
// that is closed is opened first, on /dev/null and for reading only: writing fails as it should.
//
// To be called before anything is opened, by the only thread.
#pragma once

namespace clicktally {

void occupy_standard_streams();

// SIGPIPE and SIGXFSZ, whose default is to end the process without a word: with them ignored the
// write fails with EPIPE or EFBIG and is reported as any other.
void ignore_signals_of_writes();

}  // namespace clicktally
