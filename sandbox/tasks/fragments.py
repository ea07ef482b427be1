"""Running a plan's fragment on a provider's own source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols import join
from sandbox.errors import SourceError
from sandbox.model.asset import Asset
from sandbox.model.plan import Plan
from sandbox.planning import Fragment, fragment, require_sound
from sandbox.sources import Source, SourceFault
from sandbox.tasks.protocol import provider_rows
from sandbox.tasks.totals import part_vector


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalResult:
    """What a provider computed locally. counts: rows read, rows without a key. Private to it, as all that it computes."""

    counts: dict[str, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalRows(LocalResult):
    """A provider's rows for an encrypted join."""

    rows: join.ProviderRows


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalVector(LocalResult):
    """A part's totals for secure aggregation, (length,) int64."""

    vector: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return "LocalVector(<redacted>)"


def run_fragment(
    plan: Plan, index: int, asset: Asset, source: Source, *, is_cancelled: Callable[[], bool] | None = None
) -> LocalResult:
    """Run one provider's fragment in the source's worker, check what it found, and return what its protocol takes.

    Raises SourceError, with places and counts of rows and never a value, for data that is not as declared.
    """
    counts, table = _read(plan, index, asset, source, is_cancelled)
    if plan.federation is None:
        return LocalRows(counts=counts, rows=provider_rows(plan.inputs[index], plan.key_domain, table))
    return LocalVector(counts=counts, vector=part_vector(plan, index, table))


def _read(
    plan: Plan, index: int, asset: Asset, source: Source, is_cancelled: Callable[[], bool] | None
) -> tuple[dict[str, int], Any]:
    found = fragment(plan, index, asset=asset)
    _require_columns(found, asset, source)
    checks = (found.checks.sql, found.checks.parameters)
    source.check_text(found.columns, is_cancelled=is_cancelled)
    try:
        results: list[Any] = source.query([checks, (found.rows.sql, found.rows.parameters)], is_cancelled=is_cancelled)
    except SourceFault:
        # Values that break a declaration can make the second statement fail; then the first one says which and where.
        require_sound(found, _counts(source.query([checks], is_cancelled=is_cancelled)[0]))
        raise
    counts = _counts(results[0])
    require_sound(found, counts)
    return counts, results[1]


def _counts(table: Any) -> dict[str, int]:
    return {name: int(value) for name, value in table.to_pylist()[0].items()}


def _require_columns(found: Fragment, asset: Asset, source: Source) -> None:
    present = dict(source.schema())
    for name in found.columns:
        declared = asset.column(name)
        if declared is None or name not in present:
            raise SourceError(f"{asset.name}: the source has no column {name!r} any more; register the table again")
        if present[name] != declared.type:
            raise SourceError(
                f"{asset.name}: column {name!r} is {present[name]} in the source, declared {declared.type}; register it again"
            )
