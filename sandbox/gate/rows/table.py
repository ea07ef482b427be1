"""RowTable: a desensitised table as it reached the gate, with its classes; and how a table is read from a provider's bytes."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sandbox.errors import UsageError
from sandbox.model.decision import Finding, Verdict
from sandbox.model.payload import arrow_file, open_arrow_file
from sandbox.model.plan import Plan
from sandbox.model.release import ReleaseSpec, RiskRules

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowTable:
    """What checks judge. root, committed: Merkle root and rows of the table that its provider committed to.

    tags: (rows,) uint64, a person's in all releases; None, as an auditor has none, where no other release is looked at.
    """

    plan: Plan
    table: pa.Table
    tags: npt.NDArray[np.uint64] | None
    root: str
    committed: int

    @property
    def release(self) -> ReleaseSpec:
        """What the plan promises."""
        if self.plan.release is None:
            raise UsageError("the plan releases no rows")
        return self.plan.release

    @property
    def risk(self) -> RiskRules:
        """What the profile asks for."""
        if self.plan.rules.risk is None:
            raise UsageError(f"the profile {self.plan.rules.profile} does not say how rows are judged")
        return self.plan.rules.risk

    @functools.cached_property
    def classes(self) -> Ints:
        """(rows,) int64: the class of each row by its quasi-identifiers, from 0. A missing value is a value."""
        return renumbered([codes_of(self.table.column(name)) for name in self.release.quasi])

    @functools.cached_property
    def sizes(self) -> Ints:
        """(classes,) int64: rows of each class."""
        return np.bincount(self.classes)

    def finding(self, check: str, verdict: Verdict, message: str, *, column: str = "") -> Finding:
        """Return a finding about the table, or about one of its columns."""
        subject = f"{self.release.asset}.{column}" if column else self.release.asset
        return Finding(check=check, verdict=verdict, subject=subject, message=message)


def codes_of(column: pa.ChunkedArray) -> Ints:
    """Return a column's values as numbers from 0 on, the same for the same value; NULL is one of them."""
    encoded = pc.dictionary_encode(column.combine_chunks(), null_encoding="encode")
    array = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes: Ints = array.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def renumbered(columns: list[Ints]) -> Ints:
    """Return one number from 0 on for each combination of several columns' numbers, (rows,) int64."""
    found = columns[0]
    for column in columns[1:]:
        # Numbered anew after each column, so that no product overflows.
        found = np.unique(found * (int(column.max(initial=0)) + 1) + column, return_inverse=True)[1].reshape(-1)
    return np.unique(found, return_inverse=True)[1].reshape(-1).astype(np.int64)


def read_table(data: bytes) -> pa.Table:
    """Return the table of an Arrow file from outside. Raises UsageError unless it is one whole, plain, valid table."""
    found: Any = None
    try:
        with open_arrow_file(data) as reader:
            plain = all(
                not pa.types.is_dictionary(field.type) and not pa.types.is_nested(field.type) for field in reader.schema
            )
            if plain and not any(isinstance(field.type, pa.BaseExtensionType) for field in reader.schema):
                found = reader.read_all()
                found.validate(full=True)
    except (pa.ArrowException, ValueError, OSError):
        found = None
    if found is None:
        raise UsageError("the bytes are no plain Arrow table")
    # Bytes that no column shows could carry anything.
    if arrow_file(found)[0] != data:
        raise UsageError("the bytes hold more than the table's columns")
    return found
