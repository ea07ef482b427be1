// The module protocols.primitives._native_group: pointers and sizes for the kernels, without the GIL. Scalars and points are
// checked by the caller (ristretto255.py); shapes are checked here, because a wrong one would read past an array.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>

#include "group.h"

namespace py = pybind11;

namespace {

using group::Byte;
using Rows = py::array_t<Byte, py::array::c_style>;

void require(bool condition, const char* what) {
  if (!condition) throw std::invalid_argument(what);
}

std::size_t rows_of(const Rows& array, int width) {
  require(array.ndim() == 2 && array.shape(1) == width, "an array has the wrong shape");
  return static_cast<std::size_t>(array.shape(0));
}

class Group {
 public:
  explicit Group(const std::string& path) : path_(group::find_path(path)) {}

  Rows from_uniform(const Rows& uniform) const {
    const std::size_t rows = rows_of(uniform, group::kUniformBytes);
    const Byte* from = uniform.data();
    return result(rows, [&](Byte* out) { path_.from_uniform(out, from, rows); });
  }

  // Either array may have one row for all rows of the other.
  Rows multiply(const Rows& scalars, const Rows& points) const {
    const std::size_t left = rows_of(scalars, group::kRowBytes);
    const std::size_t right = rows_of(points, group::kRowBytes);
    require(left == right || left == 1 || right == 1, "the arrays have different numbers of rows");
    const std::size_t rows = left == 1 ? right : left;
    const Byte* s = scalars.data();
    const Byte* p = points.data();
    const std::size_t s_step = left == rows ? group::kRowBytes : 0;
    const std::size_t p_step = right == rows ? group::kRowBytes : 0;
    return result(rows, [&](Byte* out) { path_.multiply(out, s, s_step, p, p_step, rows); });
  }

  Rows multiply_fixed(const Rows& scalars, const Rows& point) const {
    const std::size_t rows = rows_of(scalars, group::kRowBytes);
    require(rows_of(point, group::kRowBytes) == 1, "there must be one point");
    const Byte* s = scalars.data();
    const Byte* p = point.data();
    return result(rows, [&](Byte* out) { path_.multiply_fixed(out, s, p, rows); });
  }

  Rows multiply_base(const Rows& scalars) const {
    const std::size_t rows = rows_of(scalars, group::kRowBytes);
    const Byte* s = scalars.data();
    return result(rows, [&](Byte* out) { path_.multiply_base(out, s, rows); });
  }

  Rows add(const Rows& a, const Rows& b, bool negate) const {
    const std::size_t rows = rows_of(a, group::kRowBytes);
    require(rows_of(b, group::kRowBytes) == rows, "the arrays have different numbers of rows");
    const Byte* left = a.data();
    const Byte* right = b.data();
    return result(rows, [&](Byte* out) { path_.add(out, left, right, negate, rows); });
  }

  py::array_t<bool> is_valid(const Rows& points) const {
    const std::size_t rows = rows_of(points, group::kRowBytes);
    const Byte* from = points.data();
    return flags(rows, [&](Byte* out) { path_.is_valid(out, from, rows); });
  }

  py::array_t<bool> verify(const Rows& keys, const Rows& hashes, const Rows& signatures) const {
    const std::size_t rows = rows_of(keys, group::kRowBytes);
    require(rows_of(hashes, group::kUniformBytes) == rows && rows_of(signatures, group::kUniformBytes) == rows,
            "the arrays have different numbers of rows");
    const Byte* a = keys.data();
    const Byte* h = hashes.data();
    const Byte* s = signatures.data();
    return flags(rows, [&](Byte* out) { path_.verify(out, a, h, s, rows); });
  }

  Rows agree(const Rows& scalars, const Rows& points) const {
    const std::size_t rows = rows_of(points, group::kRowBytes);
    const std::size_t given = rows_of(scalars, group::kRowBytes);
    require(given == rows || given == 1, "the arrays have different numbers of rows");
    const Byte* s = scalars.data();
    const Byte* p = points.data();
    return result(rows, [&](Byte* out) { path_.agree(out, s, given == rows ? group::kRowBytes : 0, p, rows); });
  }

 private:
  template <class Work>
  static Rows result(std::size_t rows, const Work& work) {
    Rows out({static_cast<py::ssize_t>(rows), static_cast<py::ssize_t>(group::kRowBytes)});
    Byte* data = out.mutable_data();
    py::gil_scoped_release release;
    work(data);
    return out;
  }

  template <class Work>
  static py::array_t<bool> flags(std::size_t rows, const Work& work) {
    py::array_t<bool> out(static_cast<py::ssize_t>(rows));
    auto* data = reinterpret_cast<Byte*>(out.mutable_data());
    py::gil_scoped_release release;
    work(data);
    return out;
  }

  const group::Path& path_;
};

}  // namespace

PYBIND11_MODULE(_native_group, module) {
  module.doc() = "ristretto255 on rows of bytes; see protocols/primitives/native/group/README.md.";
  module.def("available_paths", &group::available_paths);
  py::class_<Group>(module, "Group")
      .def(py::init<const std::string&>(), py::arg("path"))
      .def("from_uniform", &Group::from_uniform, py::arg("uniform").noconvert())
      .def("multiply", &Group::multiply, py::arg("scalars").noconvert(), py::arg("points").noconvert())
      .def("multiply_fixed", &Group::multiply_fixed, py::arg("scalars").noconvert(), py::arg("point").noconvert())
      .def("multiply_base", &Group::multiply_base, py::arg("scalars").noconvert())
      .def("add", &Group::add, py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("negate"))
      .def("is_valid", &Group::is_valid, py::arg("points").noconvert())
      .def("verify", &Group::verify, py::arg("keys").noconvert(), py::arg("hashes").noconvert(), py::arg("signatures").noconvert())
      .def("agree", &Group::agree, py::arg("scalars").noconvert(), py::arg("points").noconvert());
}
