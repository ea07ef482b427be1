"""Errors of rules: a rule file that cannot be used, data that a rule cannot take, an output that must not leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.errors import ParameterError, ProtocolError

if TYPE_CHECKING:
    from protocols.risk.verdict import Findings


class RuleError(ParameterError):
    """A rule file, or a rule for a column of another type: line, field, and what is expected there."""


class DataError(ParameterError):
    """A column holds what its rule cannot take: column, number of rows, the first of them; never a value."""


class TooFewRows(DataError):  # noqa: N818  (what is wrong, as users ask it)
    """A table that is too small for what is asked of it: how many rows or people that takes."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """Identifiers of one kind in one column of an output: how many, and in which row (from 1) the first stands."""

    column: str
    kind: str
    count: int
    first_row: int


class IdentifierSurvives(ProtocolError):  # noqa: N818  (a verdict, not a fault)
    """The final scan found identifiers in an output; it must not be released. `survivors` say where, never what."""

    def __init__(self, survivors: Sequence[Survivor]) -> None:
        self.survivors = tuple(survivors)
        places = "; ".join(
            f"column {each.column!r}: {each.count} × {each.kind}, first in row {each.first_row}" for each in survivors
        )
        super().__init__(f"identifiers survive in the output ({places}); redact, pseudonymise or drop these columns")


class TwinRefused(ProtocolError):  # noqa: N818  (a verdict, not a fault)
    """A synthetic table did not pass its attacks, or they could not tell; it must not be released. `findings` say which."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        reasons = "; ".join(f"{item.attack}: {item.verdict}, {item.message}" for item in findings.items if item.blocks)
        super().__init__(f"the synthetic table is not released ({reasons})")
