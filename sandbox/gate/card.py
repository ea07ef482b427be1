"""The product card of a release: what a reader must know, with every count that could point at few people made coarse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sandbox.gate.cells import ProviderNote
from sandbox.gate.release import Release
from sandbox.model.plan import Plan
from sandbox.model.product import DropCount, ProductCard, ProductColumn, SourceNote


def product_card(
    plan: Plan,
    release: Release,
    *,
    notes: Sequence[ProviderNote] = (),
    clipped: Mapping[int, Sequence[str]] | None = None,
    lineage: Sequence[str] = (),
    certificate: str | None = None,
    licence: str = "",
) -> ProductCard:
    """Return the card of a release. notes: the cell table's; clipped: by input, columns whose values were moved to their bounds.

    lineage: digests of the earlier releases that it was judged against, in the history's order.
    """
    moved = clipped or {}
    return ProductCard(
        version=1,
        title=plan.title,
        purpose=plan.purpose,
        recipients=plan.recipients,
        operator=plan.operator,
        gate=plan.gate,
        sql=plan.sql,
        plan_digest=plan.digest(),
        sources=tuple(
            SourceNote(
                provider=entry.provider,
                asset=entry.asset,
                asset_version=entry.asset_version,
                asset_digest=entry.asset_digest,
                clipped=tuple(moved.get(index, ())),
            )
            for index, entry in enumerate(plan.inputs)
        ),
        method=f"{plan.protocol}: encrypted join, aggregates judged before anyone sees them",
        parameters=plan.parameters,
        profile=plan.rules.profile,
        profile_version=plan.rules.version,
        rules=plan.rules,
        columns=tuple(ProductColumn(name=one.name, type=one.type.name, digits=one.type.digits) for one in release.columns),
        rows=len(release.rows),
        findings=release.findings,
        withheld=release.withheld,
        no_values=release.no_values,
        dropped=tuple(_dropped(plan, note) for note in notes if note.keys_removed or note.rows_removed),
        lineage=tuple(lineage),
        licence=licence,
        certificate=certificate,
    )


def coarse(count: int, k: int) -> str:
    """Return a count as text: 0, the figure from k on, else only that it is below k."""
    return str(count) if count == 0 or count >= k else f"fewer than {k}"


def _dropped(plan: Plan, note: ProviderNote) -> DropCount:
    """Rows are exact only where keys are: few keys with many rows would show who they are."""
    entry, k = plan.inputs[note.input], plan.rules.min_keys
    many = note.keys_removed >= k
    return DropCount(
        provider=entry.provider,
        asset=entry.asset,
        keys=coarse(note.keys_removed, k),
        rows=str(note.rows_removed) if many else f"of fewer than {k} keys",
        groups=coarse(len(note.vanished), k),
    )
