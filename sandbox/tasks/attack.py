"""Attack: an auditor measures a released product again, attacks it, and says where its certificate differs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.audit.bundle import parse_bundle, read_bundle
from sandbox.audit.trust import Trust
from sandbox.audit.verify import verify
from sandbox.errors import AuditError, UsageError
from sandbox.model.canonical import digest
from sandbox.model.certificate import AttackResult, Certificate, CertifiedVerdict, Measurement
from sandbox.model.evidence import Bundle, payload_digest
from sandbox.model.payload import open_arrow_file
from sandbox.tasks.measured import Measured, software
from sandbox.tasks.methods import method_of
from sandbox.tasks.outsider import Published, Together, differences, reconstructions
from sandbox.tasks.people import People
from sandbox.tasks.product import html_table
from sandbox.tasks.shown import are_people

if TYPE_CHECKING:
    import pandas as pd

    from protocols.risk import Finding, Findings

Certified = Measurement | AttackResult
NEARLY = 1e-9
"""Relative: floats that another version of a library may round otherwise."""
BY_THE_GATE = "needs what the gate alone saw"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a certificate says something else than the product shows. certified, recomputed: text; `nothing` where absent."""

    measure: str
    subject: str
    what: str
    certified: str
    recomputed: str

    def __str__(self) -> str:
        where = f"{self.measure} of {self.subject}"
        return f"{where}: the {self.what} is certified as {self.certified}, and is {self.recomputed}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NotRecomputed:
    """What could not be measured again here, and why."""

    measure: str
    subject: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AttackReport:
    """What an auditor found. Jupyter shows it as tables.

    recomputed: measures and attacks of the certificate, measured again. attacks: what was run here beyond them; whom they
    exposed is in their `exposed`, and in no text. verified: whether the bundles were verified under a trust file first.
    """

    task: str
    product: str
    verified: bool
    certificate: Certificate
    recomputed: tuple[Certified, ...]
    differences: tuple[Difference, ...]
    not_recomputed: tuple[NotRecomputed, ...]
    attacks: Findings
    notes: tuple[str, ...]

    @property
    def verdict(self) -> CertifiedVerdict:
        """The worst of all: FAIL for any difference."""
        verdicts = {item.verdict for item in (*self.recomputed, *self.attacks.items)}
        if self.differences or "FAIL" in verdicts:
            return "FAIL"
        return "INCONCLUSIVE" if "INCONCLUSIVE" in verdicts or not self.recomputed else "PASS"

    def require_pass(self) -> None:
        """Return only if everything agrees and passes. Raises AuditError: invalid, or incomplete for INCONCLUSIVE."""
        if self.differences:
            raise AuditError(str(self.differences[0]), place="certificate")
        for verdict, kind in (("FAIL", "invalid"), ("INCONCLUSIVE", "incomplete")):
            for measured in self.recomputed:
                if measured.verdict == verdict:
                    problem = f"{measured.name} of {measured.subject!a} is {verdict}"
                    raise AuditError(problem, place="product", kind=kind)
            for found in self.attacks.items:
                if found.verdict == verdict:
                    raise AuditError(f"{found.attack} is {verdict}: {found.message}", place="product", kind=kind)
        if not self.recomputed:
            raise AuditError("nothing could be measured again", place="certificate", kind="incomplete")

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return (verdict, measure or attack, of, figure, threshold or message) of everything measured and attacked here."""
        return [
            *((item.verdict, item.name, item.subject, _figure(item), _held_to(item)) for item in self.recomputed),
            *((item.verdict, item.attack, "product", "", item.message) for item in self.attacks.items),
        ]

    def _repr_html_(self) -> str:
        head = ("verdict", "measure or attack", "of", "figure", "held to, or found")
        parts = [html_table(head, self.rows(), caption=f"{self.verdict}: product {self.task}")]
        if self.differences:
            lines = [(item.measure, item.subject, item.what, item.certified, item.recomputed) for item in self.differences]
            parts.append(html_table(("measure", "of", "what", "certified", "recomputed"), lines, caption="Differences"))
        if self.not_recomputed:
            left = [(item.measure, item.subject, item.why) for item in self.not_recomputed]
            parts.append(html_table(("measure", "of", "why"), left, caption="Not measured again"))
        return "".join(parts)


def attack(
    bundle: str | Path,
    trust: Trust | str | Path | None = None,
    *,
    history: Iterable[str | Path] = (),
    auxiliary: pd.DataFrame | None = None,
    quasi: Sequence[str] = (),
    sensitive: Sequence[str] = (),
) -> AttackReport:
    """Measure a bundle's product again, attack it, and compare with its certificate. No network, and nothing secret is needed.

    trust: if given, all bundles are verified first. history: bundles of other products, which are attacked together with this
    one. auxiliary: people, of whom an attacker knows the columns `quasi`, named as the product's groups or as the source's
    columns, and would like to know `sensitive`. Raises AuditError for a bundle that contradicts itself, UsageError.
    """
    if (auxiliary is None) != (not quasi) or (sensitive and auxiliary is None):
        raise UsageError("a file of people comes with the columns that an attacker knows of them (quasi), and they with it")
    main, payload = _opened(bundle, trust)
    others = [_opened(path, trust) for path in history]
    if any(digest(other.product) == digest(main.product) for other, _ in others):
        raise UsageError("the history holds the bundle itself; give those of other products")
    certificate, product = main.certificate.certificate, _published(main, payload)
    found = _measured(product)
    certified = _of_the_bundle(certificate.measures, certificate.attacks)
    recomputed = _of_the_bundle(found.measures, found.attacks)
    apart, lineage = _lineage(main, [other for other, _ in others])
    attacks, skipped = _attacked(product, [_published(*other) for other in others], _people(auxiliary, quasi, sensitive))
    return AttackReport(
        task=main.task,
        product=digest(main.product),
        verified=trust is not None,
        certificate=certificate,
        recomputed=recomputed,
        differences=(*_compared(certified, recomputed), *apart),
        not_recomputed=(*_open(certificate, has_history=not lineage), *lineage, *skipped),
        attacks=attacks,
        notes=tuple(_notes(certificate, found.packages, verified=trust is not None)),
    )


def _opened(path: str | Path, trust: Trust | str | Path | None) -> tuple[Bundle, bytes]:
    """Read a bundle; without a trust file, check at least that its parts belong together."""
    if trust is not None:
        verify(path, trust)
    manifest, payload = read_bundle(Path(path))
    bundle = parse_bundle(manifest)
    found, record = bundle.certificate.certificate, bundle.product
    if payload_digest(payload) != record.payload:
        raise AuditError("the file is not the one that was released", place="product.arrow")
    bound = (found.task, found.payload, found.plan) == (bundle.task, record.payload, bundle.plan.digest())
    if not bound or record.card.certificate != digest(bundle.certificate):
        raise AuditError("it is not that of the product beside it", place="certificate")
    return bundle, payload


def _published(bundle: Bundle, payload: bytes) -> Published:
    import pyarrow as pa

    try:
        with open_arrow_file(payload) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError):
        raise AuditError("the file is no Arrow table", place="product.arrow") from None
    if table.column_names != [column.name for column in bundle.product.card.columns]:
        raise AuditError("its columns are not those that the card names", place="product.arrow")
    return Published(plan=bundle.plan, table=table, card=bundle.product.card)


def _measured(product: Published) -> Measured:
    """Measure a product whose plan, card and payload come from a stranger. Raises AuditError if they do not fit each other."""
    try:
        return method_of(product.plan).measure(product.plan, product.table, product.card)
    except (LookupError, TypeError, ValueError, ArithmeticError) as error:
        problem = f"plan, card and payload do not fit each other ({type(error).__name__})"
        raise AuditError(problem, place="product") from None


def _people(frame: pd.DataFrame | None, quasi: Sequence[str], sensitive: Sequence[str]) -> People | None:
    if frame is None:
        return None
    missing = [name for name in (*quasi, *sensitive) if name not in frame.columns and name not in sensitive]
    if missing:
        raise UsageError(f"the people have no column {missing[0]!r}; they have: {', '.join(map(str, frame.columns))}")
    if frame.empty:
        raise UsageError("the file of people has no rows")
    return People(frame=frame, quasi=tuple(quasi), sensitive=tuple(sensitive))


def _attacked(
    product: Published, others: Sequence[Published], people: People | None
) -> tuple[Findings, tuple[NotRecomputed, ...]]:
    """Run what an auditor brings material for: other products, people. What cannot be run is said."""
    from protocols import risk

    findings: list[Finding] = []
    skipped: list[NotRecomputed] = []
    if others:
        met = list(_with_others(product, others))
        findings += [item for item in met if not isinstance(item, NotRecomputed)]
        skipped += [item for item in met if isinstance(item, NotRecomputed)]
    if people is not None:
        method = method_of(product.plan)
        if method.attack is None:
            why = "no attack with people exists for this kind of product"
            skipped.append(NotRecomputed(measure="linkage", subject="product", why=why))
        else:
            findings += method.attack(product.plan, product.table, product.card, people)
    return risk.together(findings), tuple(skipped)


def _with_others(product: Published, others: Sequence[Published]) -> Iterator[Finding | NotRecomputed]:
    """Attack a product with others, as far as what is published of its kind allows it."""
    plan = product.plan
    if plan.release is not None:
        why = "which rows are whose in several products, only the gate's record of keyed tags tells"
        yield NotRecomputed(measure="differencing", subject="product", why=why)
        return
    few = f"of fewer than {plan.rules.min_difference} people"
    yield _together("differencing", differences(product, others), len(others), few)
    if plan.fit is not None:
        yield NotRecomputed(measure="reconstruction", subject="product", why="a model counts no cells")
    elif are_people(plan):
        yield _together("reconstruction", reconstructions(product, others), len(others), "a small count too closely")
    else:
        why = "keys repeat: a count of rows states none of people, which the gate alone knows"
        yield NotRecomputed(measure="reconstruction", subject="product", why=why)


def _together(name: str, found: Together, others: int, told: str) -> Finding:
    """Return the finding of an attack with other products. told: what the numbers tell that they must not."""
    from protocols.risk import Finding

    with_them = f"with {found.compared} of {others} other products that speak of the same rows"
    if found.numbers is None:
        why = "noise, groups that are not shown, HAVING, LIMIT, too many combinations, or data that changed"
        return Finding(attack=name, verdict="INCONCLUSIVE", message=f"{with_them}, it cannot be decided: {why}")
    named = tuple({"cell": list(labels), "column": column} for labels, column in found.numbers)
    text = f"{len(named)} numbers tell {told}, {with_them}"
    return Finding(attack=name, verdict="FAIL" if named else "PASS", message=text, exposed=named)


def _lineage(main: Bundle, others: Sequence[Bundle]) -> tuple[list[Difference], list[NotRecomputed]]:
    """Compare the products that the certificate was judged against with those that an auditor has."""
    history = main.certificate.certificate.history
    given = {digest(other.product): other for other in others}
    missing = [name for name in history.products if name not in given]
    left = [
        NotRecomputed(measure="history", subject=name, why="this earlier product was not given (--history)") for name in missing
    ]
    assets = _assets(main)
    forgotten = [
        Difference(measure="history", subject=other.task, what="earlier product", certified="nothing", recomputed=name)
        for name, other in given.items()
        if other.certificate.certificate.gate == main.certificate.certificate.gate
        and other.certificate.certificate.history.position < history.position
        and assets & _assets(other)
        and name not in history.products
    ]
    return forgotten, left


def _assets(bundle: Bundle) -> frozenset[str]:
    return frozenset(source.asset for source in bundle.product.card.sources)


def _of_the_bundle(measures: Iterable[Measurement], attacks: Iterable[AttackResult]) -> tuple[Certified, ...]:
    """What can be measured again from one bundle."""
    found: list[Certified] = [item for item in measures if item.how == "bundle"]
    return (*found, *(item for item in attacks if item.needs == "nothing"))


def _open(certificate: Certificate, *, has_history: bool) -> Iterator[NotRecomputed]:
    """What the certificate holds that cannot be measured again here. has_history: no earlier product is missing."""
    for measure in certificate.measures:
        if measure.how == "gate":
            why = f"{BY_THE_GATE}: {measure.note}" if measure.note else BY_THE_GATE
            yield NotRecomputed(measure=measure.name, subject=measure.subject, why=why)
    for item in certificate.attacks:
        if item.needs == "auxiliary data" or (item.needs == "history" and not has_history):
            why = "needs people (--auxiliary)" if item.needs != "history" else "needs all earlier products (--history)"
            yield NotRecomputed(measure=item.name, subject=item.subject, why=f"{why}; of the gate's run: {item.note}")


def _compared(certified: Sequence[Certified], recomputed: Sequence[Certified]) -> Iterator[Difference]:
    """Yield every difference, in the certificate's order, then what it does not have."""
    mine = {(item.name, item.subject): item for item in recomputed}
    theirs = {(item.name, item.subject): item for item in certified}
    for (name, subject), item in theirs.items():
        other = mine.get((name, subject))
        if other is None:
            yield Difference(measure=name, subject=subject, what="measure", certified="there", recomputed="nothing")
            continue
        facts, found = _facts(item), _facts(other)
        for what in dict.fromkeys((*facts, *found)):
            if not _same(facts.get(what), found.get(what)):
                told, is_now = (_text(side.get(what)) for side in (facts, found))
                yield Difference(measure=name, subject=subject, what=what, certified=told, recomputed=is_now)
    for (name, subject), item in mine.items():
        if (name, subject) not in theirs:
            yield Difference(measure=name, subject=subject, what="value", certified="nothing", recomputed=_figure(item))


