"""The gate's role: decrypt the sums of cells that reach the threshold, put labels back. It never sees a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import msgspec
import numpy as np

from protocols.errors import ParameterError, PeerError
from protocols.join.hello import Hello, Hellos, check_gate_key
from protocols.join.layout import packs
from protocols.join.lists import ciphertext_width, split_ciphertexts
from protocols.join.messages import (
    Cells,
    CellSums,
    Corrections,
    GateHello,
    MaskedFactors,
    OperatorHello,
    ProviderHello,
    SealedLabels,
)
from protocols.join.moments import Moments, ProductInbox, ProductMoments
from protocols.join.own import LABELS_CONTEXT, LabelBook
from protocols.join.params import JoinParams
from protocols.message import Message
from protocols.paillier import PrivateKey
from protocols.party import Mapper, Party, Progress, Step, blame
from protocols.primitives import prf
from protocols.primitives.rng import OsRng, Rng


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell that reached the threshold. labels: one per provider. keys: distinct keys. rows: joined rows, COUNT(*).

    moments: per provider in ring order, per measure. products: as the parameters list them.
    """

    labels: tuple[bytes, ...]
    keys: int
    rows: int
    moments: tuple[tuple[Moments, ...], ...]
    products: tuple[ProductMoments, ...] = ()

    def __repr__(self) -> str:
        return "<Cell: not released>"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class JoinResult:
    """What the gate learns. below: labels of cells with fewer keys than the threshold, without any count.

    books: each provider's labels and what its pattern rule removed. list_rows: size of every list.
    """

    cells: tuple[Cell, ...]
    below: tuple[tuple[bytes, ...], ...]
    books: tuple[LabelBook, ...]
    list_rows: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<JoinResult: {len(self.cells)} cells, {len(self.below)} below the threshold, not released>"


