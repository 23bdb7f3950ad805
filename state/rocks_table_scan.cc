#include "state/rocks_table_scan.h"

#include <rocksdb/sst_file_reader.h>

#include <algorithm>

#include "model/digest.h"
#include "model/state_key.h"
#include "state/count_value.h"
#include "state/rocks_parts.h"
#include "state/rocks_slice.h"

namespace clicktally {
namespace {

// Few enough rows to lie in one or two blocks, so that a slow pace is an even one.
constexpr std::uint64_t kRowsAtOnce = 1024;

}  // namespace

rocksdb::Status scan_table(const rocksdb::Options& options, const std::string& path,
                           const ScanPace& pace) {
  rocksdb::SstFileReader reader(options);
  if (rocksdb::Status opened = reader.Open(path); !opened.ok()) return opened;
  const auto properties = reader.GetTableProperties();
  const auto said = digest_property(*properties);
  if (!said) return rocksdb::Status::Corruption(path, "carries no digest of its entries");
  std::uint64_t size = 0;
  if (rocksdb::Status s = options.env->GetFileSize(path, &size); !s.ok()) return s;
  const std::uint64_t bytes_at_once =
      size * kRowsAtOnce / std::max(kRowsAtOnce, properties->num_entries);

  rocksdb::ReadOptions read;
  read.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> rows(reader.NewIterator(read));
  Digest found = 0;
  std::uint64_t passed = 0;
  for (rows->SeekToFirst(); rows->Valid(); rows->Next()) {
    if (++passed % kRowsAtOnce == 0 && !pace(bytes_at_once)) return rocksdb::Status::Aborted();
    if (rows->key()[0] != kUserPrefix) continue;
    const auto user = StateKey::parse(view_of(rows->key()));
    const auto count = CountValue::parse(view_of(rows->value()));
    if (!user || !count) return rocksdb::Status::Corruption(path, "holds a row that is no count");
    found += digest_of(*user, count->clicks);
  }
  if (!rows->status().ok()) return rows->status();
  if (found == *said) return rocksdb::Status::OK();
  return rocksdb::Status::Corruption(path, "its rows do not add up to the digest it carries");
}

}  // namespace clicktally
