"""Without a compiler the package installs, works on the portable engine, and says how to get the native one."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = ("protocols", "sandbox", "setup.py", "pyproject.toml", "README.md", "LICENSE")
NEEDED = ("pip", "setuptools", "pybind11")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

USE = """
import json
from pathlib import Path
import protocols, sandbox
from protocols import paillier
from protocols.primitives.engine import get_engine, native_unavailable
from sandbox.cli.doctor import examine

public_key, private_key = paillier.generate_insecure_keypair(512)
array = public_key.encrypt([1.5, -2.25, 3.0], scale=2**16, bound=1000)
print(json.dumps({
    "places": [str(Path(module.__file__).parent.parent) for module in (protocols, sandbox)],
    "engine": get_engine().name,
    "unavailable": native_unavailable(),
    "doctor": examine()["engine"],
    "sum": private_key.decrypt((array * 2 + 1).sum()).tolist(),
    "dot": private_key.decrypt(array @ [1, 2, -3]).tolist(),
}))
"""


def run(command: list[str], directory: Path, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "SANDBOX_ENGINE"} | variables
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(bool(MISSING), reason=f"building a wheel needs {', '.join(MISSING)}")
def test_without_a_compiler_a_wheel_is_built_and_works(tmp_path: Path) -> None:
    source, wheels, unpacked = tmp_path / "source", tmp_path / "wheels", tmp_path / "unpacked"
    source.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        else:
            shutil.copy(path, source)
    build = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels)]
    run(build, source, CC="/bin/false", CXX="/bin/false")
    (wheel,) = wheels.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    assert not list(unpacked.rglob("*.so"))
    assert not (unpacked / "benchmarks").exists()
    assert (unpacked / "protocols" / "primitives" / "native" / "kernel.h").exists(), "the sources travel along"

    found = json.loads(run([sys.executable, "-c", USE], tmp_path, PYTHONPATH=str(unpacked)))
    assert found["places"] == [str(unpacked)] * 2
    assert found["engine"] == "portable"
    assert "install a C++17 compiler" in found["unavailable"]
    assert found["doctor"] == {**found["doctor"], "name": "portable", "native_unavailable": found["unavailable"]}
    assert found["sum"] == [7.5]
    assert found["dot"] == [-12.0]

    command = [sys.executable, "-c", "from sandbox.cli.main import main; raise SystemExit(main())", "doctor"]
    assert "install a C++17 compiler" in run(command, tmp_path, PYTHONPATH=str(unpacked))