class JoinGate(Party):
    """Gate G of the encrypted join: holds the Paillier private key; receives labels and sums of large cells only."""

    ROUNDS: ClassVar[Mapping[str, Mapping[type[Message], str]]] = {
        "collect": {
            ProviderHello: "on_hello",
            OperatorHello: "on_hello",
            SealedLabels: "on_labels",
            Cells: "on_cells",
            CellSums: "on_cell_sums",
            MaskedFactors: "on_products",
            Corrections: "on_products",
        },
    }

    def __init__(
        self,
        name: str,
        params: JoinParams,
        private_key: PrivateKey,
        *,
        rng: Rng | None = None,
        mapper: Mapper = map,
        progress: Progress | None = None,
        allow_insecure_key: bool = False,
    ) -> None:
        super().__init__(name, progress=progress)
        params.check_name(name, params.gate)
        check_gate_key(private_key.public_key, params)
        self._params = params
        self._private_key = private_key
        self._mapper = mapper
        self._hellos = Hellos(params, name, allow_insecure_key=allow_insecure_key)
        self._box_key, self._box_secret = prf.generate_box_keypair(rng or OsRng())
        self._books: dict[str, LabelBook] = {}
        self._cells: Cells | None = None
        self._sums: dict[str, CellSums] = {}
        self._products = ProductInbox(params, private_key, mapper)

    def on_start(self) -> Step:
        """Tell everyone the parameters and the public keys."""
        self.enter("collect")
        hello = GateHello(
            params=self._params.digest(), public_key=self._private_key.public_key.to_bytes(), box_key=self._box_key
        )
        return Step(sends=self._hellos.to_everyone(hello, self.name))

    def on_hello(self, sender: str, message: Hello) -> Step:
        """Take a hello."""
        self._hellos.take(sender, message)
        return self._finish_if_ready()

    def on_labels(self, sender: str, message: SealedLabels) -> Step:
        """Open a provider's labels."""
        if sender not in self._params.provider_names or sender in self._books:
            raise PeerError(sender, "sent labels again, or is no provider")
        context = LABELS_CONTEXT + self._params.digest() + sender.encode()
        plain = blame(sender, lambda: prf.open_box(self._box_secret, message.box, context))
        try:
            self._books[sender] = msgspec.json.decode(plain, type=LabelBook)
        except msgspec.DecodeError:
            raise PeerError(sender, "sent labels that cannot be read") from None
        return self._finish_if_ready()

    def on_cells(self, sender: str, message: Cells) -> Step:
        """Take the list of cells from the operator; none may come with a count below the threshold."""
        if sender != self._params.operator or self._cells is not None:
            raise PeerError(sender, "sent cells again, or is not the operator")
        if message.groups.shape[1] != 4 * len(self._params.providers):
            raise PeerError(sender, "sent cells of another number of providers")
        if np.any((message.keys > 0) & (message.keys < self._params.min_keys)):
            raise PeerError(sender, f"sent cells with fewer than {self._params.min_keys} keys")
        if len(np.unique(message.groups, axis=0)) != len(message.groups):
            raise PeerError(sender, "sent one cell twice")
        self._cells = message
        return self._finish_if_ready()

    def on_cell_sums(self, sender: str, message: CellSums) -> Step:
        """Take the encrypted sums of one provider's measures."""
        senders = [spec.name for spec in self._params.providers if spec.sends_ciphertexts]
        if sender != self._params.operator or message.provider not in senders or message.provider in self._sums:
            raise PeerError(sender, "sent sums again, of a provider that has none, or is not the operator")
        self._sums[message.provider] = message
        return self._finish_if_ready()

    def on_products(self, sender: str, message: MaskedFactors | Corrections) -> Step:
        """Take masked factors, or what the masks add, from the operator."""
        if sender != self._params.operator:
            raise PeerError(sender, "sent products, but is not the operator")
        self.progress.check()
        blame(sender, lambda: self._products.take(message))
        return self._finish_if_ready()

    def _finish_if_ready(self) -> Step:
        expected = sum(spec.sends_ciphertexts for spec in self._params.providers)
        if self._cells is None or not self._hellos.complete:
            return Step()
        keys = self._cells.keys[self._cells.keys > 0].tolist()
        blame(self._params.operator, lambda: self._products.open(self._hellos.list_rows, keys))
        waiting = len(self._books) < len(self._params.providers) or len(self._sums) < expected
        if waiting or not self._products.complete:
            return Step()
        result = self._result(self._cells)
        self.enter("done")
        return Step(done=True, output=result)

    def _result(self, cells: Cells) -> JoinResult:
        names = self._params.provider_names
        groups = np.ascontiguousarray(cells.groups).view("<u4").tolist()
        labels = [blame(self._params.operator, lambda row=row: self._labels_of(row)) for row in groups]  # type: ignore[misc]
        large = np.flatnonzero(cells.keys).tolist()
        slots = [self._decrypted(index, len(large)) for index in range(len(names))]
        carrier = next(index for index, spec in enumerate(self._params.providers) if spec.carries)
        return JoinResult(
            cells=tuple(
                Cell(
                    labels=labels[cell],
                    keys=int(cells.keys[cell]),
                    rows=slots[carrier]["m"][at],
                    moments=tuple(self._moments(index, slots[index], at) for index in range(len(names))),
                    products=self._products.products(at),
                )
                for at, cell in enumerate(large)
            ),
            below=tuple(labels[cell] for cell in np.flatnonzero(cells.keys == 0).tolist()),
            books=tuple(self._books[name] for name in names),
            list_rows=self._hellos.list_rows,
        )

    def _labels_of(self, numbers: list[int]) -> tuple[bytes, ...]:
        books = [self._books[name].labels for name in self._params.provider_names]
        if any(number >= len(book) for number, book in zip(numbers, books, strict=True)):
            raise ParameterError("sent a cell with an unknown group")
        return tuple(book[number] for number, book in zip(numbers, books, strict=True))

    def _decrypted(self, index: int, cells: int) -> dict[str, list[int]]:
        spec, operator = self._params.providers[index], self._params.operator
        if not spec.sends_ciphertexts:
            return {}
        public_key = self._private_key.public_key
        whole = packs(self._params, index, self._hellos.list_rows, public_key.n.bit_length() - 1)
        layout = tuple(pack for pack in whole if not pack.factors)
        matrix = self._sums[spec.name].ciphertexts
        if matrix.shape != (cells, ciphertext_width(layout, public_key)):
            raise PeerError(operator, f"sent sums of {spec.name} that do not match its cells")
        arrays = blame(operator, lambda: split_ciphertexts(matrix, layout, public_key, self._mapper))
        columns: dict[str, list[int]] = {}
        for done, array in enumerate(arrays):
            self.progress.advance(f"{self.name}: decrypt sums of {spec.name}", done, len(arrays))
            columns |= blame(operator, lambda array=array: self._private_key.decrypt_packed(array, mapper=self._mapper))  # type: ignore[misc]
        self.progress.advance(f"{self.name}: decrypt sums of {spec.name}", len(arrays), len(arrays))
        return columns

    def _moments(self, index: int, slots: dict[str, list[int]], at: int) -> tuple[Moments, ...]:
        def value(name: str) -> int | None:
            return slots[name][at] if name in slots else None

        return tuple(
            Moments(
                contributors=slots[f"z{number}"][at],
                count=slots[f"c{number}"][at],
                total=value(f"s{number}"),
                squares=value(f"q{number}"),
                contribution_squares=value(f"d{number}"),
                absolute=value(f"a{number}"),
            )
            for number in range(len(self._params.providers[index].measures))
        )
