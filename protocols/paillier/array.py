"""EncryptedArray: a one-dimensional array of Paillier ciphertexts that can be added and weighted, and decrypted elsewhere."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import numpy.typing as npt

from protocols.errors import NotFresh, ParameterError
from protocols.paillier import ciphertexts, codec
from protocols.paillier.layout import Layout, Numbers, Packed
from protocols.paillier.noise import chunked, gather
from protocols.paillier.packing import Packing
from protocols.paillier.weights import Weights, as_integers
from protocols.party import Mapper
from protocols.primitives.bigint import from_byte_rows, to_byte_rows, to_limbs
from protocols.primitives.engine import Limbs, Modulus
from protocols.primitives.rng import OsRng, Rng

if TYPE_CHECKING:
    from protocols.paillier.keys import PublicKey


class EncryptedArray:
    """n ciphertexts under one key, with public layout (scale and bound, or slots and weight). Immutable but for freshness.

    Operations: `+`, `-` with arrays of the same layout or plain numbers; `*` by plain integers; `.sum()`, `.segment_sum`,
    `.weighted_segment_sum`, `@` plain integer weights; slices and index arrays. Plain numbers and weights move the public
    bound by their largest magnitude. Fresh are only the results of encryption and `rerandomise()`; sending consumes it.
    Iteration is refused: it would make one array per number.
    """

    __array_ufunc__ = None

    def __init__(self, rows: Limbs, public_key: PublicKey, layout: Layout, *, fresh: bool = False) -> None:
        self._rows = rows.view()
        self._rows.flags.writeable = False
        self._public_key = public_key
        self._layout = layout
        self._fresh: deque[bool] = deque([True] if fresh else [])

    @property
    def public_key(self) -> PublicKey:
        """The key that the ciphertexts are under."""
        return self._public_key

    @property
    def layout(self) -> Layout:
        """What the plaintexts mean: Numbers(scale, bound) or Packed(packing, weight). Public."""
        return self._layout

    @property
    def scale(self) -> int:
        """The fixed-point scale. Raises ParameterError for a packed array, whose slots have their own."""
        return self._numbers().scale

    @property
    def encoded_bound(self) -> int:
        """Largest magnitude that value · scale can have. Raises ParameterError for a packed array."""
        return self._numbers().bound

    @property
    def bound(self) -> Fraction:
        """Largest magnitude that a value can have. Raises ParameterError for a packed array."""
        return self._numbers().value_bound()

    @property
    def packing(self) -> Packing | None:
        """The slots, or None if each ciphertext holds one number."""
        return self._layout.packing if isinstance(self._layout, Packed) else None

    @property
    def is_fresh(self) -> bool:
        """Whether the array may be sent: newly encrypted or re-randomised, and not sent yet."""
        return bool(self._fresh)

    @property
    def shape(self) -> tuple[int]:
        """(n,)."""
        return (len(self._rows),)

    @property
    def ndim(self) -> int:
        """1."""
        return 1

    @property
    def limbs(self) -> Limbs:
        """(n, limbs) uint64, read-only: the ciphertexts at rest. They carry no freshness; send `to_wire()`."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> NoReturn:
        raise TypeError("an EncryptedArray is not iterated: use whole-array operations or slices")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("an EncryptedArray does not become a numpy array: decrypt it, or call to_wire()")

    def __bool__(self) -> NoReturn:
        raise TypeError("an EncryptedArray has no truth value")

    def __getitem__(self, key: Any) -> EncryptedArray:
        """Return rows by slice, integer (one row), boolean mask or index array; not fresh."""
        if isinstance(key, int | np.integer) and not isinstance(key, bool):
            if not -len(self) <= key < len(self):
                raise IndexError(f"row {key} of {len(self)}")
            key = slice(int(key) % len(self), int(key) % len(self) + 1)
        if isinstance(key, tuple):
            raise IndexError("an EncryptedArray has one dimension")
        return self._result(np.ascontiguousarray(self._rows[key]), self._layout)

    def __add__(self, other: Any) -> EncryptedArray:
        return self.add(other)

    __radd__ = __add__

    def add(self, other: Any, *, mapper: Mapper = map) -> EncryptedArray:
        """Return self + other, with chunks of rows run by the mapper."""
        if isinstance(other, EncryptedArray):
            self._check_key(other)
            layout = self._layout.added(other._layout, self._public_key.n)
            return self._result(self._multiplied(other._rows, mapper), layout)
        integers, plain = self._layout.plain(one_dimensional(other))
        layout = self._layout.added(plain, self._public_key.n)
        n = self._public_key.n
        rows = to_limbs([x % n * n + 1 for x in integers], self._ring.limbs)
        return self._result(self._multiplied(rows, mapper), layout)

    def negate(self, *, mapper: Mapper = map) -> EncryptedArray:
        """Return -self, with chunks of rows run by the mapper."""
        return self._result(ciphertexts.invert(self._ring, self._rows, mapper), self._layout)

    def __neg__(self) -> EncryptedArray:
        return self.negate()

    def __sub__(self, other: Any) -> EncryptedArray:
        return self.subtract(other)

    def subtract(self, other: Any, *, mapper: Mapper = map) -> EncryptedArray:
        """Return self - other, with chunks of rows run by the mapper."""
        if isinstance(other, EncryptedArray):
            self._check_key(other)
            self._layout.added(other._layout, self._public_key.n)
            return self.add(other.negate(mapper=mapper), mapper=mapper)
        return self.add([-number for number in _objects(one_dimensional(other))], mapper=mapper)

    def __rsub__(self, other: Any) -> EncryptedArray:
        result: EncryptedArray = -self + other
        return result

    def __mul__(self, other: Any) -> EncryptedArray:
        return self.multiply(other)

    __rmul__ = __mul__

    def multiply(self, other: Any, *, mapper: Mapper = map) -> EncryptedArray:
        """Return each row times its plain integer, or all times one, with chunks of rows run by the mapper."""
        if isinstance(other, EncryptedArray):
            raise ParameterError("Paillier cannot multiply two ciphertexts: one factor must be plain")
        weights = Weights(one_dimensional(other))
        if len(weights.shape) != 1 or weights.shape[0] not in (1, len(self)):
            raise ParameterError(f"weights of shape {weights.shape} do not fit {len(self)} rows")
        layout = self._layout.weighted(weights.largest, self._public_key.n)
        return self._result(ciphertexts.power(self._ring, self._rows, weights, mapper), layout)

    def __matmul__(self, weights: Any) -> EncryptedArray:
        """Return the dot product with (n,) weights, one row, or with each column of (n, k) weights, k rows."""
        array = _weight_array(weights)
        return self.dot(array.T)

    def __rmatmul__(self, weights: Any) -> EncryptedArray:
        """Return weights @ array for (n,) or (k, n) weights."""
        return self.dot(weights)

    def dot(self, weights: Any, *, mapper: Mapper = map) -> EncryptedArray:
        """Return Σ_i w_i · x_i for (n,) integer weights, or one result for each row of (k, n) weights.

        Raises ParameterError for other shapes or fractions, EncodingOverflow if bound · max Σ|w| would not fit.
        """
        array = _weight_array(weights)
        matrix = array.reshape(1, -1) if array.ndim == 1 else array
        if matrix.ndim != 2 or matrix.shape[1] != len(self):
            raise ParameterError(f"weights of shape {array.shape} do not fit {len(self)} rows")
        parsed = Weights(matrix)
        layout = self._layout.weighted(parsed.largest_total, self._public_key.n)
        return self._result(ciphertexts.multi_power(self._ring, self._rows, parsed, mapper), layout)

    def sum(self, *, mapper: Mapper = map) -> EncryptedArray:
        """Return the sum of all rows, as one row (an encryption of 0 for an empty array)."""
        return self.segment_sum(np.array([0, len(self)], dtype=np.int64), mapper=mapper)

    def segment_sum(self, starts: Any, *, mapper: Mapper = map) -> EncryptedArray:
        """Return the sum of rows [starts[i], starts[i+1]) for each i: starts is (k+1,), ascending from 0 to n; k rows."""
        edges = _edges(starts, len(self))
        layout = self._layout.weighted(int(np.diff(edges).max(initial=0)), self._public_key.n)
        return self._result(ciphertexts.segment_product(self._ring, self._rows, edges, mapper=mapper), layout)

    def weighted_segment_sum(self, indices: Any, weights: Any, starts: Any, *, mapper: Mapper = map) -> EncryptedArray:
        """Return Σ_t weights[t] · x[indices[t]] over t in [starts[i], starts[i+1]), for each i: k rows.

        indices: (m,) integers in [0, n). weights: (m,) positive integers, or None for all 1. starts: (k+1,),
        ascending from 0 to m. Cheapest where weights are 1 or repeat within a segment. The largest Σ of a segment is public in
        the result's layout. Raises ParameterError for other shapes or ranges, EncodingOverflow if a result might not fit.
        """
        rows = _integers(indices, "indices")
        edges = _edges(starts, len(rows))
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= len(self)):
            raise ParameterError(f"indices must be in [0, {len(self)})")
        powers = None if weights is None else Weights(weights)
        if powers is not None and (powers.shape != rows.shape or not powers.all_positive):
            raise ParameterError(f"expected {len(rows)} positive weights")
        total = int(np.diff(edges).max(initial=0)) if powers is None else powers.largest_segment(edges)
        layout = self._layout.weighted(total, self._public_key.n)
        exponents = None if powers is None else powers.limbs()
        product = ciphertexts.segment_product(self._ring, self._rows, edges, indices=rows, weights=exponents, mapper=mapper)
        return self._result(product, layout)

    def plus_packed(self, columns: Sequence[Any], *, weight: int) -> EncryptedArray:
        """Return a packed array plus plain integers: one column of n integers per slot, magnitudes up to bound · weight.

        Raises ParameterError for an array that is not packed or other shapes, EncodingOverflow beyond bounds or max_weight.
        """
        packing = self.packing
        if packing is None:
            raise ParameterError("this array is not packed: add plain numbers by +")
        layout = self._layout.added(Packed(packing=packing, weight=weight), self._public_key.n)
        n = self._public_key.n
        plain = to_limbs([number % n * n + 1 for number in packing.encode(columns, weight=weight)], self._ring.limbs)
        if len(plain) != len(self):
            raise ParameterError(f"{len(plain)} plain rows for {len(self)} encrypted ones")
        return self._result(self._ring.multiply(self._rows, plain), layout)

    def rerandomise(self, *, rng: Rng | None = None, mapper: Mapper = map, towards_owner: bool = False) -> EncryptedArray:
        """Return the same plaintexts under new noise; the result is fresh.

        towards_owner: the next reader holds the private key, who could strip short noise: exponents of ℓ + 64 bits are used.
        """
        key = self._public_key
        key.noise_source.prepare(len(self), towards_owner=towards_owner)
        tasks = ((self._rows[first:last], seed) for first, last, seed in chunked(len(self), rng or OsRng()))
        chunks = mapper(functools.partial(ciphertexts.rerandomise_chunk, key, towards_owner), tasks)
        return EncryptedArray(gather(len(self), self._ring.limbs, chunks), key, self._layout, fresh=True)

    def to_wire(self) -> npt.NDArray[np.uint8]:
        """Return (n, ciphertext_bytes) uint8, little-endian, and consume freshness. Raises NotFresh."""
        try:
            self._fresh.pop()
        except IndexError:
            raise NotFresh(
                "this array was computed on, sliced, received or sent already, so that its noise would show how it was made: "
                "send array.rerandomise() instead"
            ) from None
        return to_byte_rows(self._rows)

    @classmethod
    def from_wire(
        cls,
        matrix: npt.NDArray[np.uint8],
        public_key: PublicKey,
        *,
        packing: Packing | None = None,
        weight: int = 1,
        scale: int = 1,
        bound: Any = None,
        mapper: Mapper = map,
    ) -> EncryptedArray:
        """Read and check received ciphertexts: (n, ciphertext_bytes) uint8 -> an array that is not fresh.

        What they mean is agreed on beforehand: `packing` and the `weight` that the sums carry already, or `scale` and `bound`
        as in `PublicKey.encrypt`. Raises ParameterError with row numbers (range, not coprime, Jacobi symbol).
        """
        layout: Layout
        if packing is None:
            layout = Numbers.declared(scale, bound, public_key.default_bound())
        else:
            layout = Packed(packing=packing, weight=weight)
        return cls.received(matrix, public_key, layout, mapper=mapper)

    @classmethod
    def received(
        cls, matrix: npt.NDArray[np.uint8], public_key: PublicKey, layout: Layout, *, mapper: Mapper = map
    ) -> EncryptedArray:
        """Read and check received ciphertexts of a known layout, as `from_wire` does."""
        if matrix.ndim != 2 or matrix.shape[1] != public_key.ciphertext_bytes:
            raise ParameterError(f"ciphertexts of this key are {public_key.ciphertext_bytes} bytes wide")
        layout.check_fits(public_key.n)
        rows = from_byte_rows(matrix)
        ciphertexts.validate(rows, public_key, mapper)
        return cls(rows, public_key, layout)

    def to_bytes(self) -> bytes:
        """Return a self-describing encoding and consume freshness. Raises NotFresh."""
        matrix = self.to_wire()
        return codec.encode(matrix, self._public_key.fingerprint, self._layout)

    @classmethod
    def from_bytes(cls, data: bytes, public_key: PublicKey, *, mapper: Mapper = map) -> EncryptedArray:
        """Read and check what `to_bytes` made; the result is not fresh. Raises ParameterError."""
        matrix, layout = codec.decode(data, public_key.fingerprint, public_key.ciphertext_bytes)
        return cls.received(matrix, public_key, layout, mapper=mapper)

    def __reduce__(self) -> Any:
        return EncryptedArray, (np.array(self._rows), self._public_key, self._layout)

    def __repr__(self) -> str:
        state = "fresh" if self.is_fresh else "not fresh"
        return f"<EncryptedArray: {len(self)} rows, {self._public_key.key_bits} bits, {state}>"

    @property
    def _ring(self) -> Modulus:
        return self._public_key.ring

    def _numbers(self) -> Numbers:
        if not isinstance(self._layout, Numbers):
            raise ParameterError("a packed array has a scale and a bound for each slot: see its packing")
        return self._layout

    def _check_key(self, other: EncryptedArray) -> None:
        if other._public_key != self._public_key:
            raise ParameterError("the arrays are under different keys")

    def _multiplied(self, other: Limbs, mapper: Mapper) -> Limbs:
        if len(other) not in (1, len(self)) and len(self) != 1:
            raise ParameterError(f"cannot combine {len(self)} rows with {len(other)}")
        few, many = (self._rows, other) if len(self) == 1 and len(other) != 1 else (other, self._rows)
        return ciphertexts.multiply(self._ring, many, few, mapper)

    def _result(self, rows: Limbs, layout: Layout) -> EncryptedArray:
        return EncryptedArray(rows, self._public_key, layout)


