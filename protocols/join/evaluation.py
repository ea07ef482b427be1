"""Step 4, at the operator, once every list is opened: match partition by partition, add up ciphertexts, mask products.

Nothing here decrypts. What goes through `workers` are public values and ciphertexts; masks stay with `mapper`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError, PeerError
from protocols.join.adding import Batch, Totals, add_up
from protocols.join.layout import Pack
from protocols.join.lists import SealedList, join_ciphertexts, stored_ciphertexts
from protocols.join.masking import ProductMasker
from protocols.join.matching import CellKeys, CellTally, cell_keys, cells_of, count_cells, joined_rows, weights
from protocols.join.messages import Cells, CellSums, Corrections, MaskedFactors
from protocols.join.params import MAX_WEIGHT, JoinParams
from protocols.join.partitions import PartitionedLists, Records
from protocols.join.products import pair_plans
from protocols.paillier import EncryptedArray, PublicKey
from protocols.party import Mapper, Progress
from protocols.primitives.rng import Rng

Ints = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """The cells of the join. cells: (k,) cell keys, sorted. keys: (k,) distinct keys of each. common_keys: in all lists."""

    cells: CellKeys
    keys: Ints
    common_keys: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LargeRows:
    """Joined rows of one partition that are in cells which reach the threshold, sorted by cell.

    rows: (t, providers), index into `records`. starts: (k + 1,), segments. cells: (k,), places among the large cells.
    """

    records: tuple[Records, ...]
    rows: Ints
    starts: Ints
    cells: Ints

    def list_rows(self, owner: int) -> Ints:
        """Return which row of a list each joined row has: (t,)."""
        return self.records[owner]["row"][self.rows[:, owner]].astype(np.int64)


class Evaluation:
    """What the operator computes of opened lists. Use `count` first, then the messages for the gate, in any order."""

    def __init__(
        self,
        params: JoinParams,
        public_key: PublicKey,
        layouts: tuple[tuple[Pack, ...], ...],
        lists: Sequence[SealedList],
        partitions: PartitionedLists,
        *,
        rng: Rng,
        mapper: Mapper,
        workers: Mapper,
        progress: Progress,
    ) -> None:
        self._params, self._public_key, self._layouts = params, public_key, layouts
        self._lists, self._partitions = lists, partitions
        self._rng, self._mapper, self._workers, self._progress = rng, mapper, workers, progress
        self._senders = tuple(index for index, spec in enumerate(params.providers) if spec.sends_ciphertexts)

    def count(self) -> Counted:
        """Match all partitions and count keys per cell.

        Raises PeerError, naming who delivered it, for a list that holds one key and group twice; ParameterError for joined
        rows that stand for more than MAX_WEIGHT raw rows of other lists.
        """
        tally, repeats = CellTally(len(self._lists)), np.zeros(len(self._lists), dtype=np.int64)
        common_keys = overweight = 0
        step = self.matching_step(self._params)
        self._progress.advance(step, 0, self._partitions.count)
        parts = (self._partitions.read(number) for number in range(self._partitions.count))
        for done, part in enumerate(self._workers(functools.partial(count_cells, self._senders), parts), start=1):
            tally.add(part.cells, part.keys)
            repeats += part.repeats
            common_keys += part.common_keys
            overweight += part.overweight
            self._progress.advance(step, done, self._partitions.count)
        self._refuse_repeats(repeats)
        if overweight:
            raise ParameterError(
                f"{overweight} joined rows stand for more than {MAX_WEIGHT} raw rows of the other lists; filter them"
            )
        cells, keys = tally.totals()
        return Counted(cells=cells, keys=keys, common_keys=common_keys)

    def cells(self, counted: Counted) -> Cells:
        """Return all cells, with the number of keys of those that reach the threshold."""
        large = counted.keys >= self._params.min_keys
        groups = np.ascontiguousarray(cells_of(counted.cells).astype("<u4"))
        return Cells(
            groups=groups.view(np.uint8).reshape(len(groups), 4 * len(self._lists)),
            keys=np.where(large, counted.keys, 0).astype(np.uint64),
        )

    def sums(self, large: CellKeys) -> Iterator[CellSums]:
        """Yield each list's sums over the cells that reach the threshold, re-randomised towards the gate."""
        totals = {index: Totals(self._layouts[index], self._public_key, len(large)) for index in self._senders}
        work = functools.partial(add_up, self._public_key, self._layouts)
        for part in self._workers(work, self._batches(large)):
            totals[part.provider].add(part)
        for index in self._senders:
            arrays = [
                array.rerandomise(rng=self._rng, mapper=self._mapper, towards_owner=True)
                for array in totals.pop(index).arrays()
            ]
            yield CellSums(provider=self._params.provider_names[index], ciphertexts=join_ciphertexts(arrays, len(large)))

    def products(self, large: CellKeys) -> Iterator[MaskedFactors | Corrections]:
        """Yield, for every two providers with products, masked factors of the joined rows of large cells, then corrections."""
        names, public_key = self._params.provider_names, self._public_key
        list_rows = tuple(len(one) for one in self._lists)
        for pair in pair_plans(self._params, list_rows, public_key.n.bit_length() - 1):
            sides = (pair.left_provider, pair.right_provider)
            masker = ProductMasker(pair, public_key, len(large), rng=self._rng, mapper=self._mapper)
            step = f"{self._params.operator}: mask products of {names[sides[0]]} and {names[sides[1]]}"
            for part in self._large_rows(large, step):
                row_weights = weights(part.rows, part.records, *sides)
                cells = np.repeat(part.cells, np.diff(part.starts))
                rows = [part.list_rows(side) for side in sides]
                for first in range(0, len(cells), self._params.chunk_rows):
                    span = slice(first, first + self._params.chunk_rows)
                    left, right = (self._factors(side, own[span]) for side, own in zip(sides, rows, strict=True))
                    yield masker.factors(left, right, row_weights[span], cells[span])
            yield masker.corrections()

    @staticmethod
    def matching_step(params: JoinParams) -> str:
        """The name of the matching step, counted in partitions."""
        return f"{params.operator}: match"

    @staticmethod
    def adding_step(params: JoinParams) -> str:
        """The name of the adding step, counted in partitions."""
        return f"{params.operator}: add up"

    def _refuse_repeats(self, repeats: Ints) -> None:
        names = self._params.provider_names
        for index in np.flatnonzero(repeats).tolist():
            raise PeerError(
                self._params.last_hop(index),
                f"delivered list {names[index]}, in which {int(repeats[index])} rows repeat a key and group: "
                "sent so by its owner, or repeated on the way",
            )

    def _large_rows(self, large: CellKeys, step: str) -> Iterator[LargeRows]:
        for number in range(self._partitions.count):
            self._progress.advance(step, number, self._partitions.count)
            records = self._partitions.read(number)
            for joined in joined_rows(records):
                keys = cell_keys(joined.cells)
                places = np.searchsorted(large, keys).astype(np.int64)
                found = np.flatnonzero(places < len(large))
                found = found[large[places[found]] == keys[found]]
                sizes = np.diff(joined.starts)
                kept = np.zeros(len(keys), dtype=bool)
                kept[found] = True
                if len(found):
                    yield LargeRows(
                        records=records,
                        rows=joined.rows[np.repeat(kept, sizes)],
                        starts=np.concatenate(([0], np.cumsum(sizes[found]))).astype(np.int64),
                        cells=places[found],
                    )
        self._progress.advance(step, self._partitions.count, self._partitions.count)

    def _batches(self, large: CellKeys) -> Iterator[Batch]:
        for part in self._large_rows(large, self.adding_step(self._params)):
            for index in self._senders:
                used, rows = np.unique(part.list_rows(index), return_inverse=True)
                yield Batch(
                    provider=index,
                    ciphertexts=self._lists[index].copied(self._lists[index].ciphertexts, used),
                    rows=rows.reshape(-1).astype(np.int64),
                    weights=weights(part.rows, part.records, index),
                    starts=part.starts,
                    cells=part.cells,
                )

    def _factors(self, index: int, rows: Ints) -> list[EncryptedArray]:
        whole = self._lists[index]
        arrays = stored_ciphertexts(whole.copied(whole.ciphertexts, rows), self._layouts[index], self._public_key)
        return [array for array, pack in zip(arrays, self._layouts[index], strict=True) if pack.factors]

    def __repr__(self) -> str:
        return f"<Evaluation: {len(self._lists)} lists in {self._partitions.count} partitions>"
