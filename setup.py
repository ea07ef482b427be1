"""Builds the native engine where a C++17 compiler is found; everything works without it, only slower."""

from pathlib import Path

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

SOURCES = sorted(path.as_posix() for path in Path("protocols/primitives/native").glob("*.cpp"))

setup(
    ext_modules=[
        Pybind11Extension(
            "protocols.primitives._native",
            SOURCES,
            depends=sorted(path.as_posix() for path in Path("protocols/primitives/native").glob("*.h")),
            # Without a fixed standard, pybind11 asks the compiler for one, and a missing compiler aborts the install.
            cxx_std=17,
            # No -march: the kernels name their own instruction sets and are chosen at run time. GCC 12's AVX-512 headers
            # use undefined registers on purpose, which it then warns about. Aligned functions, because the speed of the
            # longest loops was seen to depend on where the linker put them.
            extra_compile_args=["-O3", "-falign-functions=64", "-Wno-uninitialized", "-Wno-maybe-uninitialized"],
            optional=True,
        )
    ]
)
