// Random rows for the kernels of ristretto255, Ed25519 and X25519: every operation of a path against the portable path and against the group's laws.
//
// `group_driver` lists the paths of this processor; `group_driver PATH ROUNDS SEED` runs rounds of random choices on one of them.
// sanitize.py builds it with the address and undefined-behaviour sanitizers. That the portable path is right is for the
// published vectors and the independent implementations of test_native_group.py to say.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "group/group.h"

namespace {

using group::Byte;
using group::kRowBytes;
using group::kUniformBytes;
using group::Path;
using Rows = std::vector<Byte>;  // exactly as long as its rows: a byte read beyond them is seen

std::mt19937_64 choice;

std::size_t below(std::size_t limit) { return choice() % limit; }

// Random rows, with some whose bytes are all zeros or all ones, alone or in one half.
Rows random_rows(std::size_t rows, int width) {
  Rows result(rows * width);
  for (Byte& byte : result) byte = static_cast<Byte>(choice());
  for (std::size_t i = 0; i < rows; ++i) {
    const std::size_t kind = below(12);
    if (kind < 4) std::memset(&result[i * width + (kind & 1) * (width / 2)], kind < 2 ? 0 : 255, width / 2);
  }
  return result;
}

// Mostly encodings of points, some of them of the identity, and some rows that encode nothing.
Rows random_points(const Path& path, std::size_t rows) {
  const Rows uniform = random_rows(rows, kUniformBytes);
  const Rows other = random_rows(rows, kRowBytes);
  Rows result(rows * kRowBytes);
  path.from_uniform(result.data(), uniform.data(), rows);
  for (std::size_t i = 0; i < rows; ++i) {
    if (below(8) == 0) std::memcpy(&result[i * kRowBytes], &other[i * kRowBytes], kRowBytes);
  }
  return result;
}

void require_equal(const Rows& a, const Rows& b, const char* what) {
  if (a == b) return;
  std::fprintf(stderr, "%s differs\n", what);
  std::abort();
}

template <class Work>
Rows rows_from(std::size_t rows, int width, const Work& work) {
  Rows out(rows * width);
  work(out.data());
  return out;
}

template <class Work>
Rows checked(const Path& path, std::size_t rows, int width, const char* what, const Work& work) {
  const Rows expected = rows_from(rows, width, [&](Byte* out) { work(group::portable_path(), out); });
  const Rows found = rows_from(rows, width, [&](Byte* out) { work(path, out); });
  require_equal(found, expected, what);
  return found;
}

// Keys that are points or not, and s = 0 with R = −[h]A for some of small order: signatures that hold without a secret. That real
// ones hold too is for test_lanes.py to say.
void signatures_and_agreements(const Path& path, std::size_t rows) {
  Rows keys = random_rows(rows, kRowBytes);
  Rows signatures = random_rows(rows, kUniformBytes);
  const Rows hashes = random_rows(rows, kUniformBytes);
  for (std::size_t i = 0; i < rows; ++i) {
    if (below(2) == 0) continue;
    std::memset(&keys[i * kRowBytes], 0, kRowBytes);
    std::memset(&signatures[i * kUniformBytes], 0, kUniformBytes);
    keys[i * kRowBytes] = signatures[i * kUniformBytes] = 1;  // the identity
  }
  const Rows held = checked(path, rows, 1, "verify", [&](const Path& on, Byte* out) {
    on.verify(out, keys.data(), hashes.data(), signatures.data(), rows);
  });
  for (std::size_t i = 0; i < rows; ++i) {
    const bool is_identity = keys[i * kRowBytes] == 1 && keys[i * kRowBytes + 1] == 0 && signatures[i * kUniformBytes] == 1;
    if (is_identity && held[i] != 1) require_equal({held[i]}, {1}, "a signature that holds");
  }
  const Rows scalars = random_rows(rows, kRowBytes);
  const Rows publics = random_rows(rows, kRowBytes);
  checked(path, rows, kRowBytes, "agree", [&](const Path& on, Byte* out) {
    on.agree(out, scalars.data(), kRowBytes, publics.data(), rows);
  });
  if (rows == 0) return;
  // Both ends of one exchange.
  const Rows base = rows_from(rows, kRowBytes, [&](Byte* out) {
    std::memset(out, 0, rows * kRowBytes);
    for (std::size_t i = 0; i < rows; ++i) out[i * kRowBytes] = 9;
  });
  const Rows mine = rows_from(rows, kRowBytes, [&](Byte* out) { path.agree(out, scalars.data(), kRowBytes, base.data(), rows); });
  const Rows there = rows_from(rows, kRowBytes, [&](Byte* out) { path.agree(out, scalars.data(), 0, mine.data(), rows); });
  const Rows first = rows_from(rows, kRowBytes, [&](Byte* out) {
    Rows shared(rows * kRowBytes);
    for (std::size_t i = 0; i < rows; ++i) std::memcpy(&shared[i * kRowBytes], mine.data(), kRowBytes);
    path.agree(out, scalars.data(), kRowBytes, shared.data(), rows);
  });
  require_equal(there, first, "the other end of an exchange");
}

void round(const Path& path) {
  const std::size_t sizes[] = {0, 1, below(10), below(40), below(300)};
  const std::size_t rows = sizes[below(5)];
  const Rows a = random_points(path, rows);
  const Rows b = random_points(path, rows);
  const Rows uniform = random_rows(rows, kUniformBytes);
  const Rows scalars = random_rows(rows, kRowBytes);
  const Rows scalar = random_rows(1, kRowBytes);
  const Rows point = random_points(path, 1);
  checked(path, rows, kRowBytes, "from_uniform", [&](const Path& on, Byte* out) { on.from_uniform(out, uniform.data(), rows); });
  checked(path, rows, 1, "is_valid", [&](const Path& on, Byte* out) { on.is_valid(out, a.data(), rows); });
  checked(path, rows, kRowBytes, "multiply", [&](const Path& on, Byte* out) {
    on.multiply(out, scalar.data(), 0, a.data(), kRowBytes, rows);
  });
  checked(path, rows, kRowBytes, "multiply rows", [&](const Path& on, Byte* out) {
    on.multiply(out, scalars.data(), kRowBytes, a.data(), kRowBytes, rows);
  });
  checked(path, rows, kRowBytes, "multiply_base", [&](const Path& on, Byte* out) {
    on.multiply_base(out, scalars.data(), rows);
  });
  const Rows by_table = checked(path, rows, kRowBytes, "multiply_fixed", [&](const Path& on, Byte* out) {
    on.multiply_fixed(out, scalars.data(), point.data(), rows);
  });
  require_equal(by_table, rows_from(rows, kRowBytes, [&](Byte* out) {
    path.multiply(out, scalars.data(), kRowBytes, point.data(), 0, rows);
  }), "multiply_fixed, from multiply,");
  const Rows sums = checked(path, rows, kRowBytes, "add", [&](const Path& on, Byte* out) {
    on.add(out, a.data(), b.data(), false, rows);
  });
  const Rows back = checked(path, rows, kRowBytes, "subtract", [&](const Path& on, Byte* out) {
    on.add(out, sums.data(), b.data(), true, rows);
  });
  signatures_and_agreements(path, rows);
  Rows valid_a(rows), valid_b(rows);
  path.is_valid(valid_a.data(), a.data(), rows);
  path.is_valid(valid_b.data(), b.data(), rows);
  for (std::size_t i = 0; i < rows; ++i) {
    if (valid_a[i] == 0 || valid_b[i] == 0) continue;
    require_equal(Rows(&back[i * kRowBytes], &back[i * kRowBytes] + kRowBytes),
                  Rows(&a[i * kRowBytes], &a[i * kRowBytes] + kRowBytes), "(a + b) - b, from a,");
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    for (const std::string& name : group::available_paths()) std::printf("%s\n", name.c_str());
    return 0;
  }
  choice.seed(std::strtoull(arguments[3], nullptr, 10));
  const Path& path = group::find_path(arguments[1]);
  const long rounds = std::strtol(arguments[2], nullptr, 10);
  for (long i = 0; i < rounds; ++i) round(path);
  std::printf("%s: %ld rounds of curve operations\n", arguments[1], rounds);
  return 0;
}
