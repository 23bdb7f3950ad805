#include "crash/disk_image.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace clicktally {
namespace {

namespace fs = std::filesystem;

std::string surviving_bytes(const Node& file, Damage damage, Dice* dice) {
  if (damage == Damage::kNames) return file.bytes;
  if (!file.overwrote.empty()) {
    const std::size_t versions = file.overwrote.size() + 1;
    const std::size_t chosen = damage == Damage::kDropped ? 0 : dice->below(versions);
    return chosen < file.overwrote.size() ? file.overwrote[chosen] : file.bytes;
  }
  const std::size_t unsafe = file.bytes.size() - std::min(file.safe_size, file.bytes.size());
  if (unsafe == 0) return file.bytes;
  std::string left = file.bytes.substr(0, file.safe_size);
  if (damage == Damage::kDropped) return left;
  left += file.bytes.substr(file.safe_size, dice->below(unsafe + 1));
  if (damage == Damage::kTorn) return left;
  const bool zeros = dice->below(2) == 0;
  // To the full length as often as not: only so every checksum has its bytes.
  std::size_t more = file.bytes.size() - left.size();
  if (dice->below(2) == 0) more = dice->below(more + 1);
  for (; more > 0; --more) {
    left += zeros ? '\0' : static_cast<char>(dice->next());
  }
  return left;
}

class Loss {
 public:
  Loss(Damage damage, std::uint64_t seed) : damage_(damage), dice_(seed) {}

  NodePtr of(const Node& node) {
    const auto known = done_.find(&node);
    if (known != done_.end()) return known->second;
    auto left = std::make_shared<Node>();
    done_[&node] = left;
    left->is_directory = node.is_directory;
    if (!node.is_directory) {
      left->bytes = surviving_bytes(node, damage_, &dice_);
      left->safe_size = left->bytes.size();
      return left;
    }
    Entries entries = node.safe_entries;
    for (std::size_t i = 0, kept = changes_kept(node.changes.size()); i < kept; ++i) {
      apply_change(node.changes[i], &entries);
    }
    for (const auto& [name, child] : entries) left->entries[name] = of(*child);
    left->safe_entries = left->entries;
    return left;
  }

 private:
  std::size_t changes_kept(std::size_t all) {
    if (damage_ == Damage::kNames) return 0;
    switch (dice_.below(4)) {
      case 0:
        return 0;
      case 1:
        return all;
      default:
        return dice_.below(all + 1);
    }
  }

  const Damage damage_;
  Dice dice_;
  std::map<const Node*, NodePtr> done_;  // a file that is linked twice is lost once
};

// --- Real directories ----------------------------------------------------------------------------

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void write_bytes(const fs::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path.string());
}

NodePtr load(const fs::path& path, std::map<ino_t, NodePtr>* linked) {
  NodePtr node = new_directory();
  for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
    NodePtr& child = node->entries[entry.path().filename().string()];
    struct stat info {};
    if (::lstat(entry.path().c_str(), &info) != 0) {
      throw std::runtime_error("cannot stat " + entry.path().string());
    }
    if (S_ISDIR(info.st_mode)) {
      child = load(entry.path(), linked);
      continue;
    }
    NodePtr& file = (*linked)[info.st_ino];
    if (file == nullptr) {
      file = std::make_shared<Node>();
      file->bytes = bytes_of(entry.path());
      file->safe_size = file->bytes.size();
    }
    child = file;
  }
  node->safe_entries = node->entries;
  return node;
}

void save(const Node& node, const fs::path& path, std::map<const Node*, fs::path>* written) {
  fs::create_directory(path);
  fs::permissions(path, fs::perms::owner_all);
  for (const auto& [name, child] : node.entries) {
    const fs::path target = path / name;
    if (child->is_directory) {
      save(*child, target, written);
      continue;
    }
    const auto [first, is_new] = written->emplace(child.get(), target);
    if (is_new) {
      write_bytes(target, child->bytes);
    } else {
      fs::create_hard_link(first->second, target);
    }
  }
}

}  // namespace

NodePtr new_directory() {
  auto node = std::make_shared<Node>();
  node->is_directory = true;
  return node;
}

void apply_change(const Change& change, Entries* entries) {
  for (const auto& [name, node] : change) {
    if (node == nullptr) {
      entries->erase(name);
    } else {
      (*entries)[name] = node;
    }
  }
}

void Node::set(Change change) {
  apply_change(change, &entries);
  changes.push_back(std::move(change));
}

void Node::sync() {
  if (is_directory) {
    safe_entries = entries;
    changes.clear();
  } else if (!doomed) {
    safe_size = bytes.size();
    overwrote.clear();
  }
}

NodePtr survivors(const Node& root, Damage damage, std::uint64_t seed) {
  return Loss(damage, seed).of(root);
}

NodePtr load_directory(const std::string& path) {
  std::map<ino_t, NodePtr> linked;
  return load(path, &linked);
}

void save_directory(const Node& root, const std::string& path) {
  fs::remove_all(path);
  std::map<const Node*, fs::path> written;
  save(root, path, &written);
}

}  // namespace clicktally
