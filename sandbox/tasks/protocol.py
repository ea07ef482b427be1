"""From a plan to the encrypted join and back: its parameters, a provider's rows, the gate's cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from protocols import join
from protocols.errors import ParameterError
from protocols.psi.keys import KeyDomain, encode_keys
from sandbox.errors import SourceError, UsageError
from sandbox.gate.cells import Cell, CellTable, Label, Labels, Place, ProviderNote
from sandbox.gate.labels import from_literal, to_literal
from sandbox.model.asset import KeyDomain as DomainDocument
from sandbox.model.expression import Literal
from sandbox.model.plan import Plan, PlanInput
from sandbox.tasks import pairs


def join_params(plan: Plan, gate_key: str) -> join.JoinParams:
    """Return the parameters of the join that a plan asks for. gate_key: fingerprint of the gate's Paillier key."""
    noise = plan.parameters.noise
    if noise == "full":
        raise UsageError("noise 'full' is for interchange only and never enters a join; use 'djn' or 'subgroup'")
    rules = plan.rules
    judged = any(rule is not None for rule in (rules.dominance_1, rules.dominance_2, rules.p_percent))
    return join.JoinParams(
        plan=plan.digest(),
        key_domain=key_domain(plan.key_domain),
        providers=tuple(
            join.ProviderSpec(
                name=entry.provider,
                unique=entry.unique,
                carries=entry.carries,
                opens_multiplicity=entry.opens_multiplicity,
                measures=tuple(_measure_spec(plan, (index, number), judged) for number in range(len(entry.measures))),
            )
            for index, entry in enumerate(plan.inputs)
        ),
        products=pairs.products(plan, judged=judged),
        operator=plan.operator,
        gate=plan.gate,
        gate_key=gate_key,
        key_bits=plan.parameters.key_bits,
        noise=noise,
        min_keys=rules.min_keys,
        min_pattern=rules.min_pattern,
        min_list=rules.min_list,
    )


def _measure_spec(plan: Plan, place: Place, judged: bool) -> join.MeasureSpec:
    sums, squares = pairs.sums(plan, place)
    is_product = plan.inputs[place[0]].measures[place[1]].times is not None
    return join.MeasureSpec(
        bound=pairs.bound(plan, place),
        sums=sums,
        squares=squares,
        signed=pairs.is_signed(plan, place),
        dominance=judged and sums and not is_product,
    )


def key_domain(document: DomainDocument) -> KeyDomain:
    """Return the protocol's form of a key domain's declaration."""
    return KeyDomain(
        name=document.name,
        types=document.types,
        trim=document.trim,
        case="fold" if document.fold_case else None,
        unicode="NFKC" if document.nfkc else None,
    )


def provider_rows(entry: PlanInput, domain: DomainDocument, table: Any) -> join.ProviderRows:
    """Return a provider's rows from its fragment's Arrow table: key_*, group_*, m, and c_*, s_*, q_* per measure.

    Private to the provider. Raises SourceError for keys that are not of the domain's types.
    """
    try:
        encoded = encode_keys([table.column(f"key_{at}").combine_chunks() for at in range(len(entry.key))], key_domain(domain))
    except ParameterError as error:
        raise SourceError(f"{entry.asset}: {error}; declare the key column with the domain's type") from None
    if entry.unique and (domain.trim or domain.fold_case or domain.nfkc):
        # The source's own check compared keys as they are written.
        repeated = len(encoded.keys) - len(np.unique(encoded.keys.numbers()))
        if repeated:
            raise SourceError(
                f"{entry.asset}: it is declared unique, but {repeated} of its keys repeat others once key domain {domain.name} "
                "has made their spellings one; declare unique=False, or repair the keys"
            )
    kept = encoded.rows
    groups, labels = _local_groups([table.column(f"group_{at}").to_pylist() for at in range(len(entry.groups))], len(table))

    def integers(name: str) -> list[int]:
        values = table.column(name).to_pylist()
        return [int(values[row]) for row in kept.tolist()]

    return join.ProviderRows(
        keys=encoded.keys,
        groups=groups[kept],
        labels=labels,
        multiplicities=np.array(integers("m"), dtype=np.int64),
        measures=tuple(
            join.MeasureRows.of(
                counts=integers(f"c_{number}"),
                sums=integers(f"s_{number}") if measure.needs_sum else [0] * len(kept),
                squares=integers(f"q_{number}") if measure.needs_squares else [0] * len(kept),
            )
            for number, measure in enumerate(entry.measures)
        ),
    )


def _local_groups(columns: Sequence[list[Label]], rows: int) -> tuple[np.ndarray[Any, np.dtype[np.int64]], tuple[bytes, ...]]:
    """Number the distinct label tuples; without GROUP BY there is one, the empty tuple.

    In the order of their encodings: the pattern rule breaks ties by it, and a replay must come to the same rows.
    """
    tuples: list[Labels] = list(zip(*columns, strict=True)) if columns else [()] * rows
    encoded = {labels: encode_labels(labels) for labels in set(tuples)}
    ordered = sorted(encoded, key=encoded.__getitem__)
    numbers = {labels: number for number, labels in enumerate(ordered)}
    groups = np.fromiter((numbers[labels] for labels in tuples), dtype=np.int64, count=rows)
    return groups, tuple(encoded[labels] for labels in ordered)


def encode_labels(labels: Labels) -> bytes:
    """Return one local group's labels as the protocol carries them: a JSON array of typed literals."""
    return msgspec.json.encode([to_literal(label) for label in labels])


def decode_labels(data: bytes) -> Labels:
    """Return the labels of `encode_labels`. Raises UsageError for anything else."""
    try:
        return tuple(from_literal(literal) for literal in msgspec.json.decode(data, type=tuple[Literal, ...]))
    except (msgspec.DecodeError, ValueError):
        raise UsageError("a provider's group label cannot be read") from None


def cell_table(plan: Plan, result: join.JoinResult) -> CellTable:
    """Return what the gate's checks judge, from what its protocol role decrypted."""
    places = [(group.input, group.local) for group in plan.groups]

    def labels_of(encoded: Sequence[bytes]) -> Labels:
        local = [decode_labels(data) for data in encoded]
        return tuple(local[at][number] for at, number in places)

    return CellTable(
        cells=tuple(_cell(plan, labels_of(cell.labels), cell) for cell in result.cells),
        below=tuple(labels_of(labels) for labels in result.below),
        notes=tuple(
            ProviderNote(
                input=at,
                keys_removed=book.removed_keys,
                rows_removed=book.removed_rows,
                vanished=tuple(decode_labels(label) for label in book.vanished),
            )
            for at, book in enumerate(result.books)
        ),
    )


def _cell(plan: Plan, labels: Labels, cell: join.Cell) -> Cell:
    moments = {
        (at, number): pairs.as_moments(plan, (at, number), cell.moments[at][number])
        for at, entry in enumerate(plan.inputs)
        for number in range(len(entry.measures))
    }
    return Cell(labels=labels, keys=cell.keys, rows=cell.rows, moments=moments, pairs=pairs.pair_moments(plan, moments, cell))
