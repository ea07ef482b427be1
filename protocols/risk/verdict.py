"""Verdicts on attacks: PASS, FAIL or INCONCLUSIVE, which blocks a release like FAIL."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

import pandas as pd

from protocols.risk.statistics import CONFIDENCE, Estimate, Rate, better_than, exceeds, excess, holm, wilson

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
LINKAGE_THRESHOLD = 0.09
NO_BETTER = "; no better than guessing, so it shows nothing"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What an attack found.

    risk: with its 95 % interval; None where nothing was measured. threshold: the most that is accepted for its upper end.
    p_value: of "the risk is at most the threshold", for Holm's correction; None for a finding that is certain.
    message: counts and reasons, for everyone; it names nobody. exposed: the rows (of the attacked table), values or cells
    that were found out: for the auditor only, and in no text here.
    """

    attack: str
    verdict: Verdict
    message: str
    risk: Estimate | None = None
    threshold: float | None = None
    p_value: float | None = None
    exposed: tuple[object, ...] = dataclasses.field(default=(), repr=False)

    @property
    def blocks(self) -> bool:
        """Whether a release must not go out."""
        return self.verdict != "PASS"


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """The findings of several attacks."""

    items: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of all; INCONCLUSIVE for none at all."""
        verdicts = {item.verdict for item in self.items}
        if "FAIL" in verdicts:
            return "FAIL"
        return "PASS" if verdicts == {"PASS"} else "INCONCLUSIVE"

    def to_frame(self) -> pd.DataFrame:
        """Return a table of the findings, without what was exposed."""
        return pd.DataFrame(
            [
                {
                    "attack": item.attack,
                    "verdict": item.verdict,
                    "risk": item.risk.value if item.risk else None,
                    "low": item.risk.low if item.risk else None,
                    "high": item.risk.high if item.risk else None,
                    "threshold": item.threshold,
                    "found": item.message,
                }
                for item in self.items
            ]
        )

    def _repr_html_(self) -> str:
        return self.to_frame().to_html(index=False, escape=True)


def judge(
    attack: str,
    rate: Rate,
    *,
    control: Rate | None,
    baseline: Rate,
    threshold: float,
    message: str = "",
    exposed: Iterable[object] = (),
) -> Finding:
    """Return a finding from an attack, the same attack on people that the release never saw, and a guess without the release.

    FAIL: the risk is above the threshold (p < 5 %). PASS: its upper 95 % bound is not, and the attack beats the baseline, which
    shows that it works at all. INCONCLUSIVE otherwise: too few attempts, or an attack that does no better than guessing.
    """
    risk = wilson(rate) if control is None else excess(rate, control)
    p_value = exceeds(risk, threshold)
    named = (("", rate), ("control ", control), ("guessing ", baseline))
    text = ", ".join(f"{name}{item}" for name, item in named if item is not None) + (f"; {message}" if message else "")
    verdict: Verdict
    if p_value < 1 - CONFIDENCE:
        verdict = "FAIL"
    elif risk.high > threshold:
        verdict, text = "INCONCLUSIVE", f"{text}; too few attempts to tell"
    elif better_than(rate, baseline) >= 1 - CONFIDENCE:
        verdict, text = "INCONCLUSIVE", f"{text}{NO_BETTER}"
    else:
        verdict = "PASS"
    return Finding(
        attack=attack, verdict=verdict, message=text, risk=risk, threshold=threshold, p_value=p_value, exposed=tuple(exposed)
    )


def together(findings: Sequence[Finding]) -> Findings:
    """Return findings of attacks on one release, corrected for their number: a FAIL by chance alone becomes INCONCLUSIVE.

    Only failures are corrected. That all of several attacks pass is not made likelier by their number.
    """
    tested = [at for at, item in enumerate(findings) if item.p_value is not None]
    corrected = dict(zip(tested, holm([findings[at].p_value or 0.0 for at in tested]), strict=True))
    kept = []
    for at, item in enumerate(findings):
        if item.verdict == "FAIL" and corrected.get(at, 0.0) >= 1 - CONFIDENCE:
            text = f"{item.message}; above the threshold, but not beyond chance among {len(tested)} tests"
            kept.append(dataclasses.replace(item, verdict="INCONCLUSIVE", message=text))
        else:
            kept.append(item)
    return Findings(tuple(kept))
