"""What a demo hands to whoever shows it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sandbox.tasks.explain import Explanation
from sandbox.tasks.product import Product


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Something that a demo tries and that must fail. outcome: the refusal in its own words."""

    title: str
    outcome: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """One question and its answer. seconds: per step. directory: the workspace. bundle, trust: for `sandbox audit verify`."""

    explanation: Explanation
    product: Product
    seconds: dict[str, float]
    directory: Path
    bundle: Path
    trust: Path
    trials: tuple[Trial, ...]
