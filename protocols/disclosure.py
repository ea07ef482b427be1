"""Disclosure: who learns what from a protocol, as data that a policy judges and `explain` prints."""

from __future__ import annotations

import dataclasses
from typing import Literal

Fact = Literal[
    "participants",
    "list_size",
    "intersection_size",
    "group_histogram",
    "blinded_pattern",
    "cell_count",
    "group_label",
    "released_aggregate",
    "intermediate_model",
    "masked_value",
    "membership",
    "key",
    "row_value",
    "session_length",
    "vector_length",
    "released_rows",
    "row_tag",
]
Visibility = Literal["by_design", "under_collusion"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """One fact that one role learns.

    who: a role (`provider`, `operator`, `gate`, `recipient`), or roles joined by ` + ` for a collusion.
    fact: its kind, which a policy can allow or deny. about: in words, what exactly and how coarse.
    """

    who: str
    fact: Fact
    about: str
    visibility: Visibility = "by_design"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """Everything that a run of a protocol shows to anyone, and the assumptions under which that is all."""

    protocol: str
    adversary: str
    assumptions: tuple[str, ...]
    learned: tuple[Learned, ...]

    def of(self, who: str) -> tuple[Learned, ...]:
        """Return what one role learns by design."""
        return tuple(item for item in self.learned if item.who == who and item.visibility == "by_design")
