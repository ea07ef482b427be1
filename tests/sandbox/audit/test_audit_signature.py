"""Ed25519 identities: published vectors, contexts, text form, secrets that stay secret."""

from __future__ import annotations

import pickle

import pytest
from support.vectors import load_vectors

from sandbox.errors import AuditError, DocumentError
from sandbox.model.signature import SMALL_ORDER, PrivateIdentity, PublicIdentity

P = 2**255 - 19


def test_wycheproof() -> None:
    """Source: C2SP/wycheproof, ed25519_test.json."""
    vectors = load_vectors("wycheproof/ed25519_test.json")
    judged = 0
    for group in vectors["testGroups"]:
        key = PublicIdentity(bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            message, signature = bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"])
            try:
                key.verify_raw(message, signature)
                result = "valid"
            except AuditError:
                result = "invalid"
            assert result == case["result"], case["comment"]
            judged += 1
    assert judged == vectors["numberOfTests"]


def test_a_signature_holds_for_its_context_key_and_bytes_only() -> None:
    identity = PrivateIdentity.generate()
    signature = identity.sign("grant/1", b"data")
    identity.public.verify("grant/1", b"data", signature)
    others = (
        (identity.public, "event/1", b"data", signature),
        (identity.public, "grant/1", b"datb", signature),
        (identity.public, "grant/1", b"data", signature[:-1]),
        (identity.public, "grant/1", b"data", bytes(64)),
        (PrivateIdentity.generate().public, "grant/1", b"data", signature),
    )
    for key, context, data, claimed in others:
        with pytest.raises(AuditError) as caught:
            key.verify(context, data, claimed, place="grant 3")
        assert caught.value.place == "grant 3"


def test_contexts_cannot_run_into_the_data() -> None:
    identity = PrivateIdentity.generate()
    for context in ("", "a\x00b", "ä", "line\n"):
        with pytest.raises(DocumentError):
            identity.sign(context, b"")
    with pytest.raises(AuditError):
        identity.public.verify("ab", b"c", identity.sign("a", b"bc"))


def test_text_form_is_unique() -> None:
    key = PrivateIdentity.generate().public
    text = str(key)
    assert PublicIdentity.from_text(text) == key
    wrong = (text[8:], text + "=", text[:-1], text.replace("ed25519:", "ED25519:"), text + "\n", "ed25519:", text[:-2] + "//")
    for other in wrong:
        with pytest.raises(DocumentError):
            PublicIdentity.from_text(other)


def test_points_of_small_order_are_refused() -> None:
    """The list is right: y = 0, ±1, and the two roots of the order-8 equation, with their non-canonical forms."""
    d = -121665 * pow(121666, P - 2, P) % P
    for encoding in SMALL_ORDER:
        y = int.from_bytes(encoding, "little") % P
        x2 = (y * y - 1) * pow(d * y * y + 1, P - 2, P) % P
        # order 1, 2: x = 0; order 4: y = 0; order 8: doubling gives y = 0, that is x² = −y²
        assert x2 == 0 or y == 0 or (x2 + y * y) % P == 0
        for sign in (0, 0x80):
            with pytest.raises(DocumentError, match="small order"):
                PublicIdentity(encoding[:31] + bytes([encoding[31] | sign]))


def test_a_private_key_shows_itself_only_when_asked() -> None:
    identity = PrivateIdentity.generate()
    secret = identity.to_secret_bytes()
    for text in (repr(identity), str(identity), f"{identity}"):
        assert secret.hex() not in text
        assert "redacted" in text
    assert PrivateIdentity.from_secret_bytes(secret).public == identity.public
    with pytest.raises(TypeError):
        pickle.dumps(identity)
    with pytest.raises(DocumentError):
        PrivateIdentity.from_secret_bytes(secret[:31])
