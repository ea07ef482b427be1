"""Running a plan's fragment on a provider's own source."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols import join
from sandbox.errors import SourceError
from sandbox.learn.parts import Part
from sandbox.model.asset import Asset
from sandbox.model.plan import Plan
from sandbox.planning import fragment, require_sound
from sandbox.sources import Source
from sandbox.tasks.models.fitting import part_sample
from sandbox.tasks.rows import provider_rows
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalSample(LocalResult):
    """A part's rows for a fit, which stay in its node's memory until the fit ends."""

    part: Part

    def __repr__(self) -> str:
        return "LocalSample(<redacted>)"


def run_fragment(
    plan: Plan, index: int, asset: Asset, source: Source, *, is_cancelled: Callable[[], bool] | None = None
) -> LocalResult:
    """Run one provider's fragment in the source's worker, check what it found, and return what its protocol takes.

    Raises SourceError, with places and counts of rows and never a value, for data that is not as declared.
    """
    found = fragment(plan, index, asset=asset)
    require_columns(found.columns, asset, source)
    source.check_text(found.columns, is_cancelled=is_cancelled)
    statements = [(part.sql, part.parameters) for part in (found.checks, found.rows)]
    with contextlib.closing(source.batches(statements, is_cancelled=is_cancelled)) as batches:
        # Values that break a declaration can make the second statement fail; the first one says before it which and where.
        counts = _counts(next(batches)[1])
        require_sound(found, counts)
        rows = (batch for _, batch in batches)
        if plan.fit is not None:
            return LocalSample(counts=counts, part=part_sample(plan, index, rows))
        if plan.federation is None:
            return LocalRows(counts=counts, rows=provider_rows(plan.inputs[index], plan.key_domain, rows))
        return LocalVector(counts=counts, vector=part_vector(plan, index, pa.Table.from_batches(rows)))


def _counts(table: Any) -> dict[str, int]:
    return {name: int(value) for name, value in table.to_pylist()[0].items()}


def require_columns(names: Sequence[str], asset: Asset, source: Source) -> None:
    """Return only if a source has these columns of a table as declared. Raises SourceError."""
    present = dict(source.schema())
    for name in names:
        declared = asset.column(name)
        if declared is None or name not in present:
            raise SourceError(f"{asset.name}: the source has no column {name!r} any more; register the table again")
        if present[name] != declared.type:
            raise SourceError(
                f"{asset.name}: column {name!r} is {present[name]} in the source, declared {declared.type}; register it again"
            )
