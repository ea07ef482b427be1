"""Measured: what a method finds of a product that is about to be released, and that an auditor finds again."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import platform

from sandbox.model.certificate import AttackResult, Certificate, CertifiedVerdict, HistoryPosition, Measurement, Software
from sandbox.model.evidence import payload_digest
from sandbox.model.plan import Plan

PACKAGE = "public-data-sandbox"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Measures and attacks of one product. packages: what else the figures depend on, whose versions the certificate states."""

    measures: tuple[Measurement, ...]
    attacks: tuple[AttackResult, ...] = ()
    packages: tuple[str, ...] = ()

    def and_also(self, other: Measured) -> Measured:
        """Return both together: what can be recomputed, and what only the gate could measure."""
        return Measured(
            measures=(*self.measures, *other.measures),
            attacks=(*self.attacks, *other.attacks),
            packages=tuple(dict.fromkeys((*self.packages, *other.packages))),
        )


def certify(task: str, plan: Plan, payload: bytes, measured: Measured, history: HistoryPosition) -> Certificate:
    """Return the certificate of a product, for the gate to sign."""
    return Certificate(
        version=1,
        task=task,
        gate=plan.gate,
        payload=payload_digest(payload),
        plan=plan.digest(),
        profile=plan.rules.profile,
        profile_version=plan.rules.version,
        history=history,
        measures=measured.measures,
        attacks=measured.attacks,
        software=software(measured.packages),
    )


def software(packages: tuple[str, ...] = ()) -> tuple[Software, ...]:
    """Return the versions of this project, of Python and of other packages, as they are installed here."""
    names = dict.fromkeys((PACKAGE, *packages))
    versions = [Software(name=name, version=_version(name)) for name in names]
    return (versions[0], Software(name="python", version=platform.python_version()), *versions[1:])


def verdict(passes: bool) -> CertifiedVerdict:
    """Return PASS or FAIL."""
    return "PASS" if passes else "FAIL"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
