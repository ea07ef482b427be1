"""Merkle tree of RFC 6962 and RFC 9162 section 2.1: hashes, roots, proofs and their verification. Pure; SHA-256.

Proof generation reads hashes of complete subtrees through a `HashReader`, O(log n) of them per proof.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Sequence

from sandbox.errors import AuditError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = hashlib.sha256().digest()

HashReader = Callable[[int, int], bytes]
"""(level, index) -> hash of the complete subtree over leaves index·2^level … (index + 1)·2^level − 1."""


def leaf_hash(data: bytes) -> bytes:
    """Return SHA-256(0x00 ‖ data). Source: RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right). Source: RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """Roots of the complete subtrees at a growing tree's right edge, largest first: all that appending needs.

    Holds O(log n) hashes, so that a root over millions of rows needs no memory for them.
    """

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        """Append one leaf hash."""
        height = self.size
        while height & 1:
            leaf = node_hash(self._roots.pop(), leaf)
            height >>= 1
        self._roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the tree's root so far."""
        if not self._roots:
            return EMPTY_ROOT
        top = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            top = node_hash(left, top)
        return top


def root(size: int, read: HashReader) -> bytes:
    """Return the root of the first `size` leaves."""
    return _range_root(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: HashReader) -> tuple[bytes, ...]:
    """Return PATH(index, D[size]), lowest hash first. Source: RFC 9162 section 2.1.3.1. Raises AuditError out of range."""
    _check_index(index, size, place="inclusion proof")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(size1: int, size2: int, read: HashReader) -> tuple[bytes, ...]:
    """Return PROOF(size1, D[size2]). Source: RFC 9162 section 2.1.4.1. Raises AuditError unless 1 ≤ size1 ≤ size2."""
    _check_sizes(size1, size2, place="consistency proof")
    proof: list[bytes] = []
    start, end, whole = 0, size2, True
    while end != size1:
        middle = start + _split(end - start)
        if size1 <= middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start, whole = middle, False
    if not whole:
        proof.append(_range_root(start, end, read))
    return tuple(reversed(proof))


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes, *, place: str = "inclusion proof"
) -> None:
    """Return only if the proof shows `leaf` (a leaf hash) at `index` of the tree with this size and root.

    Source: RFC 9162 section 2.1.3.2. Raises AuditError (invalid) that names the place.
    """
    _check_index(index, size, place=place)
    _check_hashes((leaf, root, *proof), place=place)
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise AuditError(f"the proof has {len(proof)} hashes, too many for size {size}", place=place)
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise AuditError(f"the proof has {len(proof)} hashes, too few for size {size}", place=place)
    if not hmac.compare_digest(found, root):
        raise AuditError(f"the proof for entry {index} does not lead to the root of size {size}", place=place)


def verify_consistency(
    size1: int, root1: bytes, size2: int, root2: bytes, proof: Sequence[bytes], *, place: str = "consistency proof"
) -> None:
    """Return only if the tree (size2, root2) begins with the tree (size1, root1).

    Source: RFC 9162 section 2.1.4.2. Every tree begins with the empty one, so size1 = 0 proves nothing and is refused: the
    caller decides what a first sight is worth. Raises AuditError (invalid) that names the place and both sizes.
    """
    _check_sizes(size1, size2, place=place)
    sizes = f"sizes {size1} and {size2}"
    if size1 == size2:
        if proof:
            raise AuditError(f"a tree of size {size1} needs no proof against itself, and {len(proof)} hashes came", place=place)
        if not hmac.compare_digest(root1, root2):
            raise AuditError(f"two different roots for size {size1}: the log forked", place=place)
        return
    _check_hashes((root1, root2, *proof), place=place)
    path = list(proof)
    if not size1 & (size1 - 1):
        path.insert(0, root1)
    if not path:
        raise AuditError(f"the proof between {sizes} is empty", place=place)
    old, new = _roots_along(path, size1, size2, place=place)
    if not hmac.compare_digest(old, root1) or not hmac.compare_digest(new, root2):
        raise AuditError(f"the proof does not lead to the roots of {sizes}: the log was rewritten or forked", place=place)


def _roots_along(path: Sequence[bytes], size1: int, size2: int, *, place: str) -> tuple[bytes, bytes]:
    """Both trees' roots as a consistency path implies them: steps 3 to 6 of RFC 9162 section 2.1.4.2."""
    first, last = size1 - 1, size2 - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise AuditError(f"the proof between sizes {size1} and {size2} has too many hashes", place=place)
        if first & 1 or first == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        first, last = first >> 1, last >> 1
    if last:
        raise AuditError(f"the proof between sizes {size1} and {size2} has too few hashes", place=place)
    return old, new


def _range_root(start: int, end: int, read: HashReader) -> bytes:
    """MTH(D[start:end]); start is a multiple of the largest power of two below end − start, as in all of RFC 9162."""
    length = end - start
    if not length & (length - 1):
        level = length.bit_length() - 1
        return read(level, start >> level)
    middle = start + _split(length)
    return node_hash(_range_root(start, middle, read), _range_root(middle, end, read))


def _split(length: int) -> int:
    """The largest power of two smaller than length ≥ 2."""
    return 1 << ((length - 1).bit_length() - 1)


def _check_index(index: int, size: int, *, place: str) -> None:
    if not 0 <= index < size <= MAX_SIZE:
        raise AuditError(f"entry {index} is not in a tree of size {size}", place=place)


def _check_sizes(size1: int, size2: int, *, place: str) -> None:
    if not 1 <= size1 <= size2 <= MAX_SIZE:
        raise AuditError(f"sizes {size1} and {size2} cannot be compared: 1 ≤ first ≤ second is needed", place=place)


def _check_hashes(hashes: Sequence[bytes], *, place: str) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise AuditError(f"a hash has {HASH_BYTES} bytes, not {len(value)}", place=place)
