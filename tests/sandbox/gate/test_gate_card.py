"""Documents of a release: they survive their canonical form, and a card never counts few people."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from support.gate_cases import SEX, Question, plan_of, table_of

from sandbox.gate import ProviderNote, product_card, release
from sandbox.gate.card import coarse
from sandbox.gate.labels import from_literal, to_literal
from sandbox.model.canonical import canonical, parse
from sandbox.model.product import ProductCard, ReleaseRecord


def people() -> list[dict]:
    return [{"id": n, "sex": "f" if n < 20 else "m", "age": 1, "zone": "x", "value": n} for n in range(22)]


def test_documents_survive_their_canonical_form() -> None:
    question = Question(groups=(SEX,), functions=("count_rows", "sum"))
    plan, table = plan_of(question), table_of(question, people())
    answer = release(plan, table)
    notes = (ProviderNote(input=0, keys_removed=3, rows_removed=900, vanished=(("m",),)),)
    card = product_card(plan, answer, notes=notes, clipped={1: ["value"]})
    assert parse(canonical(card), ProductCard, what="card") == card
    assert parse(canonical(answer.record), ReleaseRecord, what="record") == answer.record
    assert (card.dropped[0].keys, card.dropped[0].rows) == ("fewer than 5", "of fewer than 5 keys")
    assert card.sources[1].clipped == ("value",)
    assert card.withheld == answer.withheld


@pytest.mark.parametrize(("count", "shown"), [(0, "0"), (1, "fewer than 5"), (4, "fewer than 5"), (5, "5"), (700, "700")])
def test_counts_below_k_are_coarse(count: int, shown: str) -> None:
    assert coarse(count, 5) == shown


@pytest.mark.parametrize(
    "label", [None, True, False, -7, 2**70, Decimal("1.50"), "", "甲\n", date(2026, 1, 31), datetime(2026, 1, 31, 4, 5, 6)]
)
def test_labels_survive_their_document_form(label) -> None:
    assert from_literal(to_literal(label)) == label
