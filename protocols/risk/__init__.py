"""Risk of re-identification of any table: measured, attacked, judged. Names load on first use. Start with README.md."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.risk import identifiers, reconstruction
    from protocols.risk.attacks import homogeneity, inference, linkability, linkage
    from protocols.risk.crossing import cross_inference
    from protocols.risk.gating import gates
    from protocols.risk.grading import grade
    from protocols.risk.identifiers import dictionary
    from protocols.risk.measures import RiskReport, measure
    from protocols.risk.members import membership
    from protocols.risk.replay import downcoding, minimality
    from protocols.risk.singling import singling_out
    from protocols.risk.statistics import Rate, excess, holm, wilson
    from protocols.risk.synthetic import attack_synthetic
    from protocols.risk.verdict import Finding, Findings, judge, together

_HOMES = {
    "Finding": "verdict",
    "Findings": "verdict",
    "Rate": "statistics",
    "RiskReport": "measures",
    "attack_synthetic": "synthetic",
    "cross_inference": "crossing",
    "dictionary": "identifiers",
    "downcoding": "replay",
    "excess": "statistics",
    "gates": "gating",
    "grade": "grading",
    "holm": "statistics",
    "homogeneity": "attacks",
    "inference": "attacks",
    "judge": "verdict",
    "linkability": "attacks",
    "linkage": "attacks",
    "measure": "measures",
    "membership": "members",
    "minimality": "replay",
    "singling_out": "singling",
    "together": "verdict",
    "wilson": "statistics",
}
_MODULES = ("identifiers", "reconstruction")
__all__ = [
    "Finding",
    "Findings",
    "Rate",
    "RiskReport",
    "attack_synthetic",
    "cross_inference",
    "dictionary",
    "downcoding",
    "excess",
    "gates",
    "grade",
    "holm",
    "homogeneity",
    "identifiers",
    "inference",
    "judge",
    "linkability",
    "linkage",
    "measure",
    "membership",
    "minimality",
    "reconstruction",
    "singling_out",
    "together",
    "wilson",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
