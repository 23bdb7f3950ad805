#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "crash/disk_image.h"

namespace clicktally {
namespace {

// Nodes are numbered as they are met; 0 is "no node". A node's fields follow its first mention.
class Writer {
 public:
  void number(std::uint64_t value) { out_.append(reinterpret_cast<const char*>(&value), 8); }
  void text(std::string_view bytes) {
    number(bytes.size());
    out_ += bytes;
  }
  void entries(const Entries& entries) {
    number(entries.size());
    for (const auto& [name, child] : entries) {
      text(name);
      node(child);
    }
  }
  void node(const NodePtr& node) {
    if (node == nullptr) return number(0);
    const auto [known, is_new] = numbers_.emplace(node.get(), numbers_.size() + 1);
    number(known->second);
    if (!is_new) return;
    number(node->is_directory);
    entries(node->entries);
    entries(node->safe_entries);
    number(node->changes.size());
    for (const Change& change : node->changes) {
      number(change.size());
      for (const auto& [name, child] : change) {
        text(name);
        this->node(child);
      }
    }
    text(node->bytes);
    number(node->safe_size);
    number(node->overwrote.size());
    for (const std::string& version : node->overwrote) text(version);
    number(node->doomed);
  }
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
  std::map<const Node*, std::uint64_t> numbers_;
};

class Reader {
 public:
  explicit Reader(std::string bytes) : in_(std::move(bytes)) {}
  std::uint64_t number() {
    const std::string raw = take(8);
    std::uint64_t value = 0;
    raw.copy(reinterpret_cast<char*>(&value), 8);
    return value;
  }
  std::string text() { return take(number()); }
  Entries entries() {
    Entries out;
    for (std::uint64_t left = number(); left > 0; --left) {
      std::string name = text();
      out[std::move(name)] = node();
    }
    return out;
  }
  NodePtr node() {
    const std::uint64_t id = number();
    if (id == 0) return nullptr;
    if (id <= nodes_.size()) return nodes_[id - 1];
    auto node = std::make_shared<Node>();
    nodes_.push_back(node);
    node->is_directory = number() != 0;
    node->entries = entries();
    node->safe_entries = entries();
    for (std::uint64_t left = number(); left > 0; --left) {
      Change change;
      for (std::uint64_t names = number(); names > 0; --names) {
        std::string name = text();
        change.emplace_back(std::move(name), this->node());
      }
      node->changes.push_back(std::move(change));
    }
    node->bytes = text();
    node->safe_size = number();
    for (std::uint64_t left = number(); left > 0; --left) node->overwrote.push_back(text());
    node->doomed = number() != 0;
    return node;
  }

 private:
  std::string take(std::uint64_t size) {
    if (in_.size() - at_ < size) throw std::runtime_error("a disk image that is cut short");
    at_ += size;
    return in_.substr(at_ - size, size);
  }

  const std::string in_;
  std::size_t at_ = 0;
  std::vector<NodePtr> nodes_;
};

}  // namespace

NodePtr load_image(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return nullptr;
  return Reader({std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()}).node();
}

void save_image(const NodePtr& root, const std::string& path) {
  Writer writer;
  writer.node(root);
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(writer.bytes().data(), static_cast<std::streamsize>(writer.bytes().size()));
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

}  // namespace clicktally
