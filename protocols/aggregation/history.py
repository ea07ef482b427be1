"""What a gate has released: the rule that the same inputs are never summed over two sets of survivors."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from protocols.errors import ParameterError


@dataclasses.dataclass(frozen=True, slots=True)
class SumHistory:
    """Sums that one gate has taken, as plain data that a node can keep: {inputs: sorted names of the survivors}.

    Two sums of the same inputs over sets that differ by one party differ by that party's vector, so a second sum is
    taken only over the very same survivors. `inputs` is what the parameters call the inputs.
    """

    released: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)

    def with_sum(self, inputs: str, survivors: Collection[str]) -> SumHistory:
        """Return the history with one sum more. Raises ParameterError for the same inputs over other survivors."""
        names = tuple(sorted(survivors))
        before = self.released.get(inputs)
        if before is not None and before != names:
            changed = sorted(set(before) ^ set(names))
            raise ParameterError(
                f"these inputs were summed already over other survivors ({', '.join(changed)} differ); "
                "the difference of the sums would show their numbers"
            )
        return SumHistory({**self.released, inputs: names})
