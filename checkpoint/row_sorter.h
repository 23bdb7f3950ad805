// Rows in any order, sorted by user in constant memory: in runs of so many rows, each written to a
// file of its own, and merged. A user that stands twice is found here.
//
// Borrows the disk; one thread. The folder must be there; the files in it are the caller's to
// remove.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/disk.h"
#include "checkpoint/import.h"

namespace clicktally {

class RowSorter {
 public:
  RowSorter(Disk& disk, std::string folder, std::size_t rows_in_memory)
      : disk_(disk), folder_(std::move(folder)), rows_in_memory_(rows_in_memory) {}

  absl::Status add(const ImportedRow& row);
  // All rows by user, in blocks. kInvalidArgument for a user that stands in two lines.
  absl::Status merge(const std::function<absl::Status(std::span<const UserClicks>)>& take);

 private:
  absl::Status write_run();

  Disk& disk_;
  const std::string folder_;
  const std::size_t rows_in_memory_;
  std::vector<ImportedRow> rows_;
  std::vector<std::size_t> runs_;  // how many rows each has
};

}  // namespace clicktally
