"""Attacks on a released table by its provider, who alone has the original: linkage, inference, homogeneity."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from protocols.primitives.rng import Rng
from sandbox.model.decision import Finding, Verdict
from sandbox.model.plan import Plan
from sandbox.model.release import ReleaseSpec

if TYPE_CHECKING:
    import pandas as pd

    from protocols.risk import Finding as Attack

ATTEMPTS = 200_000
MOST_TIMES = 20
VERDICTS: dict[str, Verdict] = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "inconclusive"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """An attack on one sensitive column: guessing it from a person's class."""

    secret: str
    threshold: float
    rng: Rng

    def attack(self, table: pd.DataFrame, known: list[str]) -> Attack:
        """Return what guessing from these columns finds in a table."""
        from protocols import risk

        return risk.cross_inference(table, known, self.secret, threshold=self.threshold, rng=self.rng)


def attacked(plan: Plan, spec: ReleaseSpec, release: pd.DataFrame, original: pd.DataFrame, *, rng: Rng) -> tuple[Finding, ...]:
    """Return a finding for each attack. release, original: row by row the same people."""
    from protocols import risk

    threshold = float(plan.rules.risk.linkage) if plan.rules.risk else 0.0
    found: list[tuple[str, Attack]] = [("", _linkage(release, spec, threshold, rng))]
    for name in spec.sensitive:
        found.append((name, risk.homogeneity(release, list(spec.quasi), name, rng=rng)))
        found.append((name, _inference(release, original, spec, Guess(secret=name, threshold=threshold, rng=rng))))
    corrected = risk.together([attack for _, attack in found]).items
    subjects = [f"{spec.asset}.{name}" if name else spec.asset for name, _ in found]
    return tuple(_finding(subject, attack) for subject, attack in zip(subjects, corrected, strict=True))


def attacks_asked(spec: ReleaseSpec) -> frozenset[tuple[str, str]]:
    """Return the attacks that a release needs, as (check, subject)."""
    each = {
        (f"provider.{name}", f"{spec.asset}.{column}") for column in spec.sensitive for name in ("homogeneity", "inference")
    }
    return frozenset({("provider.linkage", spec.asset), *each})


def _linkage(release: pd.DataFrame, spec: ReleaseSpec, threshold: float, rng: Rng) -> Attack:
    """Everybody is looked for by what became of their quasi-identifiers, as if an attacker could work that out from the rules.

    Each several times, so that chance does not decide. In one single class nobody can be told from anybody.
    """
    from protocols import risk
    from protocols.risk.verdict import Finding as Made

    quasi = list(spec.quasi)
    labels = release[quasi].astype(object)
    if len(labels.drop_duplicates()) == 1:
        return Made(attack="linkage", verdict="PASS", message="all rows are one class", threshold=threshold)
    times = max(1, min(MOST_TIMES, ATTEMPTS // len(labels)))
    people = labels.iloc[np.tile(np.arange(len(labels)), times)]
    truth = np.tile(np.arange(len(labels)), times).tolist()
    return risk.linkage(labels, people, quasi, truth=truth, threshold=threshold, rng=rng)


def _inference(release: pd.DataFrame, original: pd.DataFrame, spec: ReleaseSpec, guess: Guess) -> Attack:
    """An attack that finds nothing shows something if it works: then the same one must find people in the table as it was."""
    found = guess.attack(release, list(spec.quasi))
    if found.verdict != "INCONCLUSIVE" or found.risk is None or found.risk.high > guess.threshold:
        return found
    before = guess.attack(original, [name for name in original.columns if name != guess.secret])
    if before.risk is None or before.risk.low <= guess.threshold:
        return found
    message = f"{found.message}; in the table as it was the same attack finds {before.risk.value:.0%} by their being in it"
    return dataclasses.replace(found, verdict="PASS", message=message)


def _finding(subject: str, attack: Attack) -> Finding:
    measured = f"; risk {attack.risk}" if attack.risk is not None else ""
    bound = f", at most {attack.threshold:g}" if attack.threshold is not None and measured else ""
    return Finding(
        check=f"provider.{attack.attack}",
        verdict=VERDICTS[attack.verdict],
        subject=subject,
        message=f"{attack.message}{measured}{bound}",
    )