def concatenate(arrays: Sequence[EncryptedArray]) -> EncryptedArray:
    """Join arrays of one key and one scale or packing; bounds and weights take the largest. Not fresh."""
    if not arrays:
        raise ParameterError("nothing to concatenate")
    first = arrays[0]
    layout = first.layout
    for array in arrays[1:]:
        first._check_key(array)
        layout = layout.widened(array.layout)
    return EncryptedArray(np.concatenate([array.limbs for array in arrays]), first.public_key, layout)


def one_dimensional(values: Any) -> Any:
    """Return values as something one-dimensional: a single number becomes one row."""
    is_single = not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0
    return [values.item() if hasattr(values, "item") else values] if is_single else values


def _objects(values: Any) -> list[Any]:
    if hasattr(values, "tolist"):
        return list(values.tolist())
    return list(values)


def _weight_array(weights: Any) -> npt.NDArray[Any]:
    if isinstance(weights, EncryptedArray):
        raise ParameterError("Paillier cannot multiply two ciphertexts: one factor must be plain")
    return as_integers(weights)


def _integers(values: Any, name: str) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise ParameterError(f"{name} must be a one-dimensional integer array")
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 1 << 63:
        raise ParameterError(f"{name} must be below 2^63")
    return array.astype(np.int64)


def _edges(starts: Any, rows: int) -> npt.NDArray[np.int64]:
    edges = _integers(starts, "starts")
    if len(edges) == 0 or edges[0] != 0 or edges[-1] != rows or np.any(np.diff(edges) < 0):
        raise ParameterError(f"starts must ascend from 0 to the number of rows ({rows})")
    return edges
