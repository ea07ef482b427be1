"""Checkpoints: the C2SP formats against a published note, and everything that is not exactly one."""

from __future__ import annotations

import base64
import datetime

import pytest
from support.audit_story import KEYS, ORIGIN, WITNESSES, trust

from sandbox.audit import note
from sandbox.audit.merkle import leaf_hash
from sandbox.audit.note import Checkpoint
from sandbox.errors import AuditError
from sandbox.model.signature import PublicIdentity

CHECKPOINT = Checkpoint(origin=ORIGIN, size=7, root=leaf_hash(b"root"))
LOG = trust().log


def cosigned(*names: str, checkpoint: Checkpoint = CHECKPOINT) -> str:
    lines = [
        note.cosignature_line(checkpoint, name, KEYS["w-" + name], timestamp=1_780_000_000 + index)
        for index, name in enumerate(names)
    ]
    return note.with_cosignatures(note.sign_checkpoint(checkpoint, KEYS["log"]), lines)


def test_a_published_note() -> None:
    """Source: golang.org/x/mod/sumdb/note, package example (key name, key id and signature are those printed there)."""
    key = PublicIdentity(base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:])
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    assert note.key_id("PeterNeumann", note.NOTE_TYPE, key).hex() == "c74f20a3"
    found, signatures = note.parse_note(f"{text}\n{line}")
    assert found == text
    assert signatures[0].key_id.hex() == "c74f20a3"
    key.verify_raw(found.encode(), signatures[0].body)


