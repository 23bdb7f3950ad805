#include "crash/harm.h"

#include <algorithm>
#include <stdexcept>

namespace clicktally {
namespace {

// The directory that holds the file, and the file's name in it.
std::pair<Node*, std::string> place_of(Node& root, const std::string& path) {
  Node* directory = &root;
  std::string_view left(path);
  left.remove_prefix(std::min(left.find_first_not_of('/'), left.size()));
  for (auto slash = left.find('/'); slash != left.npos; slash = left.find('/')) {
    const auto found = directory->entries.find(std::string(left.substr(0, slash)));
    if (found == directory->entries.end()) throw std::invalid_argument(path + ": not there");
    directory = found->second.get();
    left.remove_prefix(slash + 1);
  }
  return {directory, std::string(left)};
}

Node& file_at(Node& root, const std::string& path) {
  const auto [directory, name] = place_of(root, path);
  const auto found = directory->entries.find(name);
  if (found == directory->entries.end()) throw std::invalid_argument(path + ": not there");
  return *found->second;
}

void change_bytes(const HarmOptions& options, std::string* bytes) {
  if (options.at >= bytes->size()) throw std::invalid_argument(options.file + ": no such byte");
  if (options.harm == Harm::kFlip) {
    (*bytes)[options.at] = static_cast<char>((*bytes)[options.at] ^ (1 << options.bit));
  } else if (options.harm == Harm::kZero) {
    const std::size_t end = std::min<std::size_t>(bytes->size(), options.at + 16);
    std::fill(bytes->begin() + static_cast<std::ptrdiff_t>(options.at),
              bytes->begin() + static_cast<std::ptrdiff_t>(end), '\0');
  } else {
    bytes->resize(options.at);
  }
}

}  // namespace

void harm(Node& root, const HarmOptions& options) {
  Node& file = file_at(root, options.file);
  if (options.harm == Harm::kRemove) {
    const auto [directory, name] = place_of(root, options.file);
    directory->entries.erase(name);
    directory->safe_entries.erase(name);
    return;
  }
  if (options.harm == Harm::kSwap) {
    Node& other = file_at(root, options.other);
    std::swap(file.bytes, other.bytes);
    other.safe_size = other.bytes.size();
  } else {
    change_bytes(options, &file.bytes);
  }
  file.safe_size = file.bytes.size();
}

}  // namespace clicktally
