#include "crash/forgetful_disk.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

namespace clicktally {
namespace {

constexpr std::size_t kMostVersions = 64;

absl::Status no_such(std::string_view what, const std::string& path) {
  return absl::NotFoundError(fmt::format("{}: cannot {}: No such file or directory", path, what));
}

absl::Status not_a_file(const std::string& path) {
  return absl::DataLossError(path + ": a directory where a file should be");
}

absl::Status is_there(std::string_view what, const std::string& path) {
  return absl::AlreadyExistsError(fmt::format("{}: cannot {}: File exists", path, what));
}

void add_use(const Node& node, std::set<const Node*>* seen, DiskUse* use) {
  if (!seen->insert(&node).second) return;
  for (const auto& [name, child] : node.entries) add_use(*child, seen, use);
  if (node.is_directory) return;
  ++use->files;
  use->bytes += static_cast<std::int64_t>(node.bytes.size());
}

}  // namespace

class ForgetfulDisk::Random final : public RandomFile {
 public:
  Random(ForgetfulDisk& disk, std::string path, NodePtr node)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}
  absl::StatusOr<std::size_t> read_at(std::uint64_t offset, std::size_t length,
                                      char* out) const override {
    const std::lock_guard lock(disk_.mutex_);
    if (absl::Status s = disk_.pass(Kind::kRead, "read", path_); !s.ok()) return s;
    if (offset >= node_->bytes.size()) return std::size_t{0};
    return node_->bytes.copy(out, length, offset);
  }

 private:
  ForgetfulDisk& disk_;
  const std::string path_;
  const NodePtr node_;
};

class ForgetfulDisk::Append final : public AppendFile {
 public:
  Append(ForgetfulDisk& disk, std::string path, NodePtr node)
      : disk_(disk), path_(std::move(path)), node_(std::move(node)) {}
  absl::Status append(std::string_view bytes) override {
    const std::lock_guard lock(disk_.mutex_);
    const absl::Status passed = disk_.pass(Kind::kSpace, "write", path_);
    node_->bytes += passed.ok() ? bytes : bytes.substr(0, bytes.size() / 2);
    return passed;
  }
  absl::Status truncate(std::uint64_t size) override {
    const std::lock_guard lock(disk_.mutex_);
    if (absl::Status s = disk_.pass(Kind::kChange, "truncate", path_); !s.ok()) return s;
    node_->bytes.resize(size);
    node_->safe_size = std::min<std::size_t>(node_->safe_size, size);
    return absl::OkStatus();
  }
  absl::Status sync() override {
    const std::lock_guard lock(disk_.mutex_);
    const absl::Status passed = disk_.pass(Kind::kSync, "sync", path_);
    if (passed.ok()) {
      node_->sync();
    } else {
      node_->doomed = true;
    }
    return passed;
  }
  absl::Status close() override { return absl::OkStatus(); }

 private:
  ForgetfulDisk& disk_;
  const std::string path_;
  const NodePtr node_;
};

class ForgetfulDisk::Lock final : public DiskLock {
 public:
  Lock(ForgetfulDisk& disk, NodePtr node, LockMode mode)
      : disk_(disk), node_(std::move(node)), mode_(mode) {}
  ~Lock() override {
    const std::lock_guard lock(disk_.mutex_);
    Locks& locks = disk_.locks_[node_.get()];
    if (mode_ == LockMode::kShared) {
      --locks.shared;
    } else {
      locks.exclusive = false;
    }
  }

 private:
  ForgetfulDisk& disk_;
  const NodePtr node_;
  const LockMode mode_;
};

ForgetfulDisk::ForgetfulDisk(NodePtr root, Trouble trouble)
    : root_(std::move(root)), trouble_(std::move(trouble)) {}

ForgetfulDisk::~ForgetfulDisk() = default;

DiskUse ForgetfulDisk::use() const {
  const std::lock_guard lock(mutex_);
  DiskUse use;
  std::set<const Node*> seen;
  add_use(*root_, &seen, &use);
  return use;
}

