"""Fit: one model's steps. `run` is the gate's side, which sees sums alone; `vector` a party's, which sees its own rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from sandbox.errors import UsageError
from sandbox.learn.parts import Part, Scale
from sandbox.learn.request import Integers, Request
from sandbox.learn.rounds import Rounds


class Fit(ABC):
    """A fit of rows whose features are scaled by `scale`. Holds parameters and no row."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale

    @property
    def width(self) -> int:
        """Number of features."""
        return len(self.scale.bounds)

    @abstractmethod
    def run(self, rounds: Rounds) -> Any:
        """Ask for sums until the model stands, and return it. Raises Withheld where the rules are not kept."""

    @abstractmethod
    def vector(self, part: Part, request: Request) -> Integers:
        """Return what a part adds to the sum, (request.length,) int64."""


def unknown(request: Request) -> UsageError:
    """Return the error for a round that a fit does not have."""
    return UsageError(f"this fit has no round of {request.statistic[:60]!a}")
