"""One finding per check over the whole product: how many were judged and how many withheld, never which value."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sandbox.model.decision import Finding, Reason, Verdict


@dataclass(slots=True)
class Tally:
    """Counts of one check's answers while a release is judged."""

    unit: str
    reason: Reason
    passed: int = 0
    failed: int = 0
    unproved: int = 0
    remark: str = ""
    merged: bool = False

    def add(self, verdict: Verdict, count: int = 1) -> None:
        """Count answers."""
        self.passed += count if verdict == "pass" else 0
        self.failed += count if verdict == "fail" else 0
        self.unproved += count if verdict == "inconclusive" else 0

    def finding(self, check: str) -> Finding:
        """Return the finding; inconclusive withholds as failing does. A merged one does not tell what failed."""
        if self.merged:
            message = f"{self.unit}: how many were withheld is stated with other reasons, as RECONSTRUCTION"
            return Finding(check=check, verdict="inconclusive", subject="product", message=message, reason="RECONSTRUCTION")
        judged = self.passed + self.failed + self.unproved
        parts = [f"{self.unit}: {judged} judged, {self.failed + self.unproved} withheld"]
        if self.unproved:
            parts.append(f"{self.unproved} of them since safety could not be proved")
        if self.remark:
            parts.append(self.remark)
        verdict: Verdict = "fail" if self.failed else "inconclusive" if self.unproved else "pass"
        return Finding(
            check=check,
            verdict=verdict,
            subject="product",
            message="; ".join(parts),
            reason=None if verdict == "pass" else self.reason,
        )


@dataclass(slots=True)
class Tallies:
    """The gate's checks in the order in which they run."""

    by_check: dict[str, Tally] = field(
        default_factory=lambda: {
            "minimum_keys": Tally("cells", "BELOW_K"),
            "minimum_contributors": Tally("aggregates", "BELOW_K"),
            "dominance": Tally("aggregates", "DOMINANCE"),
            "fit": Tally("aggregates", "BELOW_K"),
            "rare_group": Tally("groups removed before the join", "RARE_GROUP"),
            "secondary": Tally("aggregates", "SECONDARY"),
            "difference": Tally("aggregates", "DIFFERENCE"),
            "reconstruction": Tally("aggregates", "RECONSTRUCTION"),
        }
    )

    def __getitem__(self, check: str) -> Tally:
        return self.by_check[check]

    def merge(self, into: str, apart: Collection[str]) -> None:
        """Let one check state what it and all others but those `apart` withheld."""
        for check, tally in self.by_check.items():
            tally.merged = check != into and check not in apart

    def findings(self) -> tuple[Finding, ...]:
        """Return one finding per check, passing ones included."""
        return tuple(tally.finding(check) for check, tally in self.by_check.items())
