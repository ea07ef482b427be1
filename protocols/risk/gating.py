"""The hard gates on a table: k, and ℓ and t of each sensitive column, against what a profile asks for."""

from __future__ import annotations

from protocols.errors import ParameterError
from protocols.risk.measures import RiskReport
from protocols.risk.verdict import Finding, Findings

OPEN_K, CONTROLLED_K = 11, 5


def gates(report: RiskReport, *, k: int = OPEN_K, l: int = 2, t: float = 0.2) -> Findings:  # noqa: E741
    """Return one finding a gate. k: the smallest class, 11 for open and 5 for controlled release; l: distinct values; t:
    distance.

    k is that of the population where the report has one (k-map). Sources of the defaults: European Medicines Agency, policy
    0070 (0.09, so 11); k = 5: Ontario's and Statistics Canada's practice, as in El Emam 2013; t = 0.2: within the 0.15 to
    0.2 of Li and others 2007.
    """
    if k < 1 or l < 1 or not 0 <= t <= 1:
        raise ParameterError("k and l are whole numbers from 1 on, t lies between 0 and 1")
    highest = (report.journalist or report.prosecutor).highest
    smallest = round(1 / highest)
    found = [
        Finding(
            attack="k", verdict="PASS" if smallest >= k else "FAIL", message=f"the smallest class has {smallest}, asked for {k}"
        )
    ]
    for name, part in report.diversity.items():
        fine = part.distinct >= l
        text = f"{name!r}: {part.distinct} values in the least diverse class, asked for {l}"
        found.append(Finding(attack="l", verdict="PASS" if fine else "FAIL", message=text))
        distance = part.t if part.t_ordered is None else part.t_ordered
        kind = "equal" if part.t_ordered is None else "ordered"
        text = f"{name!r}: {kind} distance {distance:.3g} in the worst class, asked for {t:g} at most"
        found.append(Finding(attack="t", verdict="PASS" if distance <= t else "FAIL", message=text))
    return Findings(tuple(found))
