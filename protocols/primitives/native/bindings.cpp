// The module protocols.primitives._native: pointers and sizes for the kernels, without the GIL. Values are checked in
// native_engine.py; shapes are checked here once more, because a wrong one would read past an array.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <stdexcept>

#include "products.h"

namespace py = pybind11;

namespace {

using native::Natural;
using native::Numbers;
using native::Word;
using Array = py::array_t<Word, py::array::c_style>;
using Indices = py::array_t<std::int64_t, py::array::c_style>;
using Flags = py::array_t<bool, py::array::c_style>;

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

Numbers numbers(const Array& array, std::size_t rows) {
  require(array.ndim() == 2 && (static_cast<std::size_t>(array.shape(0)) == rows || array.shape(0) == 1),
          "an array has the wrong number of rows");
  const auto limbs = static_cast<std::size_t>(array.shape(1));
  return {array.data(), static_cast<std::size_t>(array.shape(0)) == rows ? limbs : 0, static_cast<int>(limbs)};
}

Natural natural(const Array& array) {
  require(array.ndim() == 1, "a number must be one row of limbs");
  Natural result(array.data(), array.data() + array.shape(0));
  while (!result.empty() && result.back() == 0) result.pop_back();
  return result;
}

class Modulus {
 public:
  Modulus(const std::string& path, const Array& value, const Array& root) {
    const Natural n = natural(value);
    const Natural square_root = natural(root);
    require(native::bit_length(n) >= 2 && (n[0] & 1) == 1, "the modulus must be odd and at least 3");
    require(square_root.empty() || native::bit_length(square_root) >= 2, "the root must be at least 3");
    py::gil_scoped_release release;
    ring_ = native::make_arithmetic(path, n, square_root);
  }

  const std::shared_ptr<const native::Arithmetic>& ring() const { return ring_; }
  int limbs() const { return ring_->limbs(); }

  // The first row that is not below the modulus, or -1.
  std::int64_t first_unreduced(const Array& a) const {
    residues(a, a.shape(0));
    const Natural& value = ring_->value();
    const Word* row = a.data();
    py::gil_scoped_release release;
    for (py::ssize_t i = 0; i < a.shape(0); ++i, row += value.size()) {
      int limb = static_cast<int>(value.size()) - 1;
      while (limb > 0 && row[limb] == value[limb]) --limb;
      if (row[limb] >= value[limb]) return i;
    }
    return -1;
  }

  Array multiply(const Array& a, const Array& b) const {
    const std::size_t n = a.shape(0);
    const Numbers left = residues(a, n);
    const Numbers right = residues(b, n);
    return result(n, [&](Word* out) { native::multiply(*ring_, out, left, right, n); });
  }

  Array power(const Array& bases, const Array& exponents, int exponent_bits, bool secret) const {
    const std::size_t n = bases.shape(0);
    const Numbers base_rows = residues(bases, n);
    const Numbers exponent_rows = numbers(exponents, n);
    require(exponent_bits >= 0, "exponent_bits must not be negative");
    return result(n, [&](Word* out) { native::power(*ring_, out, base_rows, exponent_rows, exponent_bits, secret, n); });
  }

  Array product(const Array& a, const Indices& starts) const {
    const Numbers rows = residues(a, a.shape(0));
    require(starts.ndim() == 1 && starts.shape(0) >= 1, "starts must have at least one entry");
    const std::int64_t* at = starts.data();
    const std::size_t count = starts.shape(0) - 1;
    require(at[0] == 0 && at[count] == a.shape(0), "starts must run from 0 to the number of rows");
    for (std::size_t i = 0; i < count; ++i) require(at[i] <= at[i + 1], "starts must ascend");
    return result(count, [&](Word* out) { native::segment_products(*ring_, out, rows, at, count); });
  }

  // The products over the weights that are not negative, and over those that are.
  std::pair<Array, Array> bucket_powers(const Array& bases, const Array& magnitudes, const Flags& negative,
                                        int weight_bits) const {
    const std::size_t n = bases.shape(0);
    const native::Weights all = weights(n, magnitudes, negative, weight_bits);
    const Numbers base_rows = residues(bases, n);
    Array denominators({static_cast<py::ssize_t>(all.rows), static_cast<py::ssize_t>(limbs())});
    Word* below = denominators.mutable_data();
    Array numerators =
        result(all.rows, [&](Word* out) { native::bucket_powers(*ring_, out, below, base_rows, n, all); });
    return {numerators, denominators};
  }

  Array table_powers(const Array& bases, const Array& inverses, const Array& magnitudes, const Flags& negative,
                     int weight_bits) const {
    const std::size_t n = bases.shape(0);
    require(n >= 1 && inverses.ndim() == 2 && inverses.shape(0) == bases.shape(0) && weight_bits >= 1,
            "tables need bases, their inverses, and weights of at least one bit");
    const native::Weights all = weights(n, magnitudes, negative, weight_bits);
    const Numbers base_rows = residues(bases, n);
    const Numbers inverse_rows = residues(inverses, n);
    return result(all.rows, [&](Word* out) { native::table_powers(*ring_, out, base_rows, inverse_rows, n, all); });
  }

  bool prefers_tables(std::size_t n, std::size_t rows, int weight_bits, bool any_negative) const {
    return n > 0 && weight_bits > 0 && native::prefers_tables(*ring_, n, rows, weight_bits, any_negative);
  }

