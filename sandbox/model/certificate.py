"""Certificate: what was measured and attacked of a product before its release, so that an auditor can do it again."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Literal as OneOf
from typing import Self

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document, canonical
from sandbox.model.grant import Signature, check_digest
from sandbox.model.party import check_distinct, check_name
from sandbox.model.signature import PrivateIdentity

CERTIFICATE_CONTEXT = "certificate/1"
CertifiedVerdict = OneOf["PASS", "FAIL", "INCONCLUSIVE"]
"""Of what is released, after all withholding. FAIL and INCONCLUSIVE both block the release."""
Needs = OneOf["nothing", "auxiliary data", "history"]

_FIGURE = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d{1,3})?", re.ASCII)
_SEED = re.compile(r"([0-9a-f]{2}){16,64}", re.ASCII)
_MAX_FIGURE = 60
_MAX_SUBJECT = 300


class Measurement(Document, frozen=True, kw_only=True):
    """One measure of a product. value and threshold: decimal text; None where there is nothing to measure, or to hold it to.

    subject: what was measured: a column, a reason, the product. how: `bundle`, whoever has payload, plan and card computes it
    again; `gate`, it needs what only the gate saw. note: what was found, in words that name nobody.
    """

    name: str
    subject: str
    value: str | None
    threshold: str | None
    verdict: CertifiedVerdict
    how: OneOf["bundle", "gate"]
    note: str = ""

    def __post_init__(self) -> None:
        _check_named(self.name, self.subject)
        for text in (self.value, self.threshold):
            if text is not None:
                check_figure(text, field=f"{self.name}.value")


class Figure(Document, frozen=True, kw_only=True):
    """One figure of an attack, decimal text, with the ends of its 95 % interval where it was estimated."""

    name: str
    value: str
    low: str | None = None
    high: str | None = None

    def __post_init__(self) -> None:
        for text in (self.value, self.low, self.high):
            if text is not None:
                check_figure(text, field=f"figures.{self.name}")


class AttackResult(Document, frozen=True, kw_only=True):
    """One attack on a product, and how far it came.

    parameters: all that running it again takes beside the product. seed: hex, of its random choices, if it makes any.
    threshold: the most that is accepted of the figure it judges. needs: what the attacker has beside the product: nothing;
    auxiliary data, which an auditor brings along; or the history of earlier products.
    """

    name: str
    subject: str
    parameters: dict[str, str]
    seed: str | None
    figures: tuple[Figure, ...]
    threshold: str | None
    verdict: CertifiedVerdict
    needs: Needs
    note: str = ""

    def __post_init__(self) -> None:
        _check_named(self.name, self.subject)
        check_distinct(tuple(item.name for item in self.figures), field=f"{self.name}.figures")
        if self.seed is not None and not _SEED.fullmatch(self.seed):
            raise DocumentError(f"{self.name}.seed: 16 to 64 bytes as lower-case hex")
        if self.threshold is not None:
            check_figure(self.threshold, field=f"{self.name}.threshold")


class HistoryPosition(Document, frozen=True, kw_only=True):
    """The release history that a product was judged against.

    position: number of the newest release in the manager's records then, 0 for none. products: digests of the product records
    of the earlier releases of any of its assets, oldest first, as the log names them; never of what the gate keeps of a
    release, whose small counts could be guessed.
    """

    position: int
    products: tuple[str, ...]

    def __post_init__(self) -> None:
        for item in self.products:
            check_digest(item, field="history.products")
        check_distinct(self.products, field="history.products")
        if self.position < len(self.products):
            raise DocumentError("history.position: it counts every release, so at least the products that are named")


class Software(Document, frozen=True, kw_only=True):
    """A package that figures depend on, with its version."""

    name: str
    version: str


class Certificate(Document, frozen=True, kw_only=True):
    """All that was measured of one product. payload, plan: digests of the Arrow file and of the plan.

    The product's card names the signed certificate by its digest, so the two are bound to each other.
    """

    version: OneOf[1]
    task: str
    gate: str
    payload: str
    plan: str
    profile: str
    profile_version: int
    history: HistoryPosition
    measures: tuple[Measurement, ...]
    attacks: tuple[AttackResult, ...]
    software: tuple[Software, ...]

    def __post_init__(self) -> None:
        check_name(self.task, field="task")
        check_name(self.gate, field="gate")
        check_digest(self.payload, field="payload")
        check_digest(self.plan, field="plan")
        check_distinct(tuple(f"{item.name} {item.subject}" for item in self.measures), field="measures")
        check_distinct(tuple(f"{item.name} {item.subject}" for item in self.attacks), field="attacks")
        check_distinct(tuple(item.name for item in self.software), field="software")

    @property
    def summary(self) -> str:
        """The certificate in one line."""
        attacks, earlier = len(self.attacks), len(self.history.products)
        outcome = f"{len(self.blocking)} do not pass" if self.blocking else "all PASS"
        return (
            f"{len(self.measures)} measures, {attacks} attack{'' if attacks == 1 else 's'}, {outcome}; "
            f"judged against {earlier} earlier product{'' if earlier == 1 else 's'}"
        )

    @property
    def blocking(self) -> tuple[Measurement | AttackResult, ...]:
        """What does not pass: nothing, of a product that may be released."""
        return (
            *(item for item in self.measures if item.verdict != "PASS"),
            *(item for item in self.attacks if item.verdict != "PASS"),
        )


class SignedCertificate(Document, frozen=True, kw_only=True):
    """A certificate with the gate's signature. Its digest stands in the card and in the release event."""

    certificate: Certificate
    signature: Signature

    @classmethod
    def sign(cls, certificate: Certificate, identity: PrivateIdentity) -> Self:
        """Return the certificate, signed by the gate that it names."""
        raw = identity.sign(CERTIFICATE_CONTEXT, canonical(certificate))
        return cls(certificate=certificate, signature=Signature(party=certificate.gate, signature=raw.hex()))


def figure(number: int | float | Decimal | Fraction) -> str:
    """Return a number as decimal text: integers and decimals exact, others as the shortest text of the nearest float64."""
    if isinstance(number, int):
        return str(number)
    if isinstance(number, Decimal):
        return format(number, "f")
    return repr(float(number)).removesuffix(".0")


def check_figure(text: str, *, field: str) -> None:
    """Return only if a text is a finite decimal number. Raises DocumentError that names the field."""
    if len(text) > _MAX_FIGURE or not _FIGURE.fullmatch(text):
        raise DocumentError(f"{field}: {text[:_MAX_FIGURE]!a} is no decimal number, such as 10 or 0.25")


def _check_named(name: str, subject: str) -> None:
    check_name(name, field="name")
    if not 0 < len(subject) <= _MAX_SUBJECT:
        raise DocumentError(f"{name}.subject: a text of 1 to {_MAX_SUBJECT} characters")
