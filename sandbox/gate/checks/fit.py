"""A fit has at least 10 contributors beyond its parameters (BELOW_K) and is not perfect (DOMINANCE).

Functions of (y, x) describe a line, two parameters; COVAR too, which gives CORR beside the variances. Where every point lies
on one line, or a column is constant, whoever knows one value of a contributor would learn the other exactly.
Source: Brandt et al., Guidelines for the checking of output based on microdata research, ESSnet SDC (2010), on correlation
and regression coefficients; the figure is the profile's `min_freedom`.
"""

from __future__ import annotations

from sandbox.gate.cells import persons
from sandbox.gate.checks.outcome import PASS, Outcome, Subject
from sandbox.gate.two_columns import spreads

NAME = "fit"
PARAMETERS = 2


def check(subject: Subject) -> Outcome:
    """Judge every function of two columns; at no contributor they are SQL's NULL."""
    pair = subject.pair
    if pair is None or pair.first.contributors == 0:
        return PASS
    if persons(pair.first.contributors, subject.overlap) - PARAMETERS < subject.rules.min_freedom:
        return Outcome(verdict="fail", reason="BELOW_K")
    found = spreads(pair)
    if found.xx * found.yy == found.xy**2:
        return Outcome(verdict="fail", reason="DOMINANCE")
    return PASS
