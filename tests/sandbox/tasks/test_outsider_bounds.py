"""What an outsider concludes of withheld cells from published products, against trying every number."""

from __future__ import annotations

import itertools
from typing import Any

from support.gate_cases import SEX, THRESHOLDS_ONLY, ZONE, Question, plan_of, table_of

from sandbox.gate import release
from sandbox.model.product import ReleaseRecord
from sandbox.tasks.card import product_card
from sandbox.tasks.outsider import Published, bounds_of_withheld


def publish(question: Question, rows: list[dict[str, Any]], history: list[ReleaseRecord]) -> Published:
    plan, table = plan_of(question, THRESHOLDS_ONLY), table_of(question, rows)
    answer = release(plan, table, history)
    history.append(answer.record)
    return Published(plan=plan, table=answer.to_arrow(), card=product_card(plan, table, answer))


def people(sizes: dict[tuple[str, str], int]) -> list[dict[str, Any]]:
    kinds = [kind for kind, size in sizes.items() for _ in range(size)]
    return [{"id": at, "sex": sex, "age": 2, "zone": zone, "value": 10} for at, (sex, zone) in enumerate(kinds)]


SPLIT, TOTALS = Question(groups=(SEX, ZONE)), Question(groups=(SEX,))
EIGHT = {("f", "x"): 4, ("f", "y"): 4, ("m", "x"): 9, ("m", "y"): 12}


def test_without_the_gates_history_a_total_tells_two_cells() -> None:
    split, totals = publish(SPLIT, people(EIGHT), []), publish(TOTALS, people(EIGHT), [])
    alone = bounds_of_withheld(split, [])
    together = bounds_of_withheld(totals, [split])
    assert alone is not None
    assert together is not None
    assert {one.labels: (one.low, one.high) for one in alone} == {("f", "x"): (1, 4), ("f", "y"): (1, 4)}
    assert {one.labels: (one.low, one.high) for one in together} == {("f", "x"): (4, 4), ("f", "y"): (4, 4)}


def test_with_it_the_ranges_stay_wide() -> None:
    for first, second in itertools.permutations((SPLIT, TOTALS)):
        history: list[ReleaseRecord] = []
        products = [publish(question, people(EIGHT), history) for question in (first, second)]
        found = bounds_of_withheld(products[1], products[:1])
        assert found is not None
        small = {one.labels: one for one in found if len(one.labels) == 2}
        assert small.keys() == {("f", "x"), ("f", "y")}
        assert all(one.low == 1 and one.high is not None and one.high >= 4 for one in small.values())
        assert [(one.low, one.high) for one in found if len(one.labels) == 1] == ([(2, 8)] if first is SPLIT else [])
