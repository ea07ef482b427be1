"""Every rule with every parameter at its limits, on columns of every type: a typed error, or a table that is whole."""

from __future__ import annotations

import datetime
import random
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest

from protocols.desensitise.errors import DataError, IdentifierSurvives, RuleError
from protocols.desensitise.pipeline import Pipeline, plain
from protocols.desensitise.rulefile import parse
from protocols.desensitise.rules import RULES, Context

HEAD = 'purpose = "p"\nrecipient = "r"\n[keys]\nk = "k"\n[columns]\n'
NUMBERS = ("0", "1", "-1", "5", "0.5", "1e-320", "1e308", "nan", "inf", "-inf", str(2**62 + 1), str(2**63 - 1), str(-(2**63)))
OTHERS = (*NUMBERS, str(10**20), '""', '"a"', '"##*"', '"é"', '"\\u0000"', '"year"', "[]", '["a"]', "true", "{}", "1979-05-27")
REQUIRED = {"key": '"k"', "pattern": '"##*"', "file": '"t"', "distribution": '"laplace"', "width": "2", "window": "2", "k": "2"}
DAY = datetime.date(2020, 1, 1)
COLUMNS = {
    "int64": pa.array([1, None, -5, 2**62, 7]),
    "int8": pa.array([1, None, -128, 127], pa.int8()),
    "uint64": pa.array([0, None, 2**64 - 1], pa.uint64()),
    "small": pa.array([1, 2, 3]),
    "float": pa.array([1.5, None, float("nan"), float("inf"), -1e308]),
    "float32": pa.array([1.5, 2.0, None], pa.float32()),
    "decimal": pa.array([Decimal("1.5"), None]),
    "boolean": pa.array([True, None]),
    "date": pa.array([DAY, None, datetime.date(1, 1, 1)]),
    "zoned": pa.array([datetime.datetime(2020, 1, 1, 3), None], pa.timestamp("us", "Asia/Shanghai")),
    "time": pa.array([datetime.time(1, 2), None]),
    "duration": pa.array([datetime.timedelta(1), None]),
    "null": pa.nulls(3),
    "text": pa.array(["abc", "", "１２３", None, "x" * 500, "1234567"]),
    "digits": pa.array(["1234567", "7654321", None]),
    "no rows": pa.array([], pa.int64()),
    "no texts": pa.array([], pa.string()),
    "all missing": pa.array([None, None], pa.string()),
    "one": pa.array([5]),
    "dictionary": pa.array(["a", "b"]).dictionary_encode(),
}


def variants(rule: str) -> list[str]:
    """The rule as it must be written, then with one parameter at a time at a limit, and pairs of bounds."""
    fields = msgspec.structs.fields(RULES[rule])
    least = {each.name: REQUIRED.get(each.name, "2") for each in fields if each.required}
    least |= {"to": '"year"'} if rule == "date" else {"scale": "2"} if rule == "noise" else {}
    found = [least, *({**least, each.name: value} for each in fields for value in OTHERS)]
    if any(each.name == "bottom" for each in fields):
        found += [{**least, "bottom": low, "top": high} for low in NUMBERS for high in NUMBERS]
    return [
        ", ".join((f'c = {{ rule = "{rule}"', *(f"{name} = {value}" for name, value in each.items()))) + " }" for each in found
    ]


@pytest.mark.parametrize("rule", sorted(RULES))
def test_limits_meet_a_typed_error_or_give_a_whole_table(rule: str) -> None:
    source, tried = random.Random(rule), 0
    for text in variants(rule):
        try:
            rules = parse(HEAD + text)
        except RuleError:
            continue
        for name in source.sample(sorted(COLUMNS), 7):
            try:
                assert made(rules, pa.table({"c": COLUMNS[name]})) in (0, len(COLUMNS[name]))
            except (RuleError, DataError, IdentifierSurvives):
                pass
            except Exception as error:
                raise AssertionError(f"{text} on {name}") from error
            tried += 1
    assert tried > 6


def made(rules: Any, table: pa.Table) -> int:
    table = table.cast(plain(table.schema))
    context = Context(
        purpose="p", recipient="r", keys={"k": bytes(range(32))}, texts={"t": "1;a\n5;a\nabc;b\n", "a": "x;*\n", "": "x;*"}
    )
    if rules.tree_files and rules.tree_files[0] not in context.texts:
        raise RuleError("the caller reads the files")
    found = Pipeline(rules, table.schema, context)
    output = pa.Table.from_batches(found.run(lambda: table.to_batches(max_chunksize=4)), found.output_schema)
    output.validate(full=True)
    assert len(found.reports()) == 1
    return int(output.num_rows)


@pytest.mark.parametrize("number", [2**53 + 1, 2**62 - 7, -(2**61)])
def test_whole_numbers_beyond_the_floats_pass(number: int) -> None:
    rules = parse(HEAD + 'c = { rule = "keep" }\n[may_hold]\nc = ["bank_card"]')
    table = pa.table({"c": pa.array([number, None])})
    found = Pipeline(rules, table.schema, Context(purpose="p", recipient="r"))
    assert pa.Table.from_batches(found.run(table.to_batches), found.output_schema).equals(table)
    assert found.reports()[0].mean_before == pytest.approx(number)


def test_a_bound_beyond_a_type_changes_nothing_or_is_refused() -> None:
    ages = pa.table({"c": pa.array([3, 100], pa.int8())})

    def clipped(bounds: str) -> list[int]:
        found = Pipeline(parse(HEAD + f'c = {{ rule = "clip", {bounds} }}'), ages.schema, Context(purpose="p", recipient="r"))
        return list(pa.Table.from_batches(found.run(ages.to_batches), found.output_schema)["c"].to_pylist())

    assert clipped("bottom = -1000, top = 1000") == [3, 100]
    assert clipped("bottom = 10, top = 1000") == [10, 100]
    with pytest.raises(DataError, match="int8, which cannot hold the bound 1000"):
        clipped("bottom = 1000")
