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
class Answer:
    """One question and what was released. seconds: per step. bundle: for `sandbox audit verify`."""

    explanation: Explanation
    product: Product
    seconds: dict[str, float]
    bundle: Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """All answers of a demo, at least one. directory: holds workspace, bundles and trust file. trust: verifies every bundle."""

    answers: tuple[Answer, ...]
    directory: Path
    trust: Path
    trials: tuple[Trial, ...]

    @property
    def explanation(self) -> Explanation:
        """Of the first question."""
        return self.answers[0].explanation

    @property
    def product(self) -> Product:
        """Of the first question."""
        return self.answers[0].product

    @property
    def seconds(self) -> dict[str, float]:
        """Of the first question, per step."""
        return self.answers[0].seconds

    @property
    def bundle(self) -> Path:
        """Of the first question."""
        return self.answers[0].bundle
