// What a writer tells the driver: one JSON object a line on standard output, each in one write and
// at once, so that what the driver has read is what the process had acknowledged when it died.
#pragma once

#include <string>

#include "base/disk.h"
#include "model/commit_record.h"
#include "sink/sink.h"

namespace clicktally {

void say(std::string line);

std::string json_text(std::string_view text);
std::string offsets_text(const CommitRecord& record);  // {"0":12,...}

// Says "emitted" of every batch: epoch, id, time, digest, offsets, rows.
class ReportingSink final : public Sink {
 public:
  explicit ReportingSink(std::int64_t rows_wanted) : rows_wanted_(rows_wanted) {}
  std::int64_t rows_wanted() const override { return rows_wanted_; }
  absl::Status begin(std::string_view) override { return absl::OkStatus(); }
  absl::Status show(const BatchRows& batch) override;
  BatchId last() const { return last_; }

 private:
  const std::int64_t rows_wanted_;
  BatchId last_ = kNoBatch;
};

// The state on a disk, read without a change, as one line: the commit record, all counts, all dead
// letters; of the snapshots too if `deep`.
void report_state(Disk& disk, const std::string& checkpoint, bool deep);

}  // namespace clicktally
