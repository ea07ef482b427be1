"""A release beside the earlier ones that it can be compared with: records over one whole, k in keys, and their atoms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from sandbox.gate.history.atoms import Atom, atoms_of
from sandbox.gate.history.comparable import earlier
from sandbox.gate.history.parts import Compared, compared, same_kind
from sandbox.gate.record import without
from sandbox.model.decision import Reason
from sandbox.model.plan import GateRules
from sandbox.model.product import ReleaseRecord


@dataclass(slots=True)
class Comparison:
    """Comparable records, the candidate last; those of federated tables as releases of one whole.

    past: the earlier ones. k: keys that prove `min_difference` people. overlap: keys among which one person may stand. whole:
    what the federated ones add up; None for joins. rows_of_part: the candidate is totals over a part whose rows were released.
    """

    past: tuple[ReleaseRecord, ...]
    candidate: ReleaseRecord
    rules: GateRules
    whole: Compared | None
    rows_of_part: bool = False
    _atoms: tuple[Atom, ...] | None = field(default=None, repr=False)

    @property
    def records(self) -> tuple[ReleaseRecord, ...]:
        """The earlier releases in their order, then the candidate."""
        return (*self.past, self.candidate)

    @property
    def overlap(self) -> int:
        """Among how many of the keys that were counted one person may stand, in any of the releases."""
        return 1 if self.whole is None else self.whole.overlap

    @property
    def k(self) -> int:
        """Keys that are proved to be `min_difference` people."""
        return self.rules.min_difference * self.overlap

    def less(self, refused: Collection[tuple[int, int]], reason: Reason) -> Comparison:
        """Return the same comparison, the candidate's refused (cell position, aggregate) pairs withheld for a reason."""
        return replace(self, candidate=without(self.candidate, refused, reason))

    def atoms(self) -> tuple[Atom, ...]:
        """Return the atoms that all records tell apart, made once. Raises BeyondModel."""
        if self._atoms is None:
            self._atoms = atoms_of(self.records)
        return self._atoms


def compare(candidate: ReleaseRecord, history: Sequence[ReleaseRecord], *, rules: GateRules) -> Comparison:
    """Return a candidate beside the comparable ones of `history`: none, one or many."""
    alike, whole, k = same_kind(candidate, history), None, rules.min_difference
    known = {record.rows.asset for record in history if record.rows is not None}
    rows_of_part = candidate.parts is not None and not known.isdisjoint(candidate.parts.assets)
    if candidate.parts is not None:
        # Keys over parts that may share people stand for as many fewer people.
        whole = compared((*alike, candidate))
        k *= whole.overlap
        alike, candidate = whole.records[:-1], whole.records[-1]
    past = earlier(candidate, alike, k=k)
    return Comparison(past=past, candidate=candidate, rules=rules, whole=whole, rows_of_part=rows_of_part)
