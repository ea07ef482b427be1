"""Rounds: each one secure sum over the parties that are still there, judged before its values are used, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal as OneOf
from typing import get_args

import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError, Withheld
from sandbox.learn.parts import Part
from sandbox.learn.record import ModelRules, Round
from sandbox.model.decision import Finding

Step = OneOf["advertise", "share", "masked_input", "consistency"]
Drops = Mapping[int, Mapping[str, Step]]
Integers = npt.NDArray[np.int64]
SUM_LIMIT = (1 << 63) - 1
FLOAT_BITS = 52


class Rounds:
    """The secure sums of one fit. A party that drops out stays out: its rows are in no later round.

    drops: round number -> {party: the step that it finishes}, as `secure_sum(dropped_after=…)`, to rehearse losses.
    """

    def __init__(self, parts: Sequence[Part], rules: ModelRules, *, threshold: int | None, drops: Drops | None) -> None:
        self._parts = {part.name: part for part in parts}
        self._all = len(parts)
        self._rules = rules
        self._threshold = threshold
        self._drops = _checked(drops or {}, tuple(self._parts))
        self.rounds: list[Round] = []
        self.findings: list[Finding] = []
        self._check_parts()

    @property
    def rows(self) -> int:
        """Rows behind the last sum."""
        return self.rounds[-1].rows

    def count(self) -> int:
        """The first round: how many rows there are, judged before anything else is summed. Returns the number."""
        self.sum("rows", lambda part: np.empty(0, dtype=np.int64))
        return self.rows

    def sum(self, statistic: str, vector: Callable[[Part], Integers]) -> Integers:
        """Return the sum of the living parties' vectors. Raises Withheld where too few parties or rows are behind it.

        Each party's number of rows travels with its vector, so that every sum is judged by the rows behind it.
        """
        number = len(self.rounds)
        vectors = {name: np.concatenate([[len(part.X)], vector(part)]) for name, part in self._parts.items()}
        drops = {name: step for name, step in self._drops.get(number, {}).items() if name in self._parts}
        values, survivors = secure_sum(vectors, self._threshold, drops)
        before = tuple(self._parts)
        self._parts = {name: self._parts[name] for name in survivors if name not in drops}
        done = Round(
            number=number,
            statistic=statistic,
            length=len(values),
            parties=before,
            survivors=survivors,
            rows=int(values[0]),
        )
        self._judge(done)
        self.rounds.append(done)
        return values[1:]

    def require(self, check: str, *, passes: bool, subject: str, message: str) -> None:
        """Keep a finding. Raises Withheld with all findings where it fails."""
        self.findings.append(Finding(check=check, verdict="pass" if passes else "fail", subject=subject, message=message))
        if not passes:
            raise Withheld(tuple(self.findings))

    def scale_bits(self, products: int = 1) -> int:
        """Return b such that every party's sum of products of `products` numbers in [−2^b, 2^b] fits, and all sums together."""
        room = SUM_LIMIT // (self._all * self.rows)
        return min((room.bit_length() - 1) // products, FLOAT_BITS)

    def _check_parts(self) -> None:
        few = [name for name, part in self._parts.items() if len(part.X) < self._rules.min_rows]
        text = f"each party fits on at least {self._rules.min_rows} rows of its own"
        message = f"{text}; too few at {', '.join(few)}" if few else text
        self.require("model.party_rows", passes=not few, subject="parties", message=message)

    def _judge(self, done: Round) -> None:
        subject = f"round {done.number} ({done.statistic})"
        enough = len(done.survivors) >= self._rules.min_parties
        message = f"{len(done.survivors)} parties are behind the sum, and {self._rules.min_parties} must be"
        self.require("model.minimum_parties", passes=enough, subject=subject, message=message)
        message = f"at least {self._rules.min_rows} rows must be behind the sum"
        self.require("model.minimum_rows", passes=done.rows >= self._rules.min_rows, subject=subject, message=message)


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


def encode(values: npt.NDArray[np.float64], bits: int) -> Integers:
    """Return round-half-even(value · 2^bits); scaling is exact, so that this is the only rounding."""
    return np.rint(np.ldexp(values, bits)).astype(np.int64)


def secure_sum(
    vectors: Mapping[str, Integers], threshold: int | None, drops: Mapping[str, Step]
) -> tuple[Integers, tuple[str, ...]]:
    """Return the sum and the survivors of one round of `protocols.aggregation`."""
    from protocols.aggregation import secure_sum as one_round

    result = one_round(vectors, threshold=threshold, dropped_after=drops)
    return result.values, tuple(result.survivors)
