"""A provider's own list: prepared, tagged, encrypted chunk by chunk; the same whatever the way of matching."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import numpy.typing as npt

from protocols.errors import ListTooShort, PeerError
from protocols.join.hello import Hellos
from protocols.join.layout import Pack, packs, slot_columns
from protocols.join.lists import join_ciphertexts
from protocols.join.messages import SealedLabels, TagTable
from protocols.join.padding import pad
from protocols.join.params import JoinParams
from protocols.join.patterns import Merged, Removed, apply_pattern_rule, merge_rare_groups
from protocols.join.prepare import ProviderRows, check_declared, merge, select
from protocols.paillier import PublicKey
from protocols.party import Mapper
from protocols.primitives import prf
from protocols.primitives.rng import Rng, permutation
from protocols.psi.blinding import tag_points

TAG_DST = b"public-data-sandbox/join/1/tag"
LABELS_CONTEXT = b"public-data-sandbox/join/1/labels"


class LabelBook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider tells the gate alone. labels[i] belongs to the group that everyone else knows as number i.

    merged: labels of rare groups that are part of the group "other", with merged_keys, merged_rows. removed_keys,
    removed_rows: what the pattern rule took out. vanished: labels of which it left nothing.
    """

    labels: tuple[bytes, ...]
    merged_keys: int
    merged_rows: int
    merged: tuple[bytes, ...]
    removed_keys: int
    removed_rows: int
    vanished: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"<LabelBook: {len(self.labels)} labels>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProviderReport:
    """A provider's own result. rows: that it sent; dummies: so many of them. What the rules merged and removed before."""

    rows: int
    dummies: int
    merged: Merged
    removed: Removed


class OwnList:
    """Rows of one provider after all rules, with their tags. Private to the provider; `tags`, `labels` and chunks leave it."""

    def __init__(self, name: str, params: JoinParams, rows: ProviderRows, hellos: Hellos, *, rng: Rng, mapper: Mapper) -> None:
        """Apply the rules. Raises ParameterError for rows that break what was declared of them, ListTooShort."""
        self.name, self.index = name, params.provider(name)
        self._params, self._hellos, self._rng, self._mapper = params, hellos, rng, mapper
        spec = params.providers[self.index]
        own, self._merged = merge(rows), Merged(keys=0, rows=0, groups=())
        if spec.other is not None:
            own, self._merged = merge_rare_groups(own, params.min_pattern, spec.other)
        check_declared(own, spec)
        self._opens = spec.opens_multiplicity and not spec.unique
        own, self._removed = apply_pattern_rule(own, params.min_pattern, with_multiplicity=self._opens)
        if len(own) < params.min_list:
            raise ListTooShort(name, params.min_list)
        self.rows = pad(own, spec.padded_rows, rng) if spec.padded_rows else own
        self._dummies = len(self.rows) - len(own)
        self._number_of_group: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<OwnList of {self.name}: {len(self)} rows>"

    def report(self) -> ProviderReport:
        """Return what the provider may keep of the run."""
        return ProviderReport(rows=len(self), dummies=self._dummies, merged=self._merged, removed=self._removed)

    def encrypted(self, chosen: npt.NDArray[np.int64]) -> tuple[ProviderRows, npt.NDArray[np.uint8]]:
        """Return some rows, and their fresh ciphertexts as they travel."""
        public_key, part = gate_key(self._params, self._hellos), select(self.rows, chosen)
        arrays = [
            public_key.encrypt_packed(slot_columns(pack, part), pack.packing, rng=self._rng, mapper=self._mapper)
            for pack in layout_of(self._params, self._hellos, self.index)
        ]
        return part, join_ciphertexts(arrays, len(chosen))

    def tags(self) -> tuple[TagTable, npt.NDArray[np.int64]]:
        """Give every (group, opened multiplicity) a random tag; groups get random numbers.

        Returns the table for the operator, and for each row where its tag stands in it: (n,).
        """
        rows = self.rows
        self._number_of_group = permutation(self._rng, len(rows.labels))
        pairs = np.column_stack((rows.groups, rows.multiplicities if self._opens else np.ones_like(rows.multiplicities)))
        distinct, tag_of_row = np.unique(pairs, axis=0, return_inverse=True)
        points = tag_points([self._rng.bytes(16) for _ in range(len(distinct))], TAG_DST, mapper=self._mapper)
        order = permutation(self._rng, len(distinct))
        table = TagTable(
            points=points[order],
            groups=self._number_of_group[distinct[order, 0]].astype(np.uint32),
            multiplicities=distinct[order, 1].astype(np.uint32),
        )
        place = np.empty(len(distinct), dtype=np.int64)
        place[order] = np.arange(len(distinct))
        return table, place[np.asarray(tag_of_row, dtype=np.int64).reshape(-1)]

    def labels(self) -> SealedLabels:
        """Return the labels in the order of the groups' numbers, and what the rules took out, sealed to the gate."""
        labels = [b""] * len(self.rows.labels)
        for group, number in enumerate(self._number_of_group.tolist()):
            labels[number] = self.rows.labels[group]
        book = LabelBook(
            labels=tuple(labels),
            merged_keys=self._merged.keys,
            merged_rows=self._merged.rows,
            merged=tuple(self.rows.labels[group] for group in self._merged.groups),
            removed_keys=self._removed.keys,
            removed_rows=self._removed.rows,
            vanished=tuple(self.rows.labels[group] for group in self._removed.groups),
        )
        context = LABELS_CONTEXT + self._params.digest() + self.name.encode()
        return SealedLabels(box=prf.seal(self._hellos.box_key, msgspec.json.encode(book), context, self._rng))


def layout_of(params: JoinParams, hellos: Hellos, owner: int) -> tuple[Pack, ...]:
    """Return how the ciphertexts of list number `owner` are laid out; needs the first round."""
    return packs(params, owner, hellos.list_rows, gate_key(params, hellos).n.bit_length() - 1)


def gate_key(params: JoinParams, hellos: Hellos) -> PublicKey:
    """Return the gate's key. Raises PeerError before the gate has sent it."""
    if hellos.public_key is None:
        raise PeerError(params.gate, "sent no public key")
    return hellos.public_key
