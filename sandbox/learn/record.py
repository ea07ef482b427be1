"""Rules that the gate judges a model by, and the record of how it was fitted."""

from __future__ import annotations

from sandbox.errors import UsageError
from sandbox.model.canonical import Document, digest
from sandbox.model.decision import Finding

SMALLEST_PARTIES = 3


class ModelRules(Document, frozen=True, kw_only=True):
    """When a model may be fitted and leave.

    min_rows: rows of each party, behind each round and behind each cluster or class. min_parties: parties left in every
    round, at least 3, since n − 1 parties can subtract themselves. min_degrees_of_freedom: rows minus fitted coefficients.
    """

    min_rows: int = 10
    min_parties: int = SMALLEST_PARTIES
    min_degrees_of_freedom: int = 10

    def __post_init__(self) -> None:
        if self.min_parties < SMALLEST_PARTIES:
            raise UsageError(f"min_parties: at least {SMALLEST_PARTIES}; with two, each sees the other's statistics")
        if self.min_rows < 1 or self.min_degrees_of_freedom < 0:
            raise UsageError("min_rows is 1 or more, min_degrees_of_freedom 0 or more")


class Round(Document, frozen=True, kw_only=True):
    """One secure sum. statistic: what was summed. length: numbers in the vector. rows: behind the sum."""

    number: int
    statistic: str
    length: int
    parties: tuple[str, ...]
    survivors: tuple[str, ...]
    rows: int


class ModelRecord(Document, frozen=True, kw_only=True):
    """How a model came about: what was asked for, every round, every finding. Holds no statistic and no coefficient."""

    estimator: str
    parameters: str
    rules: ModelRules
    bounds: str
    rounds: tuple[Round, ...]
    findings: tuple[Finding, ...]

    def digest(self) -> str:
        """Return `sha256:<hex>` over the record's canonical bytes."""
        return digest(self)
