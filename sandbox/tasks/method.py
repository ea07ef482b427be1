"""Method: a protocol behind the one lifecycle of a task: what a plan shows to whom, what it costs, what a card calls it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from protocols.disclosure import Disclosure
from sandbox.model.plan import Plan


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
    """One protocol. title: what a product card calls it, with its parameters."""

    disclosure: Callable[[Plan], Disclosure]
    cost: Callable[[Plan], tuple[Cost, ...]]
    title: Callable[[Plan], str]
