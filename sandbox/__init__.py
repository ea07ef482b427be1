"""The sandbox: questions over several agencies' raw data, computed on ciphertext, released through a gate, audited offline.

Names load on first use, so that the verifier of an audit imports nothing heavy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.audit.verify import verify
    from sandbox.catalogue import federation, table
    from sandbox.embedded import Embedded
    from sandbox.errors import AuditError, Denied, QuestionError, SourceError, Withheld
    from sandbox.model.asset import KeyDomain
    from sandbox.model.compute import Compute
    from sandbox.tasks.attack import attack
    from sandbox.tasks.product import Product

_HOMES = {
    "Embedded": "sandbox.embedded",
    "QuestionError": "sandbox.errors",
    "AuditError": "sandbox.errors",
    "Denied": "sandbox.errors",
    "SourceError": "sandbox.errors",
    "Withheld": "sandbox.errors",
    "KeyDomain": "sandbox.model.asset",
    "Compute": "sandbox.model.compute",
    "Product": "sandbox.tasks.product",
    "federation": "sandbox.catalogue",
    "table": "sandbox.catalogue",
    "attack": "sandbox.tasks.attack",
    "verify": "sandbox.audit.verify",
}
__all__ = [
    "AuditError",
    "Compute",
    "Denied",
    "Embedded",
    "KeyDomain",
    "Product",
    "QuestionError",
    "SourceError",
    "Withheld",
    "attack",
    "federation",
    "table",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "learn":
        return importlib.import_module("sandbox.learn")
    if name not in _HOMES:
        raise AttributeError(f"module 'sandbox' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
