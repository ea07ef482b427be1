"""Ciphertexts as rows of limbs: validation of received ones, chunked products, and powers by plain weights."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import gmpy2
import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.paillier.noise import gather
from protocols.paillier.weights import Weights
from protocols.party import Mapper
from protocols.primitives.bigint import read_mpz, to_limbs
from protocols.primitives.engine import Limbs, Modulus
from protocols.primitives.fixed_point import rows_text
from protocols.primitives.rng import SeededRng

if TYPE_CHECKING:
    from protocols.paillier.keys import PublicKey

ELEMENTWISE_ROWS = 512
PRODUCT_ROWS = 4096
DOT_ROWS = 1 << 16
LEAST_DOT_ROWS = 256


def validate(rows: Limbs, public_key: PublicKey, mapper: Mapper = map) -> None:
    """Check received ciphertexts: 0 < c < n², gcd(c, n) = 1, and Jacobi(c | n) = +1.

    A symbol of −1 would survive re-randomisation and mark its row. With full noise half of all honest ciphertexts have it,
    so that it is not asked there. Raises ParameterError with row numbers.
    """
    spans = [(first, rows[first : first + PRODUCT_ROWS]) for first in range(0, len(rows), PRODUCT_ROWS)]
    for _ in mapper(functools.partial(_validate_chunk, public_key.n, public_key.noise != "full"), spans):
        continue


def _validate_chunk(n: int, asks_jacobi: bool, span: tuple[int, Limbs]) -> None:
    first, rows = span
    modulus, square = gmpy2.mpz(n), gmpy2.mpz(n) ** 2
    numbers = read_mpz(rows)
    bad = [first + row for row, number in enumerate(numbers) if not 0 < number < square]
    if bad:
        raise ParameterError(f"not a ciphertext of this key in {rows_text(bad)}: not between 0 and n²")
    residues = [number % modulus for number in numbers]
    product = gmpy2.mpz(1)
    for residue in residues:
        product = product * residue % modulus
    if gmpy2.gcd(product, modulus) != 1:
        bad = [first + row for row, residue in enumerate(residues) if gmpy2.gcd(residue, modulus) != 1]
        raise ParameterError(f"not a ciphertext of this key in {rows_text(bad)}: not coprime to n")
    if asks_jacobi:
        bad = [first + row for row, residue in enumerate(residues) if gmpy2.jacobi(residue, modulus) != 1]
        if bad:
            raise ParameterError(f"not a ciphertext of this key in {rows_text(bad)}: Jacobi symbol −1")


def rerandomise_chunk(public_key: PublicKey, towards_owner: bool, task: tuple[Limbs, bytes]) -> Limbs:
    """Multiply ciphertexts by fresh noise."""
    rows, seed = task
    noise = public_key.noise_source.draw(SeededRng(seed), len(rows), towards_owner=towards_owner)
    return public_key.ring.multiply(rows, noise)


def multiply(ring: Modulus, many: Limbs, few: Limbs, mapper: Mapper) -> Limbs:
    """Return many·few elementwise; one row of `few` may serve all rows."""
    spans = _slices(len(many))
    return gather(len(many), ring.limbs, mapper(lambda span: ring.multiply(many[span], _rows_of(few, span)), spans))


def invert(ring: Modulus, rows: Limbs, mapper: Mapper) -> Limbs:
    """Return rows⁻¹ elementwise, one inversion for each chunk."""
    return gather(len(rows), ring.limbs, mapper(lambda span: ring.invert(rows[span]), _slices(len(rows))))


def power(ring: Modulus, rows: Limbs, weights: Weights, mapper: Mapper) -> Limbs:
    """Return rows^±weight elementwise; one weight may serve all rows."""
    magnitudes, negative = np.atleast_2d(weights.limbs()), np.atleast_1d(weights.negative)

    def raised(span: slice) -> Limbs:
        powers = ring.power(rows[span], _rows_of(magnitudes, span))
        inverted = np.broadcast_to(_rows_of(negative, span), (len(powers),))
        if np.any(inverted):
            powers[inverted] = ring.invert(powers[inverted])
        return powers

    return gather(len(rows), ring.limbs, mapper(raised, _slices(len(rows))))


def _slices(rows: int) -> list[slice]:
    size = _even(rows, ELEMENTWISE_ROWS)
    return [slice(first, first + size) for first in range(0, rows, size)]


def _rows_of(few: npt.NDArray[Any], span: slice) -> npt.NDArray[Any]:
    return few if len(few) == 1 else few[span]


def segment_product(
    ring: Modulus,
    rows: Limbs,
    starts: npt.NDArray[np.int64],
    *,
    indices: npt.NDArray[np.int64] | None = None,
    weights: Limbs | None = None,
    mapper: Mapper,
) -> Limbs:
    """Return Π rows[indices[t]]^weights[t] for t in each segment [starts[i], starts[i+1]): (k, limbs).

    Works in spans of at most PRODUCT_ROWS positions, whatever the segments' sizes: each gives one product per segment that
    it touches, and those are multiplied at the end. Rows of one segment and one weight are multiplied before they are raised.
    """
    spans = list(_spans(starts))
    labels = np.concatenate([segments for _, _, segments in spans] or [np.zeros(0, dtype=np.int64)])
    chunks = mapper(functools.partial(_segment_chunk, ring, rows, starts, indices=indices, weights=weights), spans)
    partial = gather(len(labels), ring.limbs, chunks)
    edges = np.searchsorted(labels, np.arange(len(starts)), side="left").astype(np.int64)
    return ring.product(partial, edges)


def _spans(starts: npt.NDArray[np.int64]) -> Iterator[tuple[int, int, npt.NDArray[np.int64]]]:
    """Yield (first, past last, the non-empty segments touched and all between) of each span of positions."""
    total = int(starts[-1])
    size = _even(total, PRODUCT_ROWS)
    for first in range(0, total, size):
        last = min(first + size, total)
        low = int(np.searchsorted(starts, first, side="right")) - 1
        high = int(np.searchsorted(starts, last, side="left")) - 1
        yield first, last, np.arange(low, high + 1, dtype=np.int64)


def _even(total: int, largest: int) -> int:
    """Return the size of even spans, at most `largest`, so that threads get the same share of the work."""
    return -(-total // max(1, -(-total // largest))) or 1


def _segment_chunk(
    ring: Modulus,
    rows: Limbs,
    starts: npt.NDArray[np.int64],
    span: tuple[int, int, npt.NDArray[np.int64]],
    *,
    indices: npt.NDArray[np.int64] | None,
    weights: Limbs | None,
) -> Limbs:
    first, last, touched = span
    edges = np.clip(starts[touched[0] : touched[-1] + 2], first, last) - first
    chosen = rows[first:last] if indices is None else rows[indices[first:last]]
    if weights is None or np.all(_is_one(weights[first:last])):
        return ring.product(chosen, edges)
    powers, segments = weights[first:last], np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    order = np.lexsort((*powers.T, segments))
    powers, segments = powers[order], segments[order]
    opens = np.flatnonzero(np.r_[True, (np.diff(segments) != 0) | np.any(powers[1:] != powers[:-1], axis=1)])
    products = ring.product(chosen[order], np.r_[opens, len(order)].astype(np.int64))
    raised = np.flatnonzero(~_is_one(powers[opens]))
    if len(raised):
        products[raised] = ring.power(products[raised], powers[opens][raised])
    return ring.product(products, np.searchsorted(segments[opens], np.arange(len(edges)), side="left").astype(np.int64))


def _is_one(powers: Limbs) -> npt.NDArray[np.bool_]:
    is_one: npt.NDArray[np.bool_] = (powers[:, 0] == 1) & ~np.any(powers[:, 1:], axis=1)
    return is_one


def multi_power(ring: Modulus, rows: Limbs, weights: Weights, mapper: Mapper) -> Limbs:
    """Return Π_i rows_i^weight_i for each row of weights, shape (k, n): (k, limbs)."""
    magnitudes, negative = weights.limbs(), weights.negative
    # Two halves cost a few per cent more than one whole: only for a mapper that may run them side by side.
    largest = DOT_ROWS if mapper is map else min(DOT_ROWS, max(-(-len(rows) // 2), LEAST_DOT_ROWS))
    size = _even(len(rows), largest)
    spans = [slice(first, first + size) for first in range(0, len(rows), size)]
    tasks = ((rows[span], magnitudes[:, span], negative[:, span]) for span in spans)
    total = to_limbs([1] * len(negative), ring.limbs)
    for partial in mapper(functools.partial(_multi_power_chunk, ring), tasks):
        total = ring.multiply(total, partial)
    return total


def _multi_power_chunk(ring: Modulus, task: tuple[Limbs, Limbs, npt.NDArray[np.bool_]]) -> Limbs:
    return ring.multi_power(*task)
