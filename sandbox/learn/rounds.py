"""Rounds: each one secure sum over the parties that are still there, judged before its values are used, and recorded.

A fit is one sequence of steps (`sandbox.learn.steps`), whoever drives it: `LocalRounds` here plays every party in this process,
`sandbox/node/fitted.py` plays them over nodes. Both ask the same requests, judge by the same rules and keep the same record.
"""

from __future__ import annotations

import dataclasses
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal as OneOf
from typing import get_args

import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError, Withheld
from sandbox.learn.parts import CoarseNumbersWarning, Part
from sandbox.learn.request import Integers, PartySide, Request, party_vector
from sandbox.model.decision import Finding
from sandbox.model.fit import ModelRules, Round

Step = OneOf["advertise", "share", "masked_input", "consistency"]
Drops = Mapping[int, Mapping[str, Step]]
SUM_LIMIT = (1 << 63) - 1
FLOAT_BITS = 52


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One secure sum. parties: who was asked; survivors: whose vectors are in it. session: of its frames, where it has one."""

    values: Integers
    parties: tuple[str, ...]
    survivors: tuple[str, ...]
    session: str = ""


class Rounds(ABC):
    """The secure sums of one fit. A party that drops out stays out: its rows are in no later round.

    parties: how many there are at first. overlap: the most parties in which one person may have a row. rounds and findings grow
    as the fit goes on. least_rows: rows behind a sum, a class or a cluster, so that the minimum of people is behind it.
    """

    def __init__(self, parties: int, rules: ModelRules, *, overlap: int = 1) -> None:
        self._all = parties
        self.rules = rules
        self.least_rows = rules.min_rows * overlap
        self.rounds: list[Round] = []
        self.findings: list[Finding] = []

    @abstractmethod
    def take(self, number: int, request: Request) -> Taken:
        """Play round `number`: the sum of the living parties' vectors, each with its number of rows in front."""

    @abstractmethod
    def coarse(self, columns: Mapping[int, float]) -> None:
        """Tell of columns whose standard deviation is so few units of the encoding that results lose digits."""

    @property
    def rows(self) -> int:
        """Rows behind the last sum."""
        return self.rounds[-1].rows or 0

    def count(self) -> int:
        """The first round: how many rows there are, judged before anything else is summed. Returns the number."""
        self.sum(Request(statistic="rows"))
        return self.rows

    def sum(self, request: Request) -> Integers:
        """Return the sum of the living parties' vectors. Raises Withheld where too few parties or rows are behind it.

        Each party's number of rows travels with its vector, so that every sum is judged by the rows behind it.
        """
        number = len(self.rounds)
        taken = self.take(number, request)
        done = Round(
            number=number,
            statistic=request.statistic,
            length=len(taken.values),
            parties=taken.parties,
            survivors=taken.survivors,
            rows=int(taken.values[0]),
            session=taken.session,
        )
        self._judge(done)
        self.rounds.append(done)
        return taken.values[1:]

    def require(self, check: str, *, passes: bool, subject: str, message: str) -> None:
        """Keep a finding. Raises Withheld with all findings where it fails."""
        self.findings.append(Finding(check=check, verdict="pass" if passes else "fail", subject=subject, message=message))
        if not passes:
            raise Withheld(tuple(self.findings))

    def require_freedom(self, coefficients: int) -> None:
        """Keep a finding on the degrees of freedom of a fit with so many coefficients."""
        least = self.rules.min_degrees_of_freedom
        message = f"rows minus coefficients must be at least {least}"
        self.require("model.degrees_of_freedom", passes=self.rows - coefficients >= least, subject="fit", message=message)

    def require_party_rows(self, few: Sequence[str]) -> None:
        """Keep a finding on the parties' own rows. few: parties that have fewer than the minimum, by their own word."""
        text = f"each party fits on at least {self.rules.min_rows} rows of its own"
        message = f"{text}; too few at {', '.join(few)}" if few else text
        self.require("model.party_rows", passes=not few, subject="parties", message=message)

    def scale_bits(self, products: int = 1) -> int:
        """Return b such that every party's sum of products of `products` numbers in [−2^b, 2^b] fits, and all sums together."""
        room = SUM_LIMIT // (self._all * self.rows)
        return min((room.bit_length() - 1) // products, FLOAT_BITS)

    def _judge(self, done: Round) -> None:
        subject = f"round {done.number} ({done.statistic})"
        enough = len(done.survivors) >= self.rules.min_parties
        message = f"{len(done.survivors)} parties are behind the sum, and {self.rules.min_parties} must be"
        self.require("model.minimum_parties", passes=enough, subject=subject, message=message)
        message = f"at least {self.least_rows} rows must be behind the sum"
        self.require("model.minimum_rows", passes=(done.rows or 0) >= self.least_rows, subject=subject, message=message)


class LocalRounds(Rounds):
    """Rounds over parts in this process, through all roles of `protocols.aggregation`, every message through bytes.

    side: what a party computes. drops: round number -> {party: the step that it finishes}, as `secure_sum(dropped_after=…)`, to
    rehearse losses.
    """

    def __init__(
        self, side: PartySide, parts: Sequence[Part], rules: ModelRules, *, threshold: int | None, drops: Drops | None
    ) -> None:
        super().__init__(len(parts), rules)
        self._side = side
        self._parts = {part.name: part for part in parts}
        self._threshold = threshold
        self._drops = _checked(drops or {}, tuple(self._parts))
        self.require_party_rows([name for name, part in self._parts.items() if len(part.X) < rules.min_rows])

    def take(self, number: int, request: Request) -> Taken:
        """Play one round in this process."""
        vectors = {name: party_vector(self._side, part, request) for name, part in self._parts.items()}
        drops = {name: step for name, step in self._drops.get(number, {}).items() if name in self._parts}
        values, survivors = secure_sum(vectors, self._threshold, drops)
        before = tuple(self._parts)
        self._parts = {name: self._parts[name] for name in survivors if name not in drops}
        return Taken(values=values, parties=before, survivors=survivors)

    def coarse(self, columns: Mapping[int, float]) -> None:
        """Warn, with each column's deviation: whoever calls holds all rows."""
        listed = ", ".join(f"{column} ({deviation:.3g})" for column, deviation in columns.items())
        message = (
            f"columns whose standard deviation is few units of the encoding: {listed}; results lose digits. Declare "
            "bounds that are no wider than the data, or leave the column out"
        )
        warnings.warn(message, CoarseNumbersWarning, stacklevel=7)


def _checked(drops: object, names: tuple[str, ...]) -> Drops:
    """Return the drops. Raises UsageError: one that names nobody would rehearse nothing, unnoticed."""
    shape = "dropped_after is {round: {party: step}}, rounds counted from 0, such as {1: {'p2': 'share'}}"
    if not isinstance(drops, Mapping):
        raise UsageError(shape)
    for number, dropped in drops.items():
        if not isinstance(number, int) or number < 0 or not isinstance(dropped, Mapping):
            raise UsageError(shape)
        strangers = [name for name in dropped if name not in names]
        if strangers:
            raise UsageError(f"dropped_after names {strangers[0]!r}; the parties are {', '.join(names)}")
        unknown = [step for step in dropped.values() if step not in get_args(Step)]
        if unknown:
            raise UsageError(f"dropped_after knows the steps {', '.join(get_args(Step))}, not {unknown[0]!r}")
    return drops


def secure_sum(
    vectors: Mapping[str, npt.NDArray[np.int64]], threshold: int | None, drops: Mapping[str, Step]
) -> tuple[Integers, tuple[str, ...]]:
    """Return the sum and the survivors of one round of `protocols.aggregation`."""
    from protocols.aggregation import secure_sum as one_round

    result = one_round(vectors, threshold=threshold, dropped_after=drops)
    return result.values, tuple(result.survivors)
