// Proves that a state's log files go forward, before RocksDB reads them, and that none of the rows
// in between are missing.
//
// RocksDB 7.8 takes a record of its log for what comes after those before it. If log files changed
// places, or one is a copy of another, it ends the process by an assertion, where damage must be
// told (I5). And it takes what is wrong at the end of any log file for a torn write, also where
// another follows, so that a commit was made since: if the record that is passed over has no clicks
// no digest tells, but its dead letters are gone. Each record begins with the sequence number of
// its first row, which tells both.
//
// The format is that of RocksDB's db/log_format.h and db/write_batch.cc. A file is blocks of 32 KiB
// that hold fragments of records, none across the end of a block:
//
//     checksum (4) | bytes of the body (2) | whole, first, middle or last of its record (1) | body
//
// and a record is
//
//     sequence number of the first row (8) | rows (4) | rows
//
// The checksum is CRC-32C (RFC 3720, B.4) of the byte before the body and the body, rotated right
// by 15 bits and raised by a constant. Numbers are little-endian.
//
// Which logs are needed the MANIFEST says, a log of the same form whose records (db/version_edit.h)
// begin with tags and their values, among them the number of the first log whose rows stand in no
// table. Of older ones, which RocksDB passes over, some may be there for long. Between needed ones
// numbers have no holes: a commit that is ingested takes some, and flushes what is before it.
//
// What is missing before the first record of the first needed log is not seen here: no number says
// with which one it must begin. Clicks that are missing there the digests show.
//
// Of each file the records before the first that is not whole are looked at: the rest is RocksDB's
// to judge, and may be a torn write, which is no damage if no other log goes on from it.
//
// Threads: any. Errors: kDataLoss for what is damaged; what the disk said if it refused. A
// directory that is no state is left for RocksDB to refuse.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "base/disk.h"

namespace clicktally {

absl::Status check_logs(Disk& disk, const std::string& directory);

}  // namespace clicktally
