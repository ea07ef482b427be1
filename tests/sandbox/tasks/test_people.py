"""An auditor's file of people against a product: whoever is told of is named by row, and nobody where the table is good."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from support.gate_cases import AGE, SEX, THRESHOLDS_ONLY, ZONE, Question, age_band, plan_of, table_of

from sandbox.errors import UsageError
from sandbox.gate import release
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.card import product_card
from sandbox.tasks.people import People, people_in_cells
from sandbox.tasks.released.people import people_in_rows

RULES = msgspec.structs.replace(THRESHOLDS_ONLY, min_keys=10, min_contributors=10)


def crowd(people: int = 200) -> list[dict[str, Any]]:
    chance = random.Random(3)
    return [
        {
            "id": at,
            "sex": "mf"[at % 2],
            "age": 20 + at % 40,
            "zone": chance.choice(("north", "south")),
            "value": chance.randrange(100),
        }
        for at in range(people)
    ]


def product(rows: list[dict[str, Any]], *groups: Any, **more: Any) -> tuple[Plan, pa.Table, ProductCard]:
    question = Question(groups=groups, functions=("count_rows", "avg"), more=more)
    plan = plan_of(question, RULES)
    cells = table_of(question, rows, k=1)
    released = release(plan, cells)
    return plan, released.to_arrow(), product_card(plan, cells, released)


def planted(table: pa.Table, count: int, **labels: Any) -> pa.Table:
    """The table as a gate that let a small cell through would show it."""
    row = {name: labels.get(name) for name in table.column_names} | {"count_rows": count, "avg": 1.0}
    return pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)])


def test_a_planted_person_is_found_and_nobody_else() -> None:
    rows = crowd()
    plan, table, card = product(rows, SEX, age_band(20))
    people = pd.DataFrame(rows)
    everybody = People(frame=people, quasi=("sex", "age"))
    (good,) = people_in_cells(plan, table, card, everybody)
    assert (good.verdict, good.exposed) == ("PASS", ())
    bad = planted(table, 1, sex="f", band20=4)
    (nobody,) = people_in_cells(plan, bad, card, everybody)
    assert (nobody.verdict, nobody.exposed) == ("PASS", ())
    people.loc[len(people)] = {"id": 999, "sex": "f", "age": 85, "zone": "north", "value": 1}
    (found,) = people_in_cells(plan, bad, card, People(frame=people, quasi=("sex", "age")))
    assert (found.verdict, found.exposed) == ("FAIL", (200,))
    assert "85" not in found.message


def test_labels_as_the_product_shows_them() -> None:
    rows = crowd()
    plan, table, card = product(rows, SEX, age_band(20))
    bad = planted(table, 3, sex="f", band20=4)
    people = pd.DataFrame({"sex": ["f", "f", "m"], "band20": [4.0, 1.0, None]})
    (found,) = people_in_cells(plan, bad, card, People(frame=people, quasi=("sex", "band20")))
    assert (found.verdict, found.exposed) == ("FAIL", (0,))
    (vague,) = people_in_cells(plan, bad, card, People(frame=people, quasi=("sex",)))
    assert (vague.verdict, vague.exposed) == ("PASS", ())


def test_withheld_cells_have_no_number_to_tell() -> None:
    rows = [*crowd(), {"id": 999, "sex": "x", "age": 30, "zone": "north", "value": 5}]
    plan, table, card = product(rows, SEX)
    assert [cell.reason for cell in card.withheld] == ["BELOW_K"] * 2
    (found,) = people_in_cells(plan, table, card, People(frame=pd.DataFrame({"sex": ["x"]}), quasi=("sex",)))
    assert (found.verdict, found.exposed) == ("INCONCLUSIVE", ())


def test_what_the_other_groups_tell() -> None:
    rows = [row | {"zone": "south"} if row["sex"] == "f" else row for row in crowd()]
    plan, table, card = product(rows, SEX, ZONE)
    people = People(frame=pd.DataFrame({"sex": ["m", "f", "f"]}), quasi=("sex",), sensitive=("zone",))
    linked, told = people_in_cells(plan, table, card, people)
    assert (linked.verdict, told.attack) == ("PASS", "homogeneity")
    assert (told.verdict, told.exposed) == ("FAIL", (1, 2))
    plan, table, card = product(crowd(), SEX, ZONE)
    assert people_in_cells(plan, table, card, people)[1].exposed == ()
    cut = product(rows, SEX, ZONE, limit=2)
    assert people_in_cells(*cut, people)[1].verdict in ("PASS", "INCONCLUSIVE")
    # One label in the whole product is what the question asked for, not what a person's cells tell.
    only = product([row | {"zone": "south"} for row in crowd()], SEX, ZONE)
    assert people_in_cells(*only, people)[1].verdict == "PASS"


@pytest.mark.parametrize(
    ("frame", "quasi", "sensitive"),
    [
        ({"sex": ["m"], "weight": [1]}, ("sex", "weight"), ()),
        ({"sex": ["m"]}, ("sex",), ("age",)),
        ({"sex": ["m"], "band20": ["secret"]}, ("sex", "band20"), ()),
        ({"sex": ["m"], "band20": [1.5]}, ("sex", "band20"), ()),
        ({"sex": ["m"], "age": ["secret"]}, ("sex", "age"), ()),
    ],
)
def test_misuse(frame: dict[str, Any], quasi: tuple[str, ...], sensitive: tuple[str, ...]) -> None:
    plan, table, card = product(crowd(), SEX, age_band(20))
    people = People(frame=pd.DataFrame(frame), quasi=quasi, sensitive=sensitive)
    with pytest.raises(UsageError) as caught:
        people_in_cells(plan, table, card, people)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(people)


def test_people_in_released_rows() -> None:
    plan, _, card = product(crowd(), AGE)
    good = pd.DataFrame(
        {"sex": ["m", "f"] * 200, "band": [at // 2 % 4 for at in range(400)], "ill": [f"i{at % 3}" for at in range(400)]}
    )
    people = People(frame=good[["sex", "band"]], quasi=("sex", "band"), sensitive=("ill",))
    linked, told = people_in_rows(plan, pa.Table.from_pandas(good), card, people)
    assert (linked.verdict, linked.exposed) == ("PASS", ())
    assert (told.verdict, told.exposed) == ("PASS", ())
    bad = pd.concat([good, pd.DataFrame({"sex": ["x"], "band": [9], "ill": ["i9"]})], ignore_index=True)
    everybody = People(frame=bad[["sex", "band"]], quasi=("sex", "band"), sensitive=("ill",))
    linked, told = people_in_rows(plan, pa.Table.from_pandas(bad), card, everybody)
    assert (linked.verdict, linked.exposed) == ("FAIL", (400,))
    assert (told.verdict, told.exposed) == ("FAIL", (400,))


def test_digests_in_released_rows_are_looked_up() -> None:
    plan, _, card = product(crowd(), AGE)
    names = [f"138{at:08}" for at in range(100)]
    table = pd.DataFrame(
        {"sex": ["m", "f"] * 50, "who": [hashlib.sha256(name.encode()).hexdigest() for name in names], "note": "plain"}
    )
    people = People(frame=pd.DataFrame({"sex": ["m"] * 3, "phone": names[:3]}), quasi=("sex",))
    *_, found = people_in_rows(plan, pa.Table.from_pandas(table), card, people)
    assert (found.attack, found.verdict, len(found.exposed)) == ("dictionary", "FAIL", 3)
    assert "'who'" in found.message
    assert not any(name in found.message for name in names)
    strangers = People(frame=pd.DataFrame({"sex": ["m"], "phone": ["13999999999"]}), quasi=("sex",))
    assert people_in_rows(plan, pa.Table.from_pandas(table), card, strangers)[-1].verdict == "PASS"
