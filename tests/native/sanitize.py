"""Builds the drivers of this folder with the address and undefined-behaviour sanitizers; runs each on every path here.

`poe sanitize`, or `python tests/native/sanitize.py [--rounds N] [--seed S] [--only DRIVER]`. The compiler is $CXX, else c++.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1] / "protocols" / "primitives" / "native"
FLAGS = [
    "-std=c++17",
    "-O1",
    "-g1",  # line numbers suffice; variables take minutes in functions of thousands of inlined instructions
    "-w",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-fno-omit-frame-pointer",
    f"-I{SOURCES}",
]


PROGRAMS = {
    "driver": sorted(path for path in SOURCES.glob("*.cpp") if path.name != "bindings.cpp"),
    "group_driver": [
        SOURCES / "memory.cpp",
        *sorted(path for path in SOURCES.glob("group/*.cpp") if path.name != "bindings.cpp"),
    ],
    "stream_driver": sorted(path for path in SOURCES.glob("stream/*.cpp") if path.name != "bindings.cpp"),
}


def build(name: str, folder: Path) -> Path:
    """Compile a driver with its kernels (all but the Python bindings); return the program's path."""
    compiler = os.environ.get("CXX", "c++")
    sources = [HERE / f"{name}.cpp", *PROGRAMS[name]]

    def compile_one(source: Path) -> str:
        target = folder / f"{name}-{source.stem}.o"
        subprocess.run([compiler, *FLAGS, "-c", str(source), "-o", str(target)], check=True)
        return str(target)

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, sources))
    program = folder / name
    subprocess.run([compiler, *FLAGS, *objects, "-o", str(program)], check=True)
    return program


def main() -> int:
    """Run them; the exit status is that of the first path that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(PROGRAMS), help="one of the drivers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in [options.only] if options.only else PROGRAMS:
            program = build(name, Path(folder))
            paths = subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.split()
            for path in paths:
                status = subprocess.run([str(program), path, str(options.rounds), str(options.seed)], check=False).returncode
                if status != 0:
                    return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