absl::Status ForgetfulDisk::pass(Kind kind, std::string_view what, const std::string& path) {
  ++counts_.all;
  if (kind != Kind::kRead && ++counts_.changes == trouble_.cut_at) {
    trouble_.on_cut(fmt::format("{} {}", what, path));
  }
  counts_.space += kind == Kind::kSpace;
  counts_.syncs += kind == Kind::kSync;
  std::int64_t met = 0;
  std::string_view words = "Input/output error";
  switch (trouble_.refusal) {
    case Refusal::kNone:
      return absl::OkStatus();
    case Refusal::kIo:
      met = counts_.all;
      break;
    case Refusal::kNoSpace:
      if (kind != Kind::kSpace) return absl::OkStatus();
      met = counts_.space;
      words = "No space left on device";
      break;
    case Refusal::kSync:
      if (kind != Kind::kSync) return absl::OkStatus();
      met = counts_.syncs;
      break;
  }
  const bool hit = trouble_.refuse_once ? met == trouble_.refuse_at : met >= trouble_.refuse_at;
  if (!hit) return absl::OkStatus();
  ++counts_.refused;
  return absl::ResourceExhaustedError(fmt::format("{}: cannot {}: {}", path, what, words));
}

absl::StatusOr<ForgetfulDisk::Place> ForgetfulDisk::find(std::string_view what,
                                                         const std::string& path) const {
  Place place{.directory = nullptr, .name = "", .node = root_};
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") continue;
    if (place.node == nullptr) return no_such(what, path);
    if (!place.node->is_directory) {
      return absl::FailedPreconditionError(
          fmt::format("{}: cannot {}: Not a directory", path, what));
    }
    place.directory = place.node;
    place.name = name;
    const auto found = place.directory->entries.find(name);
    place.node = found == place.directory->entries.end() ? nullptr : found->second;
  }
  return place;
}

absl::StatusOr<ForgetfulDisk::Place> ForgetfulDisk::find_existing(std::string_view what,
                                                                  const std::string& path) const {
  auto place = find(what, path);
  if (place.ok() && place->node == nullptr) return no_such(what, path);
  return place;
}

absl::StatusOr<NodePtr> ForgetfulDisk::directory_at(std::string_view what,
                                                    const std::string& path) const {
  auto place = find_existing(what, path);
  if (!place.ok()) return place.status();
  if (!place->node->is_directory) {
    return absl::FailedPreconditionError(fmt::format("{}: cannot {}: Not a directory", path, what));
  }
  return place->node;
}

absl::StatusOr<std::unique_ptr<RandomFile>> ForgetfulDisk::open_random(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kRead, "open", path); !s.ok()) return s;
  auto place = find_existing("open", path);
  if (!place.ok()) return place.status();
  if (place->node->is_directory) return not_a_file(path);
  return std::make_unique<Random>(*this, path, place->node);
}

absl::StatusOr<std::unique_ptr<AppendFile>> ForgetfulDisk::open_append(const std::string& path,
                                                                       Create create) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kSpace, "create", path); !s.ok()) return s;
  auto place = find("open for writing", path);
  if (!place.ok()) return place.status();
  if (place->node != nullptr && place->node->is_directory) return not_a_file(path);
  // A file that is emptied is as good as a new one in the old one's place.
  if (place->node == nullptr || create == Create::kTruncate) {
    place->node = std::make_shared<Node>();
    place->directory->set({{place->name, place->node}});
  }
  return std::make_unique<Append>(*this, path, place->node);
}

