"""Builds the native kernels where a C++17 compiler is found; everything works without them, only slower."""

from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

NATIVE = Path("protocols/primitives/native")


def extension(name: str, sources: list[Path], headers: list[Path]) -> Pybind11Extension:
    """Describe one optional extension, built anew when one of its files changes."""
    return Pybind11Extension(
        name,
        sorted(path.as_posix() for path in sources),
        depends=sorted(path.as_posix() for path in headers),
        # Without a fixed standard, pybind11 asks the compiler for one, and a missing compiler aborts the install.
        cxx_std=17,
        # No -march: the kernels name their own instruction sets and are chosen at run time. GCC 12's AVX-512 headers
        # use undefined registers on purpose, which it then warns about; and it notes that vectors as arguments have another
        # convention without AVX-512, which concerns no function that is not inlined. Aligned functions, because the speed of
        # the longest loops was seen to depend on where the linker put them.
        extra_compile_args=["-O3", "-falign-functions=64", "-Wno-uninitialized", "-Wno-maybe-uninitialized", "-Wno-psabi"],
        optional=True,
    )


setup(
    ext_modules=[
        extension("protocols.primitives._native", list(NATIVE.glob("*.cpp")), list(NATIVE.glob("*.h"))),
        extension(
            "protocols.primitives._native_group",
            [*NATIVE.glob("group/*.cpp"), NATIVE / "memory.cpp"],
            [*NATIVE.glob("group/*.h"), NATIVE / "memory.h"],
        ),
        extension("protocols.primitives._native_stream", [*NATIVE.glob("stream/*.cpp")], [*NATIVE.glob("stream/*.h")]),
    ]
)
