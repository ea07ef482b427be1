"""Method: a protocol behind the one lifecycle of a task: what a plan shows to whom, what it costs, what a card calls it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from protocols.disclosure import Disclosure
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.measured import Measured
from sandbox.tasks.people import People

if TYPE_CHECKING:
    import pyarrow as pa

    from protocols import risk

Measure = Callable[[Plan, "pa.Table", ProductCard], Measured]
"""Measures a product from what is published of it, and nothing else: plan, payload and card. Pure: the gate runs it before the
release and an auditor after it, and the figures are the same. Looks at neither `certificate` nor `lineage` of the card, which
are not known yet when the gate runs it."""


Attack = Callable[[Plan, "pa.Table", ProductCard, People], "tuple[risk.Finding, ...]"]
"""Attacks a product with an auditor's file of people. What it exposes, rows of that file, goes to the auditor alone."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run moves for one provider (products: the operator): in words, and in bytes.

    per: row of its list, joined row of a cell that reaches the threshold, or the whole session.
    """

    provider: str
    what: str
    bytes: int
    per: Literal["row", "joined row", "session"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One protocol. title: what a product card calls it, with its parameters. measure: what its product's certificate holds.

    attack: with auxiliary data, of the kind of product that it makes. None where a file of people has nothing to say.
    fewest: parts that it needs to the end, 0 for all.
    """

    disclosure: Callable[[Plan], Disclosure]
    cost: Callable[[Plan], tuple[Cost, ...]]
    title: Callable[[Plan], str]
    measure: Measure
    attack: Attack | None
    fewest: Callable[[Plan], int] = lambda plan: 0
