"""Every rule: what it promises, which columns it takes, NULLs, batches of any size, and what is refused."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng

from protocols.desensitise.errors import DataError, RuleError
from protocols.desensitise.recognisers import find
from protocols.desensitise.rules import RULES, Context, Rule, Spec, WholeColumn

KEYS = {"k": bytes(range(32))}
SAMPLES: dict[str, tuple[dict[str, Any], pa.Array]] = {
    "keep": ({}, pa.array([1, None, 3])),
    "drop": ({}, pa.array(["a", None])),
    "suppress": ({}, pa.array([1.5, None])),
    "mask": ({"keep_start": 3, "keep_end": 4}, pa.array(["13812345678", None, "号"])),
    "mask_pattern": ({"pattern": "###****####"}, pa.array(["13812345678", None, "1381234567"])),
    "interval": ({"width": 10}, pa.array([3, None, 47])),
    "date": ({"to": "month"}, pa.array([datetime.date(2024, 5, 6), None])),
    "prefix": ({"keep": 2}, pa.array(["310115", None])),
    "tree": ({"file": "icd.csv"}, pa.array(["I10", None, "E11"])),
    "clip": ({"bottom": 10, "top": 40}, pa.array([3, None, 47])),
    "pseudonym": ({"key": "k"}, pa.array(["a", None, "a"])),
    "encrypt": ({"key": "k"}, pa.array(["12345678", None])),
    "encrypt_id": ({"key": "k"}, pa.array(["11010519491231002X", None])),
    "encrypt_mobile": ({"key": "k"}, pa.array(["13812345678", None])),
    "token": ({}, pa.array(["a", None, "a", "b"])),
    "round": ({"to": 5}, pa.array([2, 3, None, 7, -3])),
    "noise": ({"distribution": "laplace", "scale": 3}, pa.array([5, None, 7])),
    "rank_swap": ({"window": 2}, pa.array([5, None, 7, 1, 3])),
    "microaggregate": ({"k": 2}, pa.array([5, None, 7, 1, 3])),
    "redact": ({}, pa.array(["打13812345678", None, "无"])),
}


def context(**changes: Any) -> Context:
    terms: dict[str, Any] = {
        "purpose": "research",
        "recipient": "uni",
        "keys": KEYS,
        "texts": {"icd.csv": "I10;I;*\nE11;E;*\n"},
    }
    return Context(**(terms | {"rng": DeterministicRng(b"rules")} | changes))


def rule(name: str, column: str = "c", *, using: Context | None = None, **parameters: Any) -> Rule:
    spec: Spec = msgspec.convert({"rule": name, **parameters}, RULES[name])
    return Rule(column, spec, using or context())


def applied(found: Rule, values: pa.Array, **others: pa.Array) -> list[Any]:
    batch = pa.record_batch({"c": values, **others})
    found.accepts(batch.schema)
    if isinstance(found.convert, WholeColumn):
        found.convert.observe(values)
        found.convert.settle()
    made = found.apply(batch)
    assert made.schema.equals(found.produces(batch.schema))
    made.validate(full=True)
    return made.column("c").to_pylist() if "c" in made.schema.names else []


def test_every_rule_has_a_sample_and_is_documented() -> None:
    assert set(SAMPLES) == set(RULES)
    for each in RULES.values():
        assert each.__doc__
        assert each.family


@pytest.mark.parametrize("name", RULES)
def test_a_rule_keeps_what_it_says(name: str) -> None:
    parameters, values = SAMPLES[name]
    found = rule(name, **parameters)
    made, given_values = applied(found, values), values.to_pylist()
    keeps = found.spec.keeps
    if found.spec.output(values.type) is None:
        assert made == []
        return
    assert len(made) == len(given_values)
    assert all(new is None for new, old in zip(made, given_values, strict=True) if old is None)
    pairs = [(old, new) for old, new in zip(given_values, made, strict=True) if old is not None and new is not None]
    if "value" in keeps:
        assert made == given_values
    if "length" in keeps and isinstance(given_values[0], str):
        assert all(len(old) == len(new) for old, new in pairs)
    if "joinability" in keeps:
        assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(set(pairs))
    if "order" in keeps and all(isinstance(new, int | float) for _, new in pairs):
        ordered = [new for _, new in sorted(pairs)]
        assert ordered == sorted(ordered)


@pytest.mark.parametrize("name", RULES)
def test_empty_and_missing_columns_pass_every_rule(name: str) -> None:
    parameters, values = SAMPLES[name]
    if name == "microaggregate":
        assert applied(rule(name, **parameters), values.slice(0, 0)) == []
        return
    assert applied(rule(name, **parameters), values.slice(0, 0)) == []
    made = applied(rule(name, **parameters), pa.nulls(3, values.type))
    assert made in ([None] * 3, [])


@pytest.mark.parametrize(
    ("name", "parameters", "values", "expected"),
    [
        (
            "mask",
            {"keep_start": 3, "keep_end": 4},
            ["13812345678", "1234567", "12345678"],
            ["138****5678", "*******", "123*5678"],
        ),
        ("mask", {}, ["张三丰", ""], ["***", ""]),
        ("mask", {"keep_start": 1, "fixed_length": 2}, ["张三丰", "李四"], ["张**", "李**"]),
        ("mask", {"keep_end": 2}, [12345, None], ["***45", None]),
        ("mask_pattern", {"pattern": "##*"}, ["abc", "中文字", "ab"], ["ab*", "中文*", "**"]),
        ("interval", {"width": 10, "top": 90}, [0, 9, 10, 95], ["[0, 10)", "[0, 10)", "[10, 20)", ">= 90"]),
        ("date", {"to": "year"}, ["2024-05-06", "1999-12-31"], ["2024", "1999"]),
        ("prefix", {"keep": 2}, ["310115", "44"], ["31****", "44"]),
        ("tree", {"file": "icd.csv"}, ["I10", "E11", "I10"], ["I", "E", "I"]),
        ("clip", {"bottom": 0, "top": 10}, [-5, 5, 50], [0, 5, 10]),
        ("clip", {"top": 1.5}, [1.0, 2.0, float("inf")], [1.0, 1.5, 1.5]),
        ("suppress", {"values": ["a"]}, ["a", "b"], [None, "b"]),
        ("round", {"to": 10}, [5, 15, 24, -5, -15, 26], [0, 20, 20, 0, -20, 30]),
        ("round", {"to": 0.5}, [1.2, 1.3], [1.0, 1.5]),
        ("microaggregate", {"k": 2}, [1, 9, 3, 11, 10], [2, 10, 2, 10, 10]),
        ("redact", {}, ["打13812345678找张三先生", "无"], ["打[cn_mobile]找[name]先生", "无"]),
    ],
)
def test_values(name: str, parameters: dict[str, Any], values: list[Any], expected: list[Any]) -> None:
    assert applied(rule(name, **parameters), pa.array(values)) == expected


HOSTILE = [
    "",
    " ",
    "a\0b",
    "x" * 10_000,
    "e\u0301",
    "\u202e反",
    "１２３",
    "\x1e",
    "a\r\nb",
    "<b>",
    "\x1b[31m",
    "𠮷",
    "-1",
    "=1+1",
]


@pytest.mark.parametrize("name", RULES)
def test_hostile_text_passes_or_is_refused_by_name(name: str) -> None:
    parameters, values = SAMPLES[name]
    if not pa.types.is_string(values.type):
        return
    for text in HOSTILE:
        said, made = "'c'", []
        try:
            made = applied(rule(name, **parameters), pa.array([text, None]))
        except DataError as refused:
            said = str(refused)
        assert "'c'" in said
        assert len(text) < 3 or text not in said
        assert made in ([], [made[0] if made else None, None])


def test_nan_is_never_made_a_bound() -> None:
    (made,) = applied(rule("clip", bottom=0, top=1), pa.array([float("nan")]))
    assert made != made  # noqa: PLR0124


def test_two_recipients_purposes_or_columns_cannot_join() -> None:
    values = pa.array(["11010519491231002X", "110105491231002"])
    for name in ("pseudonym", "encrypt_id"):
        made = [
            tuple(applied(rule(name, using=context(**changes), key="k", **domain), values))
            for changes in ({}, {"recipient": "bank"}, {"purpose": "marketing"}, {"keys": {"k": bytes(32)}})
            for domain in ({}, {"domain": "person"})
        ]
        assert len({cell for row in made for cell in row}) == 16
    one = applied(rule("pseudonym", key="k", domain="person"), values)
    other = Rule("d", msgspec.convert({"rule": "pseudonym", "key": "k", "domain": "person"}, RULES["pseudonym"]), context())
    assert other.values(pa.record_batch({"d": values})).to_pylist() == one


def test_pseudonyms_look_like_nobodys_number() -> None:
    made = applied(rule("pseudonym", key="k"), pa.array([str(n) for n in range(3000)]))
    assert len(set(made)) == 3000
    assert all(len(cell) == 26 and cell.isalpha() and not find(cell) for cell in made)


def test_rank_swapping_moves_values_by_less_than_the_window() -> None:
    source = random.Random(1)
    values = [source.randrange(10**6) for _ in range(2000)]
    made = applied(rule("rank_swap", window=50), pa.array(values))
    assert Counter(made) == Counter(values)
    assert made != values
    ranks = {value: rank for rank, value in enumerate(sorted(values))}
    assert all(abs(ranks[old] - ranks[new]) < 50 for old, new in zip(values, made, strict=True))


@given(st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=4), st.integers(2, 4))
@settings(max_examples=40, deadline=None)
def test_every_microaggregate_stands_for_k_values(values: list[int | None], k: int) -> None:
    present = sorted(value for value in values if value is not None)
    if len(present) < k:
        return
    made = applied(rule("microaggregate", k=k), pa.array(values, pa.int64()))
    pairs = sorted((old, new) for old, new in zip(values, made, strict=True) if old is not None)
    groups = [present[at : at + k] for at in range(0, len(present) - len(present) % k, k)]
    groups[-1] += present[len(present) - len(present) % k :] if len(present) % k else []
    expected = [round(float(np.mean(group))) for group in groups for _ in group]
    assert sorted(new for _, new in pairs) == expected


def test_noise_has_its_distribution_and_its_bounds() -> None:
    made = applied(rule("noise", distribution="laplace", scale=4), pa.array([100] * 20_000))
    errors = np.array(made) - 100
    assert abs(errors.mean()) < 0.3
    assert 28 < errors.var() < 36  # 2 scale^2, a little less for whole numbers
    made = applied(rule("noise", distribution="gaussian", variance=100, bottom=0, top=20), pa.array([0, 10, 20, 500] * 500))
    assert min(made) >= 0
    assert max(made) <= 20


@given(st.text(max_size=60), st.text(max_size=10))
@settings(max_examples=50, deadline=None)
def test_nothing_is_left_to_redact(before: str, after: str) -> None:
    text = f"{before}，13812345678，身份证11010519491231002X，患者张三丰{after}"
    made = applied(rule("redact"), pa.array([text]))[0]
    assert find(made) == []
    assert "13812345678" not in made


def test_redaction_knows_the_rows_other_columns() -> None:
    notes = pa.array(["阿依古丽今日入院", "无", None])
    made = applied(rule("redact", also=["name"]), notes, name=pa.array(["阿依古丽", None, "x"]))
    assert made == ["[name]今日入院", "无", None]


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("mask", {"keep_start": -1}, "0 or more"),
        ("mask", {"mask": "**"}, "one character"),
        ("mask_pattern", {"pattern": "##"}, "kept"),
        ("interval", {"width": 0}, "width"),
        ("prefix", {"keep": 0}, "1 at least"),
        ("tree", {"file": "icd.csv", "level": 9}, "1 to 2"),
        ("clip", {}, "bottom, top"),
        ("clip", {"bottom": 2, "top": 1}, "above"),
        ("pseudonym", {"key": "other"}, "no key"),
        ("pseudonym", {"key": "short"}, "32"),
        ("pseudonym", {"key": "k", "letters": 3}, "16 to 64"),
        ("encrypt", {"key": "k", "alphabet": "a"}, "alphabet"),
        ("round", {"to": 0}, "above 0"),
        ("noise", {"distribution": "laplace", "variance": 3}, "scale"),
        ("noise", {"distribution": "gaussian", "variance": 3, "bottom": 2, "top": 1}, "above"),
        ("rank_swap", {"window": 1}, "2 or more"),
        ("microaggregate", {"k": 1}, "2 or more"),
        ("redact", {"kinds": ["soul"]}, "soul"),
    ],
)
def test_unusable_parameters_are_refused_with_the_column(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(RuleError, match=message) as refused:
        rule(name, using=context(keys={**KEYS, "short": b"x"}), **parameters)
    assert "columns.c" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("mask", pa.array([1.5])),
        ("interval", pa.array(["a"])),
        ("date", pa.array([1])),
        ("pseudonym", pa.array([1.5])),
        ("noise", pa.array([1.5])),
        ("round", pa.array(["a"])),
        ("rank_swap", pa.array([True])),
        ("redact", pa.array([1])),
        ("clip", pa.array([datetime.date(2024, 1, 1)])),
    ],
)
def test_a_column_of_another_type_is_refused_before_it_is_read(name: str, values: pa.Array) -> None:
    with pytest.raises(RuleError, match=r"columns\.c: the rule takes"):
        rule(name, **SAMPLES[name][0]).accepts(pa.schema([pa.field("c", values.type)]))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("encrypt", pa.array(["12345678", "12a45678"])),
        ("encrypt", pa.array(["12345678", "123"])),
        ("encrypt_id", pa.array(["11010519491231002X", "110105194912310021"])),
        ("encrypt_mobile", pa.array(["13812345678", "23812345678"])),
        ("date", pa.array(["2024-02-30"])),
        ("tree", pa.array(["Z99"])),
        ("interval", pa.array([float("nan")])),
        ("rank_swap", pa.array([1.0, float("inf")])),
        ("microaggregate", pa.array([1.0, float("nan")])),
        ("microaggregate", pa.array([1])),
        ("noise", pa.array([-(2**63)])),
        ("round", pa.array([2**63 - 1])),
        ("round", pa.array([-128], pa.int8())),
    ],
)
def test_values_that_a_rule_cannot_take_name_the_column_and_no_value(name: str, values: pa.Array) -> None:
    with pytest.raises(DataError, match="'c'") as refused:
        applied(rule(name, **SAMPLES[name][0]), values)
    assert not any(str(value) in str(refused.value) for value in values.to_pylist() if isinstance(value, str))


@pytest.mark.parametrize("name", ["encrypt", "encrypt_id", "encrypt_mobile"])
def test_what_cannot_be_encrypted_can_be_suppressed(name: str) -> None:
    values = pa.concat_arrays([SAMPLES[name][1], pa.array(["12a", ""])])
    made = applied(rule(name, invalid="suppress", **SAMPLES[name][0]), values)
    assert made[0] is not None
    assert made[1:] == [None] * 3


def test_keys_are_never_shown() -> None:
    assert "redacted" in repr(context())
    assert str(KEYS["k"]) not in repr(rule("pseudonym", key="k"))
    assert "a" * 3 not in repr(rule("token").convert)
