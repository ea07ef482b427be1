"""Desensitisation: rules over columns, what each keeps and who can undo it; anonymous tables. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.desensitise import ff1, models
    from protocols.desensitise.anonymise import Anonymised, k_anonymise
    from protocols.desensitise.errors import DataError, TooFewRows, TwinRefused
    from protocols.desensitise.hierarchy import Date, Hierarchy, Interval, Prefix, Tree
    from protocols.desensitise.partitioning import mondrian
    from protocols.desensitise.synthesis.aggregates import Aggregates
    from protocols.desensitise.synthesis.counting import twin_aggregates
    from protocols.desensitise.synthesis.sampling import sample_twin
    from protocols.desensitise.synthesis.twin import Twin, synthesise
    from protocols.desensitise.verification import NotAnonymous

_HOMES = {
    "Aggregates": "synthesis.aggregates",
    "Anonymised": "anonymise",
    "DataError": "errors",
    "Date": "hierarchy",
    "Hierarchy": "hierarchy",
    "Interval": "hierarchy",
    "NotAnonymous": "verification",
    "Prefix": "hierarchy",
    "TooFewRows": "errors",
    "Tree": "hierarchy",
    "Twin": "synthesis.twin",
    "TwinRefused": "errors",
    "k_anonymise": "anonymise",
    "mondrian": "partitioning",
    "sample_twin": "synthesis.sampling",
    "synthesise": "synthesis.twin",
    "twin_aggregates": "synthesis.counting",
}
_MODULES = ("ff1", "models")
__all__ = [
    "Aggregates",
    "Anonymised",
    "DataError",
    "Date",
    "Hierarchy",
    "Interval",
    "NotAnonymous",
    "Prefix",
    "TooFewRows",
    "Tree",
    "Twin",
    "TwinRefused",
    "ff1",
    "k_anonymise",
    "models",
    "mondrian",
    "sample_twin",
    "synthesise",
    "twin_aggregates",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
