"""A grade in the manner of GB/T 42460-2023. It is a labelled report of our reading, not a statement of conformity."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.errors import ParameterError
from protocols.risk.measures import RiskReport

LABEL = "in the manner of GB/T 42460-2023; no conformity is claimed"
ACCEPTED = 0.05


@dataclass(frozen=True, slots=True)
class Grade:
    """grade: 1 names people directly; 2 tells them apart above the accepted risk; 3 not above it; 4 has no rows of people.

    risk: the highest prosecutor chance, or that of the journalist where a population was given. accepted: what it is held
    against.
    """

    grade: int
    risk: float | None
    accepted: float
    label: str = LABEL


def grade(report: RiskReport | None, *, direct_identifiers: bool, accepted: float = ACCEPTED) -> Grade:
    """Return a table's grade. report: None for a table of aggregates. direct_identifiers: whether any column names people.

    Source: GB/T 42460-2023, chapter 4 (grades) and annex D (k-anonymity, 0.05 as an example for public sharing).
    """
    if not 0 < accepted < 1:
        raise ParameterError("the accepted risk lies between 0 and 1")
    if report is None:
        return Grade(grade=1 if direct_identifiers else 4, risk=None, accepted=accepted)
    risk = (report.journalist or report.prosecutor).highest
    if direct_identifiers:
        return Grade(grade=1, risk=risk, accepted=accepted)
    return Grade(grade=2 if risk > accepted else 3, risk=risk, accepted=accepted)
