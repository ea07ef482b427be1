"""From a plan to the encrypted join and back: its parameters, a provider's rows, the gate's cells."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from protocols import join
from protocols.psi.keys import KeyDomain
from sandbox.errors import UsageError
from sandbox.gate.cells import Cell, CellTable, Labels, Place, ProviderNote
from sandbox.gate.labels import from_literal, to_literal
from sandbox.model.asset import KeyDomain as DomainDocument
from sandbox.model.expression import Literal
from sandbox.model.plan import Plan
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
                padded_rows=entry.padded_rows,
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
        matching="keyed" if plan.protocol == "keyed-join/1" else "blinded",
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
