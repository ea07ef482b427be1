"""What the certificate of released rows holds: counted from the table, the plan and the card alone; and what others found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from sandbox.model.certificate import AttackResult, Figure, Measurement, figure
from sandbox.model.decision import Finding
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.model.release import ReleaseSpec, RiskRules
from sandbox.tasks.measured import Measured, verdict

if TYPE_CHECKING:
    import pyarrow as pa

    from sandbox.gate.rows.table import RowTable

SLACK = 1e-9
PACKAGES = ("pyarrow", "numpy", "pandas", "duckdb")


def measure_rows(plan: Plan, table: pa.Table, card: ProductCard) -> Measured:
    """Return the measures of released rows that anybody can count again, and the linkage of people who are all in the table."""
    from sandbox.gate.rows.table import RowTable

    release, risk, note = plan.release, plan.rules.risk, card.release
    if release is None or risk is None or note is None:
        return Measured(measures=())
    rows = RowTable(plan=plan, table=table, tags=None, root="", committed=card.rows + note.statement.statement.left_out)
    found = (*_table(rows, release, risk, card), *_identifiers(rows), *_classes(rows, release, risk))
    return Measured(measures=found, attacks=(_linkage(rows, release, risk),), packages=PACKAGES)


def told(findings: Sequence[Finding]) -> Measured:
    """Return what only the gate and the provider could find: on the history, and by attacks that need the original."""
    return Measured(
        measures=tuple(
            Measurement(
                name=item.check,
                subject=item.subject,
                value=None,
                threshold=None,
                verdict=verdict(item.verdict == "pass"),
                how="gate",
                note=item.message,
            )
            for item in findings
        )
    )


def _table(rows: RowTable, release: ReleaseSpec, risk: RiskRules, card: ProductCard) -> Iterator[Measurement]:
    from sandbox.gate.rows import promise

    columns = promise.columns(rows)
    yield _measured("columns", "product", None, None, columns.verdict == "pass", columns.message)
    number, least = rows.table.num_rows, rows.plan.rules.min_list
    fits = number >= least and number == card.rows
    yield _measured("rows", "product", figure(number), figure(least), fits, "at least so many, and as many as the card says")
    most = float(risk.suppression) * rows.committed
    left_out = rows.committed - number
    yield _measured(
        "rows_left_out", "product", figure(left_out), figure(most), left_out <= most + SLACK, f"of {rows.committed}"
    )


def _identifiers(rows: RowTable) -> Iterator[Measurement]:
    from sandbox.gate.rows import identifiers

    found = [item for item in identifiers.check(rows) if item.verdict != "pass"]
    note = f"kinds in a column that are recognised, in {rows.table.num_columns} columns"
    yield _measured("identifiers", "product", figure(len(found)), "0", not found, note)


def _classes(rows: RowTable, release: ReleaseSpec, risk: RiskRules) -> Iterator[Measurement]:
    from sandbox.gate.rows import anonymity

    sizes, quasi = rows.sizes, ", ".join(release.quasi)
    smallest = int(sizes.min())
    yield _measured(
        "k", quasi, figure(smallest), figure(risk.k), smallest >= risk.k, f"rows of the smallest of {len(sizes)} classes"
    )
    for name in release.sensitive:
        spread = anonymity.spread(rows.table.column(name), rows.classes)
        yield _measured(
            "l", name, figure(spread.distinct), figure(risk.l), spread.distinct >= risk.l, "values in the worst class"
        )
        near, how = spread.distance <= float(risk.t) + SLACK, "ordered" if spread.ordered else "equal"
        yield _measured("t", name, figure(spread.distance), risk.t, near, f"{how} distance of the furthest class")


def _linkage(rows: RowTable, release: ReleaseSpec, risk: RiskRules) -> AttackResult:
    """Everybody who is in the table, looked for by quasi-identifiers: the expected share, exact, so that it has no interval.

    An auditor with people of their own tries those (`people_in_rows`).
    """
    from sandbox.gate.rows import linkage

    share = linkage.share(rows)
    return AttackResult(
        name="linkage",
        subject=release.asset,
        parameters={"quasi": ", ".join(release.quasi), "people": "all of the table"},
        seed=None,
        figures=(Figure(name="expected_share_found", value=figure(share)),),
        threshold=risk.linkage,
        verdict=verdict(share <= float(risk.linkage)),
        needs="nothing",
        note="each is named one of the rows of their class, at random",
    )


def _measured(name: str, subject: str, value: str | None, threshold: str | None, passes: bool, note: str) -> Measurement:  # noqa: PLR0917
    return Measurement(
        name=name, subject=subject, value=value, threshold=threshold, verdict=verdict(passes), how="bundle", note=note
    )
