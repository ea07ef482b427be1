"""`sandbox doctor`: what is installed and active here, and what is missing."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption
from sandbox.cli.place import WorkspaceOption, find_workspace
from sandbox.errors import EXIT_OTHER, NotFound, SandboxError

PACKAGE = "public-data-sandbox"
CPU_FEATURES = ("bmi2", "adx", "avx2", "avx512f", "avx512ifma", "sha_ni")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?([^;]*)(?:;\s*extra\s*==\s*[\"']([^\"']+)[\"'])?")


def show_doctor(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Tell what is installed and active here.

    Versions, engines, processor features, stores, where a workspace computes; what is missing, with the command that gets it.
    """
    found = examine(workspace)
    if as_json:
        console.emit(found)
    else:
        _show(found)
    if found["problems"]:
        raise typer.Exit(EXIT_OTHER)


def examine(workspace: Path | None = None) -> dict[str, Any]:
    """Return everything that `doctor` tells. workspace: whose means of computing; by default the one around this directory."""
    versions, extras = _packages()
    problems: list[str] = [f"{name} is not installed; reinstall {PACKAGE}" for name, found in versions.items() if not found]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": versions,
        "engine": _engine(problems),
        "ristretto": _ristretto(problems),
        "keystream": _keystream(problems),
        "cpu": {"cores": os.cpu_count(), "features": _cpu_features()},
        "store": _store(problems),
        "compute": _compute(workspace, problems),
        "extras": extras,
        "problems": problems,
    }


def _engine(problems: list[str]) -> dict[str, Any]:
    from protocols.errors import ProtocolError
    from protocols.primitives.engine import get_engine, native_unavailable

    missing = native_unavailable()
    try:
        engine = get_engine()
    except ProtocolError as error:
        problems.append(str(error))
        return {"name": None, "description": None, "native_unavailable": missing}
    return {"name": engine.name, "description": engine.description, "native_unavailable": missing}


def _keystream(problems: list[str]) -> str | None:
    from protocols.errors import ProtocolError
    from protocols.primitives import keystream

    try:
        return keystream.engine_description()
    except ProtocolError as error:
        problems.append(str(error))
        return None


def _ristretto(problems: list[str]) -> str | None:
    from protocols.errors import ProtocolError
    from protocols.primitives import ristretto255

    try:
        return ristretto255.get_group().description
    except ProtocolError as error:
        problems.append(str(error))
        return None


def _store(problems: list[str]) -> dict[str, Any]:
    """The manager's database: SQLite in each workspace, or one PostgreSQL; passwords stay inside."""
    from sandbox.ledger import open_store
    from sandbox.node.workspace import DATABASE_VARIABLE

    address = os.environ.get(DATABASE_VARIABLE)
    if address is None:
        return {"kind": "sqlite", "address": "state.sqlite in each workspace", "usable": True}
    found: dict[str, Any] = {"kind": "by " + DATABASE_VARIABLE, "address": None, "usable": False}
    try:
        store = open_store(address)
        found["address"] = store.name
        with store.transaction():
            found["usable"] = True
        store.close()
    except SandboxError as error:
        problems.append(f"{DATABASE_VARIABLE}: {error}")
    return found


def _compute(given: Path | None, problems: list[str]) -> dict[str, Any]:
    """Which backends are installed, and which one the workspace uses."""
    from sandbox.node.mappers import PACKAGES, is_installed
    from sandbox.node.workspace import read_compute

    found: dict[str, Any] = {"installed": {name: is_installed(name) for name in ("threads", *PACKAGES)}, "workspace": None}
    try:
        place = find_workspace(given)
    except NotFound:
        return found
    try:
        compute = read_compute(place)
    except SandboxError as error:
        problems.append(str(error))
        return found
    if not is_installed(compute.backend):
        problems.append(f"compute.backend is {compute.backend}: {sys.executable} -m pip install '{PACKAGE}[{compute.backend}]'")
    return found | {"workspace": msgspec.to_builtins(compute) | {"directory": str(place)}}


def _cpu_features() -> list[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return []
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return [name for name in CPU_FEATURES if line is not None and name in line[1].split()]


def _packages() -> tuple[dict[str, str | None], list[dict[str, Any]]]:
    versions: dict[str, str | None] = {PACKAGE: _version(PACKAGE)}
    missing: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires(PACKAGE) or []:
        parsed = _REQUIREMENT.match(requirement)
        if parsed is None or parsed[1] == PACKAGE:
            continue
        if parsed[3] is None:
            versions[parsed[1]] = _version(parsed[1])
        else:
            missing.setdefault(parsed[3], [])
            if _version(parsed[1]) is None:
                missing[parsed[3]].append(parsed[1])
    extras = [
        {
            "extra": name,
            "missing": packages,
            "get": f"{sys.executable} -m pip install '{PACKAGE}[{name}]'" if packages else None,
        }
        for name, packages in sorted(missing.items())
        if name != "all"
    ]
    return versions, extras


def _described(compute: dict[str, Any]) -> str:
    place = f" at {compute['address']}" if compute["address"] else "" if compute["backend"] == "threads" else ", started here"
    return f"{compute['backend']}{place}, {compute['workers'] or 'as many workers as cores'}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _show(found: dict[str, Any]) -> None:
    engine = found["engine"]
    compute = found["compute"]["workspace"]
    backends = ", ".join(name for name, here in found["compute"]["installed"].items() if here)
    rows = [
        ("python", f"{found['python']} on {found['platform']}"),
        ("engine", f"{engine['name'] or 'none'}: {engine['description'] or 'see below'}"),
        *([("no native engine", engine["native_unavailable"])] if engine["native_unavailable"] else []),
        ("ristretto255", found["ristretto"] or "none"),
        ("keystreams", found["keystream"] or "none"),
        ("processor", f"{found['cpu']['cores']} cores; {' '.join(found['cpu']['features']) or 'no feature known'}"),
        ("store", f"{found['store']['address'] or found['store']['kind']}"),
        ("compute backends", backends),
        *([("this workspace's", _described(compute))] if compute else []),
    ]
    console.table(("part", "what is here"), rows)
    console.say()
    console.table(("package", "version"), [(name, version or "MISSING") for name, version in found["versions"].items()])
    console.say()
    extras = [(item["extra"], ", ".join(item["missing"]) or "complete", item["get"] or "") for item in found["extras"]]
    console.table(("extra", "missing", "how to get it"), extras)
    for problem in found["problems"]:
        console.say(f"problem: {problem}")
    if not found["problems"]:
        console.say("everything that is needed is here")
