// A disk in memory that forgets what was not synced (disk_image.h says by which rules), loses power
// at a chosen operation, and refuses others. Every operation of the product comes through it,
// RocksDB's too, and is counted.
//
// A power cut happens *before* the k-th operation that changes anything. At that moment `on_cut`
// is called, from whatever thread came; it must not return: nobody gets a word out of this disk
// after it. Reading changes nothing, so cuts before reads would be the same cuts again.
//
// A refusal hits the k-th operation that its kind can hit:
//   ENOSPC  what takes space: creating, appending (half of the bytes arrive), linking, renaming,
//           making directories
//   EIO     all operations, reading too
//   fsync   syncs of files and directories; the bytes that were to be synced never are
//
// Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "base/disk.h"
#include "crash/disk_image.h"

namespace clicktally {

enum class Refusal { kNone, kNoSpace, kIo, kSync };

struct Trouble {
  std::int64_t cut_at = 0;  // 0: never
  std::function<void(const std::string& what)> on_cut;
  Refusal refusal = Refusal::kNone;
  std::int64_t refuse_at = 0;
  bool refuse_once = false;
};

// How many operations came by: those that change something, those a refusal of its kind could have
// hit.
struct OperationCounts {
  std::int64_t changes = 0;
  std::int64_t all = 0;
  std::int64_t space = 0;
  std::int64_t syncs = 0;
  std::int64_t refused = 0;
};

// A file that is linked twice is one.
struct DiskUse {
  std::int64_t files = 0;
  std::int64_t bytes = 0;
};

class ForgetfulDisk final : public Disk {
 public:
  ForgetfulDisk(NodePtr root, Trouble trouble);
  ~ForgetfulDisk() override;

  // Only inside on_cut, or when nobody uses the disk any more.
  const NodePtr& root() const { return root_; }
  OperationCounts counts() const { return counts_; }
  DiskUse use() const;  // at any time

  absl::StatusOr<std::unique_ptr<RandomFile>> open_random(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<AppendFile>> open_append(const std::string& path,
                                                          Create create) override;
  absl::Status overwrite(const std::string& path, std::string_view bytes) override;
  absl::Status rename(const std::string& from, const std::string& to) override;
  absl::Status link(const std::string& from, const std::string& to) override;
  absl::Status remove(const std::string& path) override;
  absl::Status create_dir(const std::string& path) override;
  absl::Status remove_dir(const std::string& path) override;
  absl::Status sync_dir(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> list(const std::string& path) override;
  absl::StatusOr<FileInfo> stat(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<DiskLock>> lock_dir(const std::string& path, LockMode mode,
                                                     std::optional<LockMode>* holder) override;
  absl::StatusOr<bool> is_network_file_system(const std::string& path) override;

 private:
  class Random;
  class Append;
  class Lock;
  enum class Kind { kRead, kSpace, kChange, kSync };
  struct Locks {
    int shared = 0;
    bool exclusive = false;
  };
  struct Place {  // of a name: the directory it stands in
    NodePtr directory;
    std::string name;
    NodePtr node;  // null if there is none
  };

  // Counts, cuts, refuses. Under mutex_, as all that follow.
  absl::Status pass(Kind kind, std::string_view what, const std::string& path);
  absl::StatusOr<Place> find(std::string_view what, const std::string& path) const;
  absl::StatusOr<Place> find_existing(std::string_view what, const std::string& path) const;
  absl::StatusOr<NodePtr> directory_at(std::string_view what, const std::string& path) const;

  mutable std::mutex mutex_;
  NodePtr root_;
  Trouble trouble_;
  OperationCounts counts_;
  std::map<const Node*, Locks> locks_;
};

}  // namespace clicktally
