"""Learning: scikit-learn estimators that are fitted through secure aggregation or an encrypted join. Needs the extra `learn`.

Names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.learn.clusters import SecureKMeans
    from sandbox.learn.components import SecurePCA
    from sandbox.learn.joined import JoinedLinearRegression
    from sandbox.learn.linear import SecureLinearRegression, SecureRidge
    from sandbox.learn.logistic import SecureLogisticRegression
    from sandbox.learn.scaling import SecureStandardScaler
    from sandbox.model.fit import ModelRecord, ModelRules

_HOMES = {
    "JoinedLinearRegression": "sandbox.learn.joined",
    "ModelRecord": "sandbox.model.fit",
    "ModelRules": "sandbox.model.fit",
    "SecureKMeans": "sandbox.learn.clusters",
    "SecureLinearRegression": "sandbox.learn.linear",
    "SecureLogisticRegression": "sandbox.learn.logistic",
    "SecurePCA": "sandbox.learn.components",
    "SecureRidge": "sandbox.learn.linear",
    "SecureStandardScaler": "sandbox.learn.scaling",
}
__all__ = [
    "JoinedLinearRegression",
    "ModelRecord",
    "ModelRules",
    "SecureKMeans",
    "SecureLinearRegression",
    "SecureLogisticRegression",
    "SecurePCA",
    "SecureRidge",
    "SecureStandardScaler",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sandbox.learn' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
