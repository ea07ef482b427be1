"""From what a protocol computed to what may be published: a judge, asked again if another release came first."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

from sandbox.gate.cells import CellTable
from sandbox.gate.release import release
from sandbox.model.payload import arrow_file
from sandbox.model.plan import Plan
from sandbox.model.product import AbsentPart, ProductCard, ReleaseRecord
from sandbox.tasks.card import product_card
from sandbox.tasks.measured import Measured
from sandbox.tasks.methods import method_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer, judged: the Arrow file and the card as they would be published, and what the history keeps of it.

    measured: what its method, and perhaps the gate alone, found of the product, for the certificate; the card names neither
    that nor the earlier products yet. nothing_released: none of it may be shown; the card's findings say why.
    """

    payload: bytes
    arrow_schema: str
    card: ProductCard
    measured: Measured
    record: ReleaseRecord
    nothing_released: bool


Judge = Callable[[Sequence[ReleaseRecord]], Judged]
"""Judges one computed answer against the records of every earlier release of any of its assets. Pure."""


def judge_of_cells(plan: Plan, table: CellTable, *, absent: tuple[AbsentPart, ...] = ()) -> Judge:
    """Return the judge of decrypted cells: the gate's checks, cell by cell. absent: parts that fell silent."""
    return functools.partial(_judge_cells, plan, table, absent)


def _judge_cells(plan: Plan, table: CellTable, absent: tuple[AbsentPart, ...], history: Sequence[ReleaseRecord]) -> Judged:
    released = release(plan, table, history)
    shown, card = released.to_arrow(), product_card(plan, table, released, absent=absent)
    payload, schema = arrow_file(shown)
    return Judged(
        payload=payload,
        arrow_schema=schema,
        card=card,
        measured=method_of(plan).measure(plan, shown, card),
        record=released.record,
        nothing_released=released.nothing_released,
    )
