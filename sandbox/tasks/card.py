"""The card of a product: what every method says alike, and that of a table of cells."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from sandbox.gate.cells import CellTable, ProviderNote
from sandbox.gate.release import Release
from sandbox.model.decision import Finding
from sandbox.model.plan import Plan
from sandbox.model.product import AbsentPart, DropCount, ProductCard, ProductColumn, SourceNote
from sandbox.tasks.methods import method_of


def product_card(
    plan: Plan, table: CellTable, release: Release, *, absent: tuple[AbsentPart, ...] = (), licence: str = ""
) -> ProductCard:
    """Return the card of a product: everything that its reader must know. absent: parts that fell silent."""
    k = plan.rules.min_keys
    return card_of(
        plan,
        sources=sources_of(plan, table.parts),
        columns=tuple(
            ProductColumn(name=column.name, type=column.type.name, digits=column.type.digits) for column in release.columns
        ),
        rows=len(release.rows),
        findings=release.findings,
        withheld=release.withheld,
        no_values=release.no_values,
        marks=release.marks,
        dropped=tuple(
            DropCount(
                provider=plan.inputs[note.input].provider,
                asset=plan.inputs[note.input].asset,
                keys=coarse(note.keys_removed, k),
                rows=rows_removed(note, k),
                groups=coarse(len(note.vanished), 1),
            )
            for note in table.notes
        ),
        licence=licence,
        absent=absent,
    )


def card_of(
    plan: Plan,
    *,
    sources: tuple[SourceNote, ...],
    columns: tuple[ProductColumn, ...],
    rows: int,
    findings: tuple[Finding, ...],
    **more: Any,
) -> ProductCard:
    """Return a card with all that the plan says of its product. more: fields of a method's own; none is withheld by default."""
    return ProductCard(
        version=1,
        title=plan.title,
        purpose=plan.purpose,
        recipients=plan.recipients,
        operator=plan.operator,
        gate=plan.gate,
        sql=plan.sql,
        plan_digest=plan.digest(),
        sources=sources,
        method=method_of(plan).title(plan),
        parameters=plan.parameters,
        profile=plan.rules.profile,
        profile_version=plan.rules.version,
        rules=plan.rules,
        columns=columns,
        rows=rows,
        findings=findings,
        lineage=(),
        **{"withheld": (), "no_values": (), "marks": (), "dropped": ()} | more,
    )


def sources_of(plan: Plan, parts: Container[str]) -> tuple[SourceNote, ...]:
    """Return the sources of a product. parts: assets that are in it, where they are parts of a federated table."""
    return tuple(
        SourceNote(
            provider=entry.provider,
            asset=entry.asset,
            asset_version=entry.asset_version,
            asset_digest=entry.asset_digest,
            clipped=tuple(measure.column for measure in entry.measures if measure.clip),
        )
        for entry in plan.inputs
        if plan.federation is None or entry.asset in parts
    )


def rows_removed(note: ProviderNote, k: int) -> str:
    """Return a note's removed rows, exact only where at least k keys were removed."""
    if 0 < note.keys_removed < k:
        return f"those of fewer than {k} keys"
    return str(note.rows_removed)


def coarse(count: int, k: int) -> str:
    """Return a count as a card may show it: `0`, `fewer than k`, or itself."""
    return f"fewer than {k}" if 0 < count < k else str(count)