absl::Status ForgetfulDisk::overwrite(const std::string& path, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kSpace, "overwrite", path); !s.ok()) return s;
  auto place = find_existing("overwrite", path);
  if (!place.ok()) return place.status();
  if (place->node->is_directory) return not_a_file(path);
  Node& file = *place->node;
  if (file.overwrote.size() == kMostVersions) file.overwrote.erase(file.overwrote.begin() + 1);
  file.overwrote.push_back(file.bytes);
  file.bytes.replace(0, std::min(bytes.size(), file.bytes.size()), bytes);
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kSpace, "rename", from); !s.ok()) return s;
  auto source = find_existing("rename", from);
  if (!source.ok()) return source.status();
  auto target = find("rename", to);
  if (!target.ok()) return target.status();
  if (target->node == source->node) return absl::OkStatus();
  const bool filled = target->node != nullptr && target->node->is_directory;
  if (filled && !target->node->entries.empty()) return is_there("rename", from);
  if (source->directory != target->directory) {
    // Two directories would change at once; the rules of disk_image.h have no such change.
    return absl::UnimplementedError(from + ": renamed into another directory");
  }
  source->directory->set({{source->name, nullptr}, {target->name, source->node}});
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::link(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kSpace, "link", to); !s.ok()) return s;
  auto source = find_existing("link", from);
  if (!source.ok()) return source.status();
  auto target = find("link", to);
  if (!target.ok()) return target.status();
  if (target->node != nullptr) return is_there("link", to);
  target->directory->set({{target->name, source->node}});
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kChange, "remove", path); !s.ok()) return s;
  auto place = find_existing("remove", path);
  if (!place.ok()) return place.status();
  if (place->node->is_directory) return not_a_file(path);
  place->directory->set({{place->name, nullptr}});
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::create_dir(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kSpace, "mkdir", path); !s.ok()) return s;
  auto place = find("create directory", path);
  if (!place.ok()) return place.status();
  if (place->node != nullptr) return is_there("create directory", path);
  place->directory->set({{place->name, new_directory()}});
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::remove_dir(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kChange, "rmdir", path); !s.ok()) return s;
  auto place = find_existing("remove directory", path);
  if (!place.ok()) return place.status();
  if (!place->node->entries.empty()) return is_there("remove directory", path);
  place->directory->set({{place->name, nullptr}});
  return absl::OkStatus();
}

absl::Status ForgetfulDisk::sync_dir(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kSync, "syncdir", path); !s.ok()) return s;
  auto directory = directory_at("sync directory", path);
  if (directory.ok()) (*directory)->sync();
  return directory.status();
}

absl::StatusOr<std::vector<std::string>> ForgetfulDisk::list(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kRead, "list", path); !s.ok()) return s;
  auto directory = directory_at("list", path);
  if (!directory.ok()) return directory.status();
  std::vector<std::string> names;
  for (const auto& [name, node] : (*directory)->entries) names.push_back(name);
  return names;
}

absl::StatusOr<FileInfo> ForgetfulDisk::stat(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kRead, "stat", path); !s.ok()) return s;
  auto place = find_existing("stat", path);
  if (!place.ok()) return place.status();
  return FileInfo{.size_bytes = place->node->bytes.size(),
                  .modified_s = 0,
                  .is_directory = place->node->is_directory,
                  .mode = place->node->is_directory ? 0700U : 0600U,
                  .owner = ::getuid()};
}

absl::StatusOr<std::unique_ptr<DiskLock>> ForgetfulDisk::lock_dir(const std::string& path,
                                                                  LockMode mode,
                                                                  std::optional<LockMode>* holder) {
  const std::lock_guard lock(mutex_);
  if (absl::Status s = pass(Kind::kRead, "lock", path); !s.ok()) return s;
  auto directory = directory_at("open directory", path);
  if (!directory.ok()) return directory.status();
  Locks& locks = locks_[directory->get()];
  const bool wants_all = mode == LockMode::kExclusive;
  if (locks.exclusive || (wants_all && locks.shared > 0)) {
    if (holder != nullptr) *holder = locks.exclusive ? LockMode::kExclusive : LockMode::kShared;
    return absl::AlreadyExistsError(path + ": in use by this process");
  }
  if (wants_all) {
    locks.exclusive = true;
  } else {
    ++locks.shared;
  }
  return std::make_unique<Lock>(*this, *directory, mode);
}

absl::StatusOr<bool> ForgetfulDisk::is_network_file_system(const std::string&) {
  return false;
}

}  // namespace clicktally
