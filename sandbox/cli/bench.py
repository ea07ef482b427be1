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
CAUTION = (
    "µs per element and ratio (lowest-highest over rounds); only ratios within one run mean something: load hits all alike"
)


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
    """Print a run: machine, what was measured, targets, what is missing."""
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
            *(("engine", text) for text in _engines(document)),
        ],
    )
    if "tables" in document:
        _show_tables(document)
    else:
        _show_places(document)
    console.say()
    console.table(("target", "at least", "measured", ""), [_target(target) for target in document["targets"]])
    if document["missing"]:
        console.say()
        console.table(("missing", "why"), [(item["name"], item["why"]) for item in document["missing"]])


def _show_tables(document: dict[str, Any]) -> None:
    """Print a suite's own tables."""
    for table in document["tables"]:
        console.say()
        console.table(table["headers"], table["rows"], title=table["title"], right=range(1, len(table["headers"])))


def _show_places(document: dict[str, Any]) -> None:
    """Print contenders, and one table for each key size and number of cores."""
    console.say()
    console.table(
        ("contender", "what differs", "noise exponent, bits", "tables"), [_contender(item) for item in _taking_part(document)]
    )
    for place in sorted({(row["key_bits"], row["cores"]) for row in document["results"]}):
        console.say()
        console.say(f"{place[0]} bits, {place[1]} core{'s' if place[1] > 1 else ''}: {CAUTION}")
        _show_place(document, *place)


def _engines(document: dict[str, Any]) -> list[str]:
    """Return each engine's line once."""
    facts = [key for item in document.get("contenders", {}).values() for key in item["keys"].values()]
    return list(dict.fromkeys(fact["engine"] for fact in facts if "engine" in fact))


def _taking_part(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, item) for name, item in document["contenders"].items() if item["keys"]]


def _contender(named: tuple[str, dict[str, Any]]) -> tuple[str, str, str, str]:
    name, item = named
    bits = " / ".join(str(key["exponent_bits"]) for key in item["keys"].values())
    sizes = " / ".join(f"{key['table_bytes'] / 2**20:.0f}" for key in item["keys"].values() if key.get("table_bytes"))
    return name, item["differs"], bits, f"{sizes} MiB" if sizes else ""


def _show_place(document: dict[str, Any], key_bits: int, cores: int) -> None:
    rows = [row for row in document["results"] if (row["key_bits"], row["cores"]) == (key_bits, cores)]
    peers = [name for name, item in document["contenders"].items() if item["is_peer"] and item["keys"].get(str(key_bits))]
    others = [*peers, "portable djn", *(["one core"] if cores > 1 else [])]
    lines = []
    for row in rows:
        if not row["is_peer"]:
            against = [_ratio(row["against"].get(other)) for other in others]
            lines.append((document["operations"][row["operation"]], row["contender"], f"{row['microseconds']:.4g}", *against))
    console.table(("operation", "ours", "µs", *(f"× {other}" for other in others)), lines, right=range(2, 3 + len(others)))
    slower = [row for row in rows if row["is_peer"] and row["operation"] != "encrypt_owner"]
    if slower:
        console.say("peers, µs:")
        lines = []
        for operation, title in document["operations"].items():
            times = {row["contender"]: f"{row['microseconds']:.4g}" for row in slower if row["operation"] == operation}
            if times:
                lines.append((title, *(times.get(peer, "") for peer in peers)))
        console.table(("operation", *peers), lines, right=range(1, 1 + len(peers)))


def _ratio(measured: dict[str, float] | None) -> str:
    if measured is None:
        return ""
    return f"{measured['ratio']:.3g} ({measured['lowest']:.3g}-{measured['highest']:.3g})"


def _target(target: dict[str, Any]) -> tuple[str, str, str, str]:
    verdict = {True: "met", False: "NOT MET", None: "not measured"}[target["met"]]
    if "what" in target:
        return target["what"], f"{target['factor']:,}", _ratio(target["measured"]) or "-", verdict
    cores = f", {target['cores']} cores" if target["cores"] > 1 else ""
    what = f"{target['operation']}, {target['key_bits']} bits, {target['ours']}{cores}, against {target['peer']}"
    return what, f"{target['factor']:g}", _ratio(target["measured"]) or "-", verdict