def _facts(item: Certified) -> dict[str, str | None]:
    """Everything of a measure or attack that must agree, by what it is."""
    if isinstance(item, Measurement):
        return {"value": item.value, "threshold": item.threshold, "verdict": item.verdict}
    figures = {
        f"{figure.name}{end}": text
        for figure in item.figures
        for end, text in (("", figure.value), (" (low end)", figure.low), (" (high end)", figure.high))
    }
    given = {f"parameter {name}": value for name, value in item.parameters.items()}
    return figures | given | {"seed": item.seed, "threshold": item.threshold, "verdict": item.verdict}


def _same(one: str | None, other: str | None) -> bool:
    if one == other or one is None or other is None:
        return one == other
    try:
        return math.isclose(float(one), float(other), rel_tol=NEARLY, abs_tol=0) and ("." in one or "e" in one)
    except ValueError:
        return False


def _text(value: str | None) -> str:
    return "nothing" if value is None else value


def _figure(item: Certified) -> str:
    if isinstance(item, Measurement):
        return _text(item.value)
    return ", ".join(f"{figure.name} {figure.value}" for figure in item.figures) or "nothing"


def _held_to(item: Certified) -> str:
    return item.note if item.threshold is None else f"{item.threshold}; {item.note}" if item.note else item.threshold


def _notes(certificate: Certificate, packages: tuple[str, ...], *, verified: bool) -> Iterator[str]:
    if not verified:
        yield "no trust file was given: who signed this bundle was not checked"
    here = {item.name: item.version for item in software(packages)}
    for item in certificate.software:
        if here.get(item.name, item.version) != item.version:
            yield f"{item.name} is {here[item.name]} here; the certificate was made with {item.version}"


def as_document(report: AttackReport) -> dict[str, Any]:
    """Return a report for machines: figures and verdicts, and nobody who was exposed."""
    return {
        "task": report.task,
        "product": report.product,
        "verified": report.verified,
        "verdict": report.verdict,
        "recomputed": report.recomputed,
        "differences": report.differences,
        "not_recomputed": report.not_recomputed,
        "attacks": [
            {
                "name": item.attack,
                "verdict": item.verdict,
                "message": item.message,
                "threshold": item.threshold,
                "risk": None if item.risk is None else dataclasses.asdict(item.risk),
            }
            for item in report.attacks.items
        ],
        "notes": report.notes,
    }
