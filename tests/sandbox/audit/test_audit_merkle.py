"""The tree against the naive recursive definition of RFC 6962, and against published proofs, valid and not."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.audit import merkle
from sandbox.errors import AuditError


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*naive_proof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def some_leaves(size: int) -> list[bytes]:
    return [f"leaf {index}".encode() for index in range(size)]


def reader(leaves: list[bytes]) -> merkle.HashReader:
    return lambda level, index: naive_root(leaves[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", range(1, 34))
def test_every_proof_of_small_trees_is_the_naive_one(size: int) -> None:
    leaves, root = some_leaves(size), naive_root(some_leaves(size))
    read = reader(leaves)
    assert merkle.root(size, read) == root
    for index in range(size):
        proof = merkle.inclusion_proof(index, size, read)
        assert list(proof) == naive_path(index, leaves)
        merkle.verify_inclusion(merkle.leaf_hash(leaves[index]), index, size, proof, root)
    for old in range(1, size + 1):
        between = merkle.consistency_proof(old, size, read)
        assert list(between) == naive_proof(old, leaves)
        merkle.verify_consistency(old, naive_root(leaves[:old]), size, root, between)


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle.root(0, reader([])) == merkle.Frontier().root() == hashlib.sha256(b"").digest()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_large_trees_by_their_frontier_and_proofs(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 300))
    leaves = some_leaves(size)
    frontier = merkle.Frontier()
    for leaf in leaves:
        frontier.add(merkle.leaf_hash(leaf))
    assert frontier.root() == naive_root(leaves)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    read = reader(leaves)
    proof = merkle.inclusion_proof(index, size, read)
    assert list(proof) == naive_path(index, leaves)
    assert list(merkle.consistency_proof(old, size, read)) == naive_proof(old, leaves)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_other_claim_passes_with_a_valid_inclusion_proof(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    index = data.draw(st.integers(0, size - 1))
    leaves, read = some_leaves(size), reader(some_leaves(size))
    root, leaf = naive_root(leaves), merkle.leaf_hash(leaves[index])
    proof = list(merkle.inclusion_proof(index, size, read))
    spare = data.draw(st.binary(min_size=32, max_size=32))
    at = data.draw(st.integers(0, len(proof)))
    wrong = data.draw(
        st.sampled_from(
            [
                (leaf, (index + 1) % size, size, proof, root),
                (leaf, index, size, [*proof[:at], spare, *proof[at:]], root),
                (leaf, index, size, proof[:-1], root),
                (leaf, index, size, proof[1:], root),
                (leaf, index, size, [*proof[:-1], proof[-1][:31]], root),
                (leaf[:31], index, size, proof, root),
                (spare, index, size, proof, root),
                (leaf, index, size, proof, spare),
                (leaf, -1, size, proof, root),
                (leaf, size, size, proof, root),
                (leaf, index, 2**63, proof, root),
            ]
        )
    )
    with pytest.raises(AuditError) as caught:
        merkle.verify_inclusion(*wrong, place="here")
    assert caught.value.place == "here"
    assert caught.value.kind == "invalid"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_other_claim_passes_with_a_valid_consistency_proof(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, 40))
    old = data.draw(st.integers(1, new - 1))
    leaves = some_leaves(new)
    roots = naive_root(leaves[:old]), naive_root(leaves)
    proof = list(merkle.consistency_proof(old, new, reader(leaves)))
    spare = data.draw(st.binary(min_size=32, max_size=32))
    at = data.draw(st.integers(0, len(proof)))
    wrong = data.draw(
        st.sampled_from(
            [
                (new, roots[0], old, roots[1], proof),
                (old, roots[1], new, roots[0], proof),
                (old, roots[0], new, roots[1], [*proof[:at], spare, *proof[at:]]),
                (old, roots[0], new, roots[1], proof[:-1]),
                (old, roots[0], new, roots[1], []),
                (old, roots[0], new, roots[1], [*proof[:-1], b"short"]),
                (old, spare, new, roots[1], proof),
                (old, roots[0], new, spare, proof),
                (0, merkle.EMPTY_ROOT, new, roots[1], []),
                (old, roots[0], old, roots[0], proof),
                (old, roots[0], old, spare, []),
            ]
        )
    )
    with pytest.raises(AuditError):
        merkle.verify_consistency(*wrong)


def test_proofs_out_of_range_are_refused() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 3)):
        with pytest.raises(AuditError):
            merkle.inclusion_proof(index, size, reader(some_leaves(3)))
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(AuditError):
            merkle.consistency_proof(old, new, reader(some_leaves(3)))


def published(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    folder = os.environ.get("SANDBOX_VECTORS")
    if folder:
        for path in sorted((Path(folder) / "merkle" / kind).rglob("*.json")):
            yield path.relative_to(folder).as_posix(), json.loads(path.read_text())


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


@pytest.mark.skipif("SANDBOX_VECTORS" not in os.environ, reason="SANDBOX_VECTORS is unset: it names the published vectors")
@pytest.mark.parametrize("kind", ["inclusion", "consistency"])
def test_published_proofs(kind: str) -> None:
    """Source: transparency-dev/merkle, testdata. Each says whether it must fail."""
    count = 0
    for name, case in published(kind):
        proof = [decoded(item) for item in case["proof"] or []]
        count += 1
        try:
            if kind == "inclusion":
                leaf, root = decoded(case["leafHash"]), decoded(case["root"])
                merkle.verify_inclusion(leaf, case["leafIdx"], case["treeSize"], proof, root)
            else:
                roots = decoded(case["root1"]), decoded(case["root2"])
                merkle.verify_consistency(case["size1"], roots[0], case["size2"], roots[1], proof)
            failed = False
        except AuditError:
            failed = True
        assert failed == case["wantErr"], name
    assert count == 98
