"""From a fragment's Arrow batches to a provider's rows, column by column: no Python object for a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols import join
from protocols.errors import ParameterError
from protocols.join import Integers
from protocols.psi import KeyColumn
from protocols.psi.keys import encode_keys
from sandbox.errors import SourceError
from sandbox.model.asset import KeyDomain as DomainDocument
from sandbox.model.plan import PlanInput
from sandbox.tasks.protocol import encode_labels, key_domain

Ints = npt.NDArray[np.int64]


def provider_rows(entry: PlanInput, domain: DomainDocument, batches: Iterable[Any]) -> join.ProviderRows:
    """Return a provider's rows from its fragment's record batches: key_*, group_*, m, and c_*, s_*, q_* per measure.

    Batches are taken one after the other, so that beside the columns only one is in memory. Private to the provider. Raises
    SourceError for keys that are not of the domain's types, or not unique where they are declared so.
    """
    labels: dict[bytes, int] = {}
    keys: list[Any] = []
    groups: list[Ints] = []
    numbers: dict[str, list[Integers]] = {name: [] for name in _number_columns(entry)}
    for batch in batches:
        encoded = _keys(entry, domain, batch)
        kept = batch if len(encoded.rows) == len(batch) else batch.take(pa.array(encoded.rows))
        keys.append(encoded.keys.data)
        groups.append(_local_groups([kept.column(f"group_{at}") for at in range(len(entry.groups))], len(kept), labels))
        for name, parts in numbers.items():
            parts.append(Integers.from_arrow(kept.column(name)))
    whole = KeyColumn(pa.concat_arrays([pa.array([], type=pa.large_binary()), *keys]))
    keys.clear()
    if entry.unique and (domain.trim or domain.fold_case or domain.nfkc):
        _require_unique(entry, domain, whole)
    order = sorted(labels)
    return join.ProviderRows(
        keys=whole,
        groups=_renumbered(groups, labels, order),
        labels=tuple(order),
        multiplicities=_int64(numbers.pop("m")),
        measures=tuple(_measure(number, numbers, len(whole)) for number in range(len(entry.measures))),
    )


def _number_columns(entry: PlanInput) -> list[str]:
    names = ["m"]
    for number, measure in enumerate(entry.measures):
        names.append(f"c_{number}")
        names += [f"s_{number}"] if measure.needs_sum else []
        names += [f"q_{number}"] if measure.needs_squares else []
    return names


def _keys(entry: PlanInput, domain: DomainDocument, batch: Any) -> Any:
    try:
        return encode_keys([batch.column(f"key_{at}") for at in range(len(entry.key))], key_domain(domain))
    except ParameterError as error:
        problem = str(error)
    raise SourceError(f"{entry.asset}: {problem}; declare the key column with the domain's type")


def _require_unique(entry: PlanInput, domain: DomainDocument, keys: KeyColumn) -> None:
    """The source's own check compared keys as they are written; normalised ones may repeat."""
    repeated = len(keys) - len(np.unique(keys.numbers()))
    if repeated:
        # Of rows that a question chose, no number: its conditions would count people one by one.
        told = "some" if entry.filters else repeated
        raise SourceError(
            f"{entry.asset}: it is declared unique, but {told} of its keys repeat others once key domain {domain.name} "
            "has made their spellings one; declare unique=False, or repair the keys"
        )


def _local_groups(columns: list[Any], rows: int, labels: dict[bytes, int]) -> Ints:
    """Number the rows' label tuples as they first appear, over all batches; without GROUP BY there is one, the empty tuple.

    Two tuples with one encoding are one group. Labels become Python values once for each distinct tuple of a batch.
    """
    codes = np.zeros(rows, dtype=np.int64)
    for column in columns:
        encoded = column.dictionary_encode(null_encoding="encode")
        # Numbered anew after each column, so that the product of two stays below the square of the rows.
        codes = np.unique(codes * len(encoded.dictionary) + encoded.indices.to_numpy(), return_inverse=True)[1]
    distinct, first, places = np.unique(codes, return_index=True, return_inverse=True)
    picked = [column.take(pa.array(first)).to_pylist() for column in columns]
    found = np.empty(len(distinct), dtype=np.int64)
    for at in range(len(distinct)):
        found[at] = labels.setdefault(encode_labels(tuple(column[at] for column in picked)), len(labels))
    return found[places]


def _renumbered(groups: list[Ints], labels: dict[bytes, int], order: list[bytes]) -> Ints:
    """Number groups in the order of their encodings: the pattern rule breaks ties by it, in a replay too."""
    number = np.empty(len(order), dtype=np.int64)
    for at, encoded in enumerate(order):
        number[labels[encoded]] = at
    chosen: Ints = number[np.concatenate([np.zeros(0, dtype=np.int64), *groups])]
    return chosen


def _measure(number: int, numbers: dict[str, list[Integers]], rows: int) -> join.MeasureRows:
    def column(name: str) -> Integers:
        return Integers.concatenate(numbers.pop(name)) if name in numbers else Integers.of(np.zeros(rows, dtype=np.int64))

    return join.MeasureRows(
        counts=_int64(numbers.pop(f"c_{number}")), sums=column(f"s_{number}"), squares=column(f"q_{number}")
    )


def _int64(parts: list[Integers]) -> Ints:
    """Return a column of counts; the source counts in 64 bits."""
    column = Integers.concatenate(parts).int64
    return np.zeros(0, dtype=np.int64) if column is None else column
