"""Contributors with a value ≥ k for each aggregate of a measure, else that aggregate is withheld (BELOW_K).

A cell may have k keys of which one has a value: its SUM would be that person's amount. k over rows would count a person twice.
Source: Hundepool et al. (2012), section 4.2, with contributors as units.
"""

from __future__ import annotations

from sandbox.gate.cells import persons
from sandbox.gate.checks.outcome import PASS, Outcome, Subject

NAME = "minimum_contributors"


def check(subject: Subject) -> Outcome:
    """Pass from k contributors on, and at none: then SUM is SQL's NULL (NO_VALUES) and COUNT(x) is 0 over at least k keys."""
    moments = subject.moments
    if moments is None or moments.contributors == 0:
        return PASS
    if persons(moments.contributors, subject.overlap) >= subject.rules.min_contributors:
        return PASS
    return Outcome(verdict="fail", reason="BELOW_K")
