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

// The functions of one cipher.
struct ChaCha20 {
  static bool is_available() { return stream::has_chacha(); }
  static constexpr auto words32 = stream::chacha32;
  static constexpr auto words64 = stream::chacha64;
};
struct Aes256 {
  static bool is_available() { return stream::has_aes(); }
  static constexpr auto words32 = stream::aes32;
  static constexpr auto words64 = stream::aes64;
};

template <class Cipher, class Element>
void apply(Vector<Element> target, std::uint64_t counter, const Keys& keys, std::size_t plus) {
  if (target.ndim() != 1 || keys.ndim() != 2 || keys.shape(1) != static_cast<py::ssize_t>(stream::kKeyBytes) ||
      plus > static_cast<std::size_t>(keys.shape(0))) {
    throw std::invalid_argument("an array has the wrong shape");
  }
  if (!Cipher::is_available()) throw std::invalid_argument("this processor does not run the kernel");
  Element* const data = target.mutable_data();  // throws if it is read-only
  const std::size_t words = static_cast<std::size_t>(target.shape(0));
  const std::size_t minus = static_cast<std::size_t>(keys.shape(0)) - plus;
  const std::uint8_t* const rows = keys.data();
  py::gil_scoped_release release;
  if constexpr (sizeof(Element) == 4) {
    Cipher::words32(data, words, counter, rows, plus, minus);
  } else {
    Cipher::words64(data, words, counter, rows, plus, minus);
  }
}

template <class Cipher>
void define(py::module_& module, const char* name) {
  py::module_ part = module.def_submodule(name);
  part.def("is_available", &Cipher::is_available);
  part.def("apply", &apply<Cipher, std::uint32_t>, py::arg("target").noconvert(), py::arg("counter"), py::arg("keys").noconvert(),
           py::arg("plus"));
  part.def("apply", &apply<Cipher, std::uint64_t>, py::arg("target").noconvert(), py::arg("counter"), py::arg("keys").noconvert(),
           py::arg("plus"));
}

}  // namespace

PYBIND11_MODULE(_native_stream, module) {
  module.doc() = "Sums of keystreams; see protocols/primitives/native/stream/README.md.";
  define<ChaCha20>(module, "chacha20");
  define<Aes256>(module, "aes256ctr");
}
