"""A witness: append-only or nothing, remembered before it is said; and the receipts that rest on it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.audit_story import KEYS, ORIGIN, Network, trust

from sandbox.audit.files import DiskFiles
from sandbox.audit.merkle import leaf_hash
from sandbox.audit.note import Checkpoint, open_checkpoint, sign_checkpoint, verify_cosignature_line
from sandbox.audit.receipt import CosignRequest, require_receipt
from sandbox.audit.witness import Witness
from sandbox.errors import AuditError, StateError, UsageError

LOG = trust().log


def witness(folder: Path, files: DiskFiles | None = None, clock: int = 1_780_000_000) -> Witness:
    return Witness(folder, name="lab", trust=LOG, identity=KEYS["w-lab"], clock=lambda: clock, files=files)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    return Network(tmp_path)


def test_it_remembers_over_a_restart(network: Network, tmp_path: Path) -> None:
    network.log.append([b"a", b"b"])
    one = network.witnesses[1]
    assert one.last_size() == 2
    one.close()
    again = witness(tmp_path / "witness-lab")
    assert again.seen == network.log.checkpoint
    with pytest.raises(StateError, match="in use"):
        witness(tmp_path / "witness-lab")


def test_rollback_fork_and_wrong_start_are_refused_with_sizes(network: Network) -> None:
    network.log.append([b"a"])
    old = network.log.note.split("\u2014")[0]
    first = sign_checkpoint(network.log.checkpoint, KEYS["log"])
    network.log.append([b"b", b"c"])
    current = sign_checkpoint(network.log.checkpoint, KEYS["log"])
    one = network.witnesses[0]
    fork = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"fork")), KEYS["log"])
    later_fork = sign_checkpoint(Checkpoint(origin=ORIGIN, size=9, root=leaf_hash(b"fork")), KEYS["log"])
    cases = (
        (CosignRequest(old_size=1, proof=(), note=first), "size 1 after size 3: it was rolled back"),
        (CosignRequest(old_size=3, proof=(), note=fork), "two different roots for size 3"),
        (CosignRequest(old_size=3, proof=(bytes(32),) * 4, note=later_fork), "sizes 3 and 9"),
        (
            CosignRequest(old_size=1, proof=network.log.consistency(1), note=current),
            "starts at size 1; this witness saw size 3",
        ),
        (CosignRequest(old_size=3, proof=(bytes(32),), note=current), "needs no proof"),
    )
    for request, words in cases:
        with pytest.raises(AuditError, match=words):
            one.cosign(request)
        assert one.last_size() == 3
    assert old
    with pytest.raises(AuditError) as caught:
        one.cosign(CosignRequest(old_size=3, proof=(), note=current.replace(KEYS["log"].public.to_bytes().hex(), "") + "x"))
    assert caught.value.kind == "invalid"
    one.cosign(CosignRequest(old_size=3, proof=(), note=current))


def test_it_does_not_sign_what_it_could_not_keep(tmp_path: Path) -> None:
    class FullDisk(DiskFiles):
        def write(self, path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    one = witness(tmp_path, FullDisk())
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"x")), KEYS["log"])
    with pytest.raises(StateError, match="cosigns nothing"):
        one.cosign(CosignRequest(old_size=0, proof=(), note=note))
    assert one.last_size() == 0


def test_it_keeps_before_it_answers(tmp_path: Path) -> None:
    class Dies(DiskFiles):
        def sync_directory(self, path: Path) -> None:
            super().sync_directory(path)
            raise KeyboardInterrupt

    one = witness(tmp_path, Dies())
    checkpoint = Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"x"))
    with pytest.raises(KeyboardInterrupt):
        one.cosign(CosignRequest(old_size=0, proof=(), note=sign_checkpoint(checkpoint, KEYS["log"])))
    one.close()
    assert witness(tmp_path).seen == checkpoint


def test_a_memory_that_was_changed_is_no_memory(tmp_path: Path) -> None:
    one = witness(tmp_path)
    checkpoint = Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"x"))
    line = one.cosign(CosignRequest(old_size=0, proof=(), note=sign_checkpoint(checkpoint, KEYS["log"])))
    assert verify_cosignature_line(line, checkpoint, LOG, place="line") == "lab"
    one.close()
    path = tmp_path / "seen"
    path.write_text(path.read_text().replace("\n3\n", "\n2\n"))
    with pytest.raises(AuditError, match="signature"):
        witness(tmp_path)
    path.unlink()
    witness(tmp_path).close()


def test_a_first_checkpoint_comes_without_a_proof(tmp_path: Path) -> None:
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=3, root=leaf_hash(b"x")), KEYS["log"])
    with pytest.raises(AuditError, match="without a proof"):
        witness(tmp_path).cosign(CosignRequest(old_size=0, proof=(bytes(32),), note=note))


def test_only_the_key_of_the_trust_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Witness(tmp_path, name="lab", trust=LOG, identity=KEYS["stranger"], clock=lambda: 0)


def test_a_receipt_is_demanded_before_an_effect(network: Network) -> None:
    network.log.append([b"old"])
    seen = network.log.checkpoint
    entry, other = b"authorisation", b"another"
    receipt, second = network.log.append([entry, other])
    require_receipt(entry, receipt, LOG, seen=seen, consistency=network.log.consistency(1))
    replace = msgspec.structs.replace
    one_line = "\u2014".join(receipt.checkpoint.split("\u2014")[:3])
    wrong = (
        (entry + b"!", receipt, "invalid"),
        (entry, replace(receipt, index=2), "invalid"),
        (entry, replace(receipt, index=7), "invalid"),
        (entry, replace(receipt, proof=receipt.proof[:-1]), "invalid"),
        (entry, replace(receipt, proof=(*receipt.proof, "00" * 32)), "invalid"),
        (entry, replace(receipt, proof=(receipt.proof[0][:-2], *receipt.proof[1:])), "invalid"),
        (entry, replace(receipt, proof=(receipt.proof[0].upper(), *receipt.proof[1:])), "invalid"),
        (entry, second, "invalid"),
        (entry, replace(receipt, checkpoint=one_line), "incomplete"),
    )
    for claimed, given, kind in wrong:
        with pytest.raises(AuditError) as caught:
            require_receipt(claimed, given, LOG)
        assert caught.value.kind == kind
        assert caught.value.place.startswith("receipt")
    with pytest.raises(AuditError, match="missing"):
        require_receipt(entry, receipt, LOG, seen=seen)
    fork = Checkpoint(origin=ORIGIN, size=1, root=leaf_hash(b"fork"))
    with pytest.raises(AuditError, match="rewritten or forked"):
        require_receipt(entry, receipt, LOG, seen=fork, consistency=network.log.consistency(1))
    newer = open_checkpoint(network.log.append([b"more"])[0].checkpoint, LOG).checkpoint
    require_receipt(entry, receipt, LOG, seen=newer, consistency=network.log.consistency(3))