 private:
  Numbers residues(const Array& a, std::size_t rows) const {
    const Numbers result = numbers(a, rows);
    require(result.limbs == limbs(), "residues must be as wide as the modulus");
    return result;
  }

  static native::Weights weights(std::size_t n, const Array& magnitudes, const Flags& negative, int weight_bits) {
    require(magnitudes.ndim() == 3 && negative.ndim() == 2, "weights must have three dimensions, signs two");
    const std::size_t rows = magnitudes.shape(0);
    require(static_cast<std::size_t>(magnitudes.shape(1)) == n && static_cast<std::size_t>(negative.shape(1)) == n &&
                static_cast<std::size_t>(negative.shape(0)) == rows,
            "weights and signs must have one column per base");
    require(weight_bits >= 0, "weight_bits must not be negative");
    const auto width = static_cast<std::size_t>(magnitudes.shape(2));
    return {{magnitudes.data(), width, static_cast<int>(width)}, negative.data(), rows, weight_bits};
  }

  template <class Work>
  Array result(std::size_t rows, const Work& work) const {
    Array out({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(limbs())});
    Word* data = out.mutable_data();
    py::gil_scoped_release release;
    work(data);
    return out;
  }

  std::shared_ptr<const native::Arithmetic> ring_;
};

class FixedBase {
 public:
  // inverse: that of the base, or an empty array.
  FixedBase(const Modulus& modulus, const Array& base, const Array& inverse, int exponent_bits, int tables)
      : ring_(modulus.ring()) {
    require(base.ndim() == 1 && base.shape(0) == ring_->limbs(), "the base must be as wide as the modulus");
    require(inverse.ndim() == 1 && (inverse.shape(0) == 0 || inverse.shape(0) == ring_->limbs()),
            "the inverse must be as wide as the modulus, or empty");
    check_windows(exponent_bits, tables);
    const Word* data = base.data();
    const Word* over = inverse.shape(0) == 0 ? nullptr : inverse.data();
    py::gil_scoped_release release;
    table_ = std::make_unique<native::FixedBase>(ring_, data, over, exponent_bits, tables);
  }

  static std::size_t table_bytes(const Modulus& modulus, int exponent_bits, int tables) {
    check_windows(exponent_bits, tables);
    return native::FixedBase::size_bytes(*modulus.ring(), exponent_bits, tables);
  }

  static void check_windows(int exponent_bits, int tables) {
    require(exponent_bits >= 1 && tables >= 1 && tables <= exponent_bits && (exponent_bits + tables - 1) / tables <= 20,
            "exponent_bits or tables is out of range");
  }

  int window_bits() const { return table_->window_bits(); }
  std::size_t size_bytes() const { return table_->size_bytes(); }

  Array power(const Array& exponents) const {
    const std::size_t n = exponents.shape(0);
    const Numbers rows = numbers(exponents, n);
    Array out({static_cast<py::ssize_t>(n), static_cast<py::ssize_t>(ring_->limbs())});
    Word* data = out.mutable_data();
    py::gil_scoped_release release;
    table_->power(data, rows, n);
    return out;
  }

 private:
  std::shared_ptr<const native::Arithmetic> ring_;
  std::unique_ptr<native::FixedBase> table_;
};

}  // namespace

PYBIND11_MODULE(_native, module) {
  module.doc() = "Batched modular arithmetic in C++; see protocols/primitives/native/README.md.";
  module.def("available_paths", &native::available_paths);
  module.def("processor_features", &native::processor_features);
  py::class_<Modulus>(module, "Modulus")
      .def(py::init<const std::string&, const Array&, const Array&>(), py::arg("path"), py::arg("value").noconvert(),
           py::arg("root").noconvert())
      .def_property_readonly("limbs", &Modulus::limbs)
      .def("first_unreduced", &Modulus::first_unreduced, py::arg("a").noconvert())
      .def("multiply", &Modulus::multiply, py::arg("a").noconvert(), py::arg("b").noconvert())
      .def("power", &Modulus::power, py::arg("bases").noconvert(), py::arg("exponents").noconvert(), py::arg("exponent_bits"),
           py::arg("secret"))
      .def("product", &Modulus::product, py::arg("a").noconvert(), py::arg("starts").noconvert())
      .def("bucket_powers", &Modulus::bucket_powers, py::arg("bases").noconvert(), py::arg("magnitudes").noconvert(),
           py::arg("negative").noconvert(), py::arg("weight_bits"))
      .def("table_powers", &Modulus::table_powers, py::arg("bases").noconvert(), py::arg("inverses").noconvert(),
           py::arg("magnitudes").noconvert(), py::arg("negative").noconvert(), py::arg("weight_bits"))
      .def("prefers_tables", &Modulus::prefers_tables, py::arg("n"), py::arg("rows"), py::arg("weight_bits"),
           py::arg("any_negative"));
  py::class_<FixedBase>(module, "FixedBase")
      .def(py::init<const Modulus&, const Array&, const Array&, int, int>(), py::arg("modulus"),
           py::arg("base").noconvert(), py::arg("inverse").noconvert(), py::arg("exponent_bits"), py::arg("tables"))
      .def_static("table_bytes", &FixedBase::table_bytes, py::arg("modulus"), py::arg("exponent_bits"), py::arg("tables"))
      .def_property_readonly("window_bits", &FixedBase::window_bits)
      .def_property_readonly("size_bytes", &FixedBase::size_bytes)
      .def("power", &FixedBase::power, py::arg("exponents").noconvert());
}
