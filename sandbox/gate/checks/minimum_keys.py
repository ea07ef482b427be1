"""Distinct keys behind a cell ≥ k, else all its aggregates are withheld (BELOW_K).

Rule: threshold (minimum frequency) rule over units, not rows. Source: Hundepool et al., Statistical Disclosure Control (2012),
section 4.2; k from the plan's profile. Where parts of a federated table may share people, N keys over n parts prove ⌈N/n⌉.
"""

from __future__ import annotations

from sandbox.gate.cells import persons
from sandbox.gate.checks.outcome import PASS, Outcome, Subject

NAME = "minimum_keys"


def check(subject: Subject) -> Outcome:
    """Pass from k distinct keys on. A cell of no key and no label, the empty join's COUNT 0, passes: nobody is in it."""
    cell = subject.cell
    if persons(cell.keys, subject.overlap) >= subject.rules.min_keys or (cell.keys == 0 and not cell.labels):
        return PASS
    return Outcome(verdict="fail", reason="BELOW_K")
