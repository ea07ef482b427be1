"""`sandbox bench`: benchmarks against peers, from a checkout."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.cli import console
from sandbox.errors import UsageError

ROOT = Path(__file__).parents[2]
FROM_A_CHECKOUT = 'benchmarks run from a checkout: clone the repository, `pip install -e ".[test]"` in it, and try again there'


def run_bench(
    suite: Annotated[str, typer.Argument(help="What to measure.")] = "paillier",
    peers: Annotated[bool, typer.Option("--peers", help="Also measure other libraries (`poe peers` installs them).")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One core, short rounds, 2048 bits: about a minute.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything to this file, as JSON.")] = None,
) -> None:
    """Measure ours and peers in turn, and judge the targets.

    Prints time, ratio and spread, the machine, the versions, and what is missing.
    """
    found = _suites()
    if suite not in found:
        raise UsageError(f"there is no benchmark {suite!r}; there is: {', '.join(found)}")
    if json_file is not None and not json_file.parent.is_dir():
        raise UsageError(f"{json_file.parent} is not a directory")
    sys.path.insert(0, str(ROOT))
    try:
        module = importlib.import_module(f"benchmarks.{suite}.suite")
    finally:
        sys.path.remove(str(ROOT))
    with console.progress(as_json=False) as on_progress:
        document: dict[str, Any] = module.run(peers=peers, quick=quick, on_progress=on_progress)
    if json_file is not None:
        json_file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    show(document)


def _suites() -> list[str]:
    """Return the benchmarks of this checkout. Raises UsageError outside one."""
    found = sorted(path.parent.name for path in (ROOT / "benchmarks").glob("*/suite.py"))
    if not found:
        raise UsageError(FROM_A_CHECKOUT)
    return found


def show(document: dict[str, Any]) -> None:
    """Print a run: machine, the suite's tables, targets, what is missing."""
    host = document["machine"]
    versions = host["versions"] | {f"{name} (peer)": version for name, version in document["peer_versions"].items()}
    console.table(
        ("", ""),
        [
            ("processor", f"{host['processor']} (family-model-stepping {host['family'] or 'unknown'}), {host['cores']} cores"),
            ("features", " ".join(host["features"])),
            ("load before", f"{host['load_before']} (1, 5, 15 minutes)"),
            ("date", document["date"]),
            ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
            *(("engine", text) for text in dict.fromkeys(document["engines"])),
        ],
    )
    for table in document["tables"]:
        console.say()
        right = range(table["left"], len(table["headers"]))
        console.table(table["headers"], table["rows"], title=table["title"], right=right)
    console.say()
    console.table(("target", "at least", "measured", ""), [_target(target) for target in document["targets"]])
    if document["missing"]:
        console.say()
        console.table(("missing", "why"), [(item["name"], item["why"]) for item in document["missing"]])


def _target(target: dict[str, Any]) -> tuple[str, str, str, str]:
    measured = target["measured"]
    text = "-" if measured is None else f"{measured['ratio']:.3g} ({measured['lowest']:.3g}-{measured['highest']:.3g})"
    verdict = {True: "met", False: "NOT MET", None: "not measured"}[target["met"]]
    return target["what"], f"{target['factor']:,}", text, verdict
