"""Documents of a release survive their canonical form."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from support.gate_cases import SEX, Question, plan_of, table_of

from sandbox.gate import release
from sandbox.gate.labels import from_literal, to_literal
from sandbox.model.canonical import canonical, parse
from sandbox.model.product import ReleaseRecord, WithheldCell


def people() -> list[dict]:
    return [{"id": n, "sex": "f" if n < 20 else "m", "age": 1, "zone": "x", "value": n} for n in range(22)]


def test_documents_survive_their_canonical_form() -> None:
    question = Question(groups=(SEX,), functions=("count_rows", "sum"))
    plan, table = plan_of(question), table_of(question, people())
    answer = release(plan, table)
    assert parse(canonical(answer.record), ReleaseRecord, what="record") == answer.record
    assert answer.withheld
    assert all(parse(canonical(entry), WithheldCell, what="withheld cell") == entry for entry in answer.withheld)


@pytest.mark.parametrize(
    "label", [None, True, False, -7, 2**70, Decimal("1.50"), "", "甲\n", date(2026, 1, 31), datetime(2026, 1, 31, 4, 5, 6)]
)
def test_labels_survive_their_document_form(label) -> None:
    assert from_literal(to_literal(label)) == label
