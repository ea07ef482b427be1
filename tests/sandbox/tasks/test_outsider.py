"""What published products tell together, from what is published alone."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from support.gate_cases import SEX, THRESHOLDS_ONLY, ZONE, Question, Row, age_below, plan_of, table_of

from sandbox.gate import release
from sandbox.model.product import ReleaseRecord
from sandbox.tasks.card import product_card
from sandbox.tasks.outsider import Published, Together, differences, reconstructions

RULES = msgspec.structs.replace(THRESHOLDS_ONLY, min_keys=10, min_contributors=10, min_difference=10)


def people(**sizes: int) -> list[Row]:
    rows = [{"sex": sex, "zone": "north", "value": 5, "age": at} for sex, size in sizes.items() for at in range(size)]
    return [row | {"id": at} for at, row in enumerate(rows)]


def published(rows: list[Row], question: Question, history: tuple[ReleaseRecord, ...] = ()) -> tuple[Published, ReleaseRecord]:
    """A product as a gate releases it that knows of this history."""
    plan = plan_of(question, RULES)
    cells = table_of(question, rows, k=10)
    released = release(plan, cells, history)
    return Published(plan=plan, table=released.to_arrow(), card=product_card(plan, cells, released)), released.record


def test_two_small_cells_under_a_total_are_bounded_and_no_difference() -> None:
    """9 and 9 are withheld, as fewer than 10; the total leaves them 18, so each is 9. No combination of numbers tells that."""
    rows = people(m=9, f=9, x=100)
    by_sex, _ = published(rows, Question(groups=(SEX,)))
    total, _ = published(rows, Question())
    assert len(by_sex.card.withheld) == 2
    assert differences(total, [by_sex]) == Together(numbers=(), compared=1)
    assert reconstructions(total, [by_sex]).numbers == (((), "count_rows"),)
    # 13 for two cells below 10 leave each 4 to 9, six values of nine: wide enough.
    wider = people(m=6, f=7, x=100)
    assert reconstructions(published(wider, Question())[0], [published(wider, Question(groups=(SEX,)))[0]]).numbers == ()


def test_a_difference_of_a_few() -> None:
    rows = people(m=60, f=60)
    everybody, _ = published(rows, Question(groups=(SEX,)))
    most, _ = published(rows, Question(groups=(SEX,), where=(age_below(57),)))
    found = differences(most, [everybody])
    assert found.numbers is not None
    assert {column for _, column in found.numbers} == {"count_rows"}
    assert {labels for labels, _ in found.numbers} == {("m",), ("f",)}


@pytest.mark.parametrize("seed", range(12))
def test_an_honest_gate_leaves_an_outsider_nothing(seed: int) -> None:
    """The gate knew all that is published, and more: what it released passes when an outsider tries."""
    chance = random.Random(seed)
    rows: list[Row] = [
        {
            "id": at,
            "sex": chance.choice("mf") if chance.random() < 0.9 else "x",
            "zone": chance.choice(("north", "south")),
            "age": chance.randrange(60),
            "value": None if chance.random() < 0.1 else chance.randrange(100),
        }
        for at in range(chance.choice((60, 120)))
    ]
    functions = chance.choice((("count_rows",), ("count_rows", "count", "avg"), ("sum", "count_rows")))
    questions = [Question(groups=groups, functions=functions) for groups in ((SEX, ZONE), (SEX,), (), (ZONE,))]
    chance.shuffle(questions)
    history: tuple[ReleaseRecord, ...] = ()
    products: list[Published] = []
    for question in questions:
        product, record = published(rows, question, history)
        history = (*history, record)
        if products:
            assert differences(product, products).numbers == ()
            assert reconstructions(product, products).numbers == ()
        products.append(product)


@pytest.mark.parametrize("more", [{"limit": 1}])
def test_cells_that_are_left_out_unseen_cannot_be_decided(more: dict[str, Any]) -> None:
    rows = people(m=60, f=60)
    cut, _ = published(rows, Question(groups=(SEX,), more=more))
    whole, _ = published(rows, Question(groups=(SEX,)))
    assert differences(cut, [whole]) == Together(numbers=None, compared=0)
    assert differences(whole, [cut]) == Together(numbers=(), compared=0)