def test_the_published_cosignature_has_our_shape() -> None:
    """Source: C2SP tlog-cosignature, the example's second line: its time stands behind the key id, big-endian."""
    line = (
        "\u2014 witness.example.com/w1 "
        "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    )
    _, signatures = note.parse_note(f"text\n\n{line}")
    assert int.from_bytes(signatures[0].body[:8], "big") == 1679315147
    assert len(signatures[0].body) == note.TIMESTAMP_BYTES + 64


def test_what_is_signed_opens() -> None:
    signed = note.open_checkpoint(cosigned(*WITNESSES), LOG)
    assert signed.checkpoint == CHECKPOINT
    assert list(signed.cosigned) == sorted(WITNESSES)
    note.require_quorum(signed, LOG)
    second = sorted(signed.cosigned.values())[1]
    assert signed.quorum_time(2) == datetime.datetime.fromtimestamp(second, tz=datetime.UTC)
    assert note.parse_checkpoint(CHECKPOINT.text()) == CHECKPOINT


def test_too_few_witnesses_are_incomplete() -> None:
    signed = note.open_checkpoint(cosigned("lab"), LOG)
    with pytest.raises(AuditError, match="1 of the 2 witnesses") as caught:
        note.require_quorum(signed, LOG)
    assert caught.value.kind == "incomplete"


def lines_of(text: str) -> list[str]:
    return text.split("\n")


GOOD = cosigned(*WITNESSES)
OTHER_LOG = note.sign_checkpoint(Checkpoint(origin="other.example/log", size=7, root=CHECKPOINT.root), KEYS["log"])
FOREIGN_LOG_KEY = note.sign_checkpoint(CHECKPOINT, KEYS["stranger"])
STRANGER = note.cosignature_line(CHECKPOINT, "stranger", KEYS["stranger"], timestamp=1)
IMPOSTOR = note.cosignature_line(CHECKPOINT, "lab", KEYS["stranger"], timestamp=1)
OTHER_SIZE = note.cosignature_line(Checkpoint(origin=ORIGIN, size=8, root=CHECKPOINT.root), "lab", KEYS["w-lab"], timestamp=1)
LOG_LINE = note.sign_checkpoint(CHECKPOINT, KEYS["log"])


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        (OTHER_LOG, "untrusted", "checkpoint, line 1"),
        (FOREIGN_LOG_KEY, "untrusted", "checkpoint, signature 0"),
        (LOG_LINE + STRANGER, "untrusted", "checkpoint, signature 1"),
        (LOG_LINE + IMPOSTOR, "untrusted", "checkpoint, signature 1"),
        (LOG_LINE + OTHER_SIZE, "invalid", "checkpoint, signature 1"),
        (GOOD.replace("\n", "\r\n"), "invalid", "checkpoint, line 1"),
        (GOOD + "trailing", "invalid", "checkpoint"),
        (GOOD + "\n", "invalid", "checkpoint"),
        (GOOD + "trailing\n", "invalid", "checkpoint, signature 4"),
        (GOOD[:-1], "invalid", "checkpoint"),
        (" " + GOOD, "invalid", "checkpoint, line 1"),
        ("\ufeff" + GOOD, "invalid", "checkpoint, line 1"),
        (GOOD.replace("\n7\n", "\n07\n"), "invalid", "checkpoint, line 2"),
        (GOOD.replace("\n7\n", "\n+7\n"), "invalid", "checkpoint, line 2"),
        (GOOD.replace("\n7\n", "\n٧\n"), "invalid", "checkpoint, line 2"),
        (GOOD.replace("\n7\n", f"\n{2**63}\n"), "invalid", "checkpoint, line 2"),
        (GOOD.replace("\n7\n", "\n" + "9" * 5000 + "\n"), "invalid", "checkpoint, line 2"),
        (GOOD.replace("\n7\n", "\n0\n"), "invalid", "checkpoint, line 3"),
        (GOOD.replace("\n7\n", "\n14\n"), "invalid", "checkpoint, signature 0"),
        (GOOD.replace("\n\n", "\nextension\n\n", 1), "invalid", "checkpoint"),
        (GOOD.replace("\n\n", "\n\n\n", 1), "invalid", "checkpoint"),
        (LOG_LINE + lines_of(GOOD)[4] + "\n", "untrusted", "checkpoint, signature 1"),
        (LOG_LINE + (lines_of(GOOD)[5] + "\n") * 2, "invalid", "checkpoint, signature 2"),
        (LOG_LINE + lines_of(GOOD)[6] + "\n" + lines_of(GOOD)[5] + "\n", "invalid", "checkpoint, signature 2"),
        (CHECKPOINT.text() + "\n", "invalid", "checkpoint"),
        (CHECKPOINT.text(), "invalid", "checkpoint"),
        ("", "invalid", "checkpoint"),
        (LOG_LINE * 2, "invalid", "checkpoint"),
        (LOG_LINE.replace("\u2014", "-"), "invalid", "checkpoint, signature 0"),
        (LOG_LINE.replace("=\n", "\n"), "invalid", "checkpoint"),
        ("\u2014" * 70_000, "invalid", "checkpoint"),
        (LOG_LINE + lines_of(LOG_LINE)[4] + "\n", "untrusted", "checkpoint, signature 1"),
    ],
)
def test_anything_else_is_refused_with_its_place(text: str, kind: str, place: str) -> None:
    with pytest.raises(AuditError) as caught:
        note.open_checkpoint(text, LOG)
    assert caught.value.kind == kind
    assert caught.value.place.startswith(place)


def test_31_bytes_are_no_root() -> None:
    short = base64.b64encode(CHECKPOINT.root[:31]).decode()
    with pytest.raises(AuditError, match="31") as caught:
        note.parse_checkpoint(f"{ORIGIN}\n7\n{short}\n")
    assert caught.value.place == "checkpoint, line 3"


def test_every_byte_of_a_checkpoint_counts() -> None:
    data = GOOD.encode()
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1
        with pytest.raises(AuditError):
            note.open_checkpoint(changed.decode("utf-8", errors="replace"), LOG)


def test_a_cosignature_dated_at_the_end_of_time_is_refused() -> None:
    line = note.cosignature_line(CHECKPOINT, "lab", KEYS["w-lab"], timestamp=note.MAX_TIMESTAMP)
    with pytest.raises(AuditError, match="9999"):
        note.open_checkpoint(LOG_LINE + line, LOG)
