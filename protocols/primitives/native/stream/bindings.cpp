// The module protocols.primitives._native_stream: pointers and sizes for the kernels, without the GIL. Places and keys are
// checked by the caller (keystream.py); shapes are checked here, because a wrong one would read past an array.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <stdexcept>

#include "stream.h"

namespace py = pybind11;

namespace {

template <class Element>
using Vector = py::array_t<Element, py::array::c_style>;
using Keys = py::array_t<std::uint8_t, py::array::c_style>;

template <class Element>
void apply(Vector<Element> target, std::uint64_t counter, const Keys& keys, std::size_t plus) {
  if (target.ndim() != 1 || keys.ndim() != 2 || keys.shape(1) != static_cast<py::ssize_t>(stream::kKeyBytes) ||
      plus > static_cast<std::size_t>(keys.shape(0))) {
    throw std::invalid_argument("an array has the wrong shape");
  }
  if (!stream::is_available()) throw std::invalid_argument("this processor does not run the kernel");
  Element* const data = target.mutable_data();  // throws if it is read-only
  const std::size_t words = static_cast<std::size_t>(target.shape(0));
  const std::size_t minus = static_cast<std::size_t>(keys.shape(0)) - plus;
  const std::uint8_t* const rows = keys.data();
  py::gil_scoped_release release;
  if constexpr (sizeof(Element) == 4) {
    stream::apply32(data, words, counter, rows, plus, minus);
  } else {
    stream::apply64(data, words, counter, rows, plus, minus);
  }
}

}  // namespace

PYBIND11_MODULE(_native_stream, module) {
  module.doc() = "Sums of ChaCha20 keystreams; see protocols/primitives/native/stream/README.md.";
  module.def("is_available", &stream::is_available);
  module.def("apply", &apply<std::uint32_t>, py::arg("target").noconvert(), py::arg("counter"), py::arg("keys").noconvert(),
             py::arg("plus"));
  module.def("apply", &apply<std::uint64_t>, py::arg("target").noconvert(), py::arg("counter"), py::arg("keys").noconvert(),
             py::arg("plus"));
}
