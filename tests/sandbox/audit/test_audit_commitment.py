"""Input commitments: one root per table version, rows that open one by one, and salts that hide the rest."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.audit.commitment import OpenedRow, commit_rows, open_row, row_salt, seed_hash, verify_row
from sandbox.audit.merkle import leaf_hash
from sandbox.errors import AuditError, DocumentError
from sandbox.model.evidence import InputCommitment

KEY = bytes(range(32))


def commitment(rows: list[bytes]) -> InputCommitment:
    root, count = commit_rows(rows, salt_key=KEY)
    return InputCommitment(
        version=1, task="t", provider="lab", asset="lab.x", asset_version=1, rows=count, root=root, seed_hash=seed_hash(b"s")
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_every_row_opens_and_no_other(rows: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    opened = open_row(rows, index, salt_key=KEY)
    verify_row(opened, commitment(rows))
    for other in (
        OpenedRow(index=index, salt=opened.salt, row=opened.row + b"x", proof=opened.proof),
        OpenedRow(index=index, salt=bytes(32), row=opened.row, proof=opened.proof),
        OpenedRow(index=len(rows), salt=opened.salt, row=opened.row, proof=opened.proof),
    ):
        with pytest.raises(AuditError):
            verify_row(other, commitment(rows))
    with pytest.raises(AuditError):
        verify_row(opened, msgspec.structs.replace(commitment(rows), root="00" * 32))


def test_rows_hide_behind_their_salts() -> None:
    root, _ = commit_rows([b"only"], salt_key=KEY)
    other, _ = commit_rows([b"only"], salt_key=bytes(32))
    assert root != other
    assert root != leaf_hash(b"only").hex()
    assert row_salt(KEY, 0) != row_salt(KEY, 1)
    assert "only" not in repr(open_row([b"only"], 0, salt_key=KEY))


def test_an_empty_table_and_a_short_key() -> None:
    assert commit_rows([], salt_key=KEY)[1] == 0
    with pytest.raises(DocumentError):
        commit_rows([], salt_key=KEY[:31])
    for fields in ({"root": "0" * 63}, {"root": "G" * 64}, {"rows": -1}, {"provider": "a b"}, {"seed_hash": "00" * 32 + "\n"}):
        with pytest.raises(DocumentError):
            msgspec.structs.replace(commitment([b"x"]), **fields)
