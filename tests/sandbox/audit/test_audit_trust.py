"""trust.toml: what it says, and every way in which it can be wrong."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from support.audit_story import KEYS, ORIGIN, trust_text

from sandbox.audit.trust import load_trust, parse_trust
from sandbox.errors import AuditError, DocumentError, NotFound

LAB = str(KEYS["w-lab"].public)


def test_a_trust_file_as_people_write_it(tmp_path: Path) -> None:
    path = tmp_path / "trust.toml"
    path.write_text(trust_text(), encoding="utf-8")
    found = load_trust(path)
    assert (found.log.origin, found.log.key, found.log.quorum) == (ORIGIN, KEYS["log"].public, 2)
    assert found.log.witnesses["lab"] == KEYS["w-lab"].public
    assert found.parties["lab"].party.roles == ("provider",)
    first = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    last = datetime.datetime(2028, 1, 1, tzinfo=datetime.UTC)
    found.require("lab", at=first, place="here")
    for moment in (first - datetime.timedelta(seconds=1), last):
        with pytest.raises(AuditError) as caught:
            found.require("lab", at=moment, place="here")
        assert caught.value.kind == "untrusted"
    with pytest.raises(AuditError, match="not in the trust file"):
        found.require("nobody", at=first, place="here")


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("quorum = 2", "quorum = 0", "quorum"),
        ("quorum = 2", "quorum = 4", "quorum"),
        ("quorum = 2", "quorum = 2.5", "quorum"),
        ("quorum = 2", 'quorum = "2"', "quorum"),
        ("quorum = 2", "", "quorum"),
        (LAB, str(KEYS["w-auditor"].public), "twice"),
        (LAB, str(KEYS["log"].public), "twice"),
        (LAB, LAB[:-4], "witnesses.keys.lab"),
        (LAB, "ed25519:" + "AAAA" * 10 + "AAA=", "small order"),
        (LAB, LAB.replace("ed25519:", "rsa:"), "witnesses.keys.lab"),
        (ORIGIN, "two words", "origin"),
        (ORIGIN, "", "origin"),
        ('roles = ["operator"]', 'roles = ["king"]', "roles"),
        ('roles = ["operator"]', "roles = []", "roles"),
        ('roles = ["operator"]', 'roles = ["operator", "operator"]', "roles"),
        ('roles = ["operator"]', 'roles = ["operator"]\nextra = 1', "extra"),
        ("from = 2026-01-01", 'from = "2026-01-01"', "from"),
        ("from = 2026-01-01", "from = 2026-01-01T12:00:00Z", "from"),
        ("from = 2026-01-01", "from = 2029-01-01", "valid"),
        ("[parties.lab]", '[parties."la b"]', "parties"),
        ("[log]", "[log", "line"),
        ("[parties.lab]", "[parties.registry]", "registry"),
        ("[witnesses]", "[witness]", "witness"),
    ],
)
def test_a_wrong_trust_file_names_its_fault(old: str, new: str, field: str) -> None:
    text = trust_text()
    assert old in text
    with pytest.raises(DocumentError) as caught:
        parse_trust(text.replace(old, new, 1))
    assert field in str(caught.value)
    assert str(caught.value).isprintable()


def test_files_that_are_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_trust(tmp_path / "none.toml")
    with pytest.raises(DocumentError):
        load_trust(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(DocumentError, match="UTF-8"):
        load_trust(tmp_path / "binary")
    (tmp_path / "huge").write_bytes(b"#" * (2 << 20))
    with pytest.raises(DocumentError, match="longer"):
        load_trust(tmp_path / "huge")
    (tmp_path / "deep").write_text("a = " + "[" * 50_000)
    with pytest.raises(DocumentError):
        load_trust(tmp_path / "deep")
