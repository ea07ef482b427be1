"""`python -m benchmarks.join`: one case at a chosen size."""

from __future__ import annotations

import argparse
import json
import sys

from benchmarks.join.suite import document, measure
from benchmarks.join.tables import CASES
from sandbox.cli import console
from sandbox.cli.bench import show


def main() -> int:
    """Measure the cases asked for; exit code 1 if a result is not exact."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.join", description=__doc__)
    parser.add_argument("--case", choices=[*CASES, "every"], default="plain")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--key-bits", type=int, default=3072)
    parser.add_argument("--noise", choices=["djn", "subgroup"], default="subgroup")
    parser.add_argument("--threads", type=int, default=2, help="of each node's process")
    parser.add_argument("--json", help="also write everything to this file")
    asked = parser.parse_args()
    results = []
    for case in CASES if asked.case == "every" else [asked.case]:
        with console.progress(as_json=False) as on_progress:
            results.append(
                measure(case, asked.rows, asked.key_bits, asked.noise, threads=asked.threads, on_progress=on_progress)
            )
    whole = document(results, peers=False)
    show(whole)
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(whole, file, indent=1)
    return 0 if all(result["is_exact"] for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
