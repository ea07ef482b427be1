"""Desensitisation: rules over columns, what each keeps and who can undo it; anonymous tables. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from protocols.desensitise import ff1, models
    from protocols.desensitise.anonymise import Anonymised, k_anonymise
    from protocols.desensitise.hierarchy import Date, Hierarchy, Interval, Prefix, Tree
    from protocols.desensitise.partitioning import mondrian
    from protocols.desensitise.verification import NotAnonymous

_HOMES = {
    "Anonymised": "anonymise",
    "Date": "hierarchy",
    "Hierarchy": "hierarchy",
    "Interval": "hierarchy",
    "NotAnonymous": "verification",
    "Prefix": "hierarchy",
    "Tree": "hierarchy",
    "k_anonymise": "anonymise",
    "mondrian": "partitioning",
}
_MODULES = ("ff1", "models")
__all__ = [
    "Anonymised",
    "Date",
    "Hierarchy",
    "Interval",
    "NotAnonymous",
    "Prefix",
    "Tree",
    "ff1",
    "k_anonymise",
    "models",
    "mondrian",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
