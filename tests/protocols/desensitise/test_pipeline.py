"""Rule files and pipelines: what is refused before a row is read, batches, and the scan that stands at the end."""

from __future__ import annotations

import random
import re
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng
from support.identifier_corpus import card, full_name, id_18, sentence

from protocols.desensitise import pipeline
from protocols.desensitise.errors import DataError, IdentifierSurvives, RuleError
from protocols.desensitise.pipeline import Pipeline
from protocols.desensitise.recognisers import scan
from protocols.desensitise.rulefile import parse
from protocols.desensitise.rules import RULES, Context

HEAD = 'purpose = "research"\nrecipient = "uni"\n'
RULES_TEXT = (
    HEAD
    + """identifiers = ["name"]
quasi = ["age"]
[keys]
people = "people.key"
[columns]
name = { rule = "drop" }
id = { rule = "encrypt_id", key = "people" }
phone = { rule = "mask", keep_start = 3, keep_end = 4 }
card = { rule = "encrypt", key = "people" }
age = { rule = "interval", width = 10 }
note = { rule = "redact", also = ["name"] }
income = { rule = "rank_swap", window = 10 }
"""
)


def people(count: int, seed: int = 1) -> pa.Table:
    source = random.Random(seed)
    return pa.table(
        {
            "name": [full_name(source) for _ in range(count)],
            "id": [id_18(source) for _ in range(count)],
            "phone": [f"13{source.randrange(10**9):09}" for _ in range(count)],
            "card": [card(source).replace(" ", "") for _ in range(count)],
            "age": [source.randrange(100) for _ in range(count)],
            "note": [sentence(source).text for _ in range(count)],
            "income": [source.randrange(10**6) for _ in range(count)],
        }
    )


def made(text: str, table: pa.Table, size: int = 1000) -> pa.Table:
    found = pipeline_of(text, table)
    return pa.Table.from_batches(list(found.run(lambda: table.to_batches(max_chunksize=size))), found.output_schema)


def pipeline_of(text: str, table: pa.Table) -> Pipeline:
    rules = parse(text)
    context = Context(
        purpose=rules.purpose, recipient=rules.recipient, keys={"people": bytes(range(32))}, rng=DeterministicRng(b"pipeline")
    )
    return Pipeline(rules, table.schema, context)


def one(rule: str, column: str = "c", head: str = HEAD) -> str:
    return head + f'[keys]\npeople = "k"\n[columns]\n{column} = {rule}\n'


@given(st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=12, deadline=None)
def test_no_identifier_survives_whatever_the_batches(seed: int, rows: int, size: int) -> None:
    table = people(rows, seed)
    found = made(RULES_TEXT, table, size)
    assert found.num_rows == rows
    assert found.column_names == ["id", "phone", "card", "age", "note", "income"]
    canaries = [*table["name"].to_pylist(), *table["id"].to_pylist(), *table["phone"].to_pylist()]
    for row in range(rows):
        text = "\n".join(str(cell) for cell in found.slice(row, 1).to_pylist()[0].values())
        assert not any(canaries[row + at * rows] in text for at in range(3))
    assert scan(found["note"].to_pylist()) == []
    assert sorted(found["income"].to_pylist()) == sorted(table["income"].to_pylist())


def test_the_batches_do_not_matter() -> None:
    table = people(100)
    text = RULES_TEXT.replace('"rank_swap", window = 10', '"microaggregate", k = 5')
    assert made(text, table, 7).equals(made(text, table, 100))


@pytest.mark.parametrize(
    ("rule", "values", "kind"),
    [
        ("keep", ["13812345678"], "cn_mobile"),
        ("keep", ["备注：11010519491231002X"], "cn_id"),
        ("keep", [13812345678], "cn_mobile"),
        ("keep", [13812345678.0], "cn_mobile"),
        ("keep", [Decimal(13812345678)], "cn_mobile"),
        ("keep", ["１３８１２３４５６７８"], "cn_mobile"),
        ("keep", ["a@example.com"], "email"),
        ("mask_pattern", ["13812345678*"], "cn_mobile"),
    ],
)
def test_the_final_scan_blocks_what_the_rules_let_through(rule: str, values: list[Any], kind: str) -> None:
    terms = '{ rule = "keep" }' if rule == "keep" else '{ rule = "mask_pattern", pattern = "###########*" }'
    with pytest.raises(IdentifierSurvives) as blocked:
        made(one(terms), pa.table({"c": [None, *values]}))
    (survivor,) = [each for each in blocked.value.survivors if each.kind == kind]
    assert (survivor.column, survivor.count, survivor.first_row) == ("c", 1, 2)
    assert not any(str(value) in str(blocked.value) for value in values)
    allowed = one(terms) + f'[may_hold]\nc = ["{kind}"]\n'
    assert made(allowed, pa.table({"c": [None, *values]})).num_rows == 2


def test_the_final_scan_does_not_trust_the_redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RULES["redact"], "_redacted", lambda self, values, batch: values)
    with pytest.raises(IdentifierSurvives, match="note"):
        made(RULES_TEXT, people(50))


def test_a_name_that_stands_in_another_column_is_found() -> None:
    table = pa.table({"name": ["阿依古丽", "x"], "note": ["阿依古丽今日入院", "无"]})
    text = HEAD + 'identifiers = ["name"]\n[columns]\nname = { rule = "drop" }\nnote = { rule = "keep" }\n'
    with pytest.raises(IdentifierSurvives, match="value of name"):
        made(text, table)
    assert made(text.replace('note = { rule = "keep" }', 'note = { rule = "redact", also = ["name"] }'), table).num_rows == 2


@pytest.mark.parametrize(
    ("value", "text", "found"),
    [
        ("1001", "编号1001。", True),
        ("1001", "310011", False),
        ("1001", "310011与1001", True),
        ("1001", "1001", True),
        ("Lee5", "Lee50", False),
        ("Lee5", "给Lee5看", True),
        ("王伟", "王伟先生", True),
        ("12", "12", False),
    ],
)
def test_a_value_is_found_as_a_whole(value: str, text: str, found: bool) -> None:
    table = pa.table({"name": [value], "note": [text]})
    rules = HEAD + 'identifiers = ["name"]\n[columns]\nname = { rule = "drop" }\nnote = { rule = "keep" }\n'
    if found:
        with pytest.raises(IdentifierSurvives, match="value of name"):
            made(rules, table)
    else:
        assert made(rules, table).num_rows == 1


def test_a_column_of_names_is_found() -> None:
    source = random.Random(2)
    with pytest.raises(IdentifierSurvives, match="name"):
        made(one('{ rule = "keep" }'), pa.table({"c": [full_name(source) for _ in range(100)]}))
    assert made(one('{ rule = "keep" }'), pa.table({"c": ["高血压", "黄疸", "糖尿病"] * 50})).num_rows == 150


def test_an_encryption_that_does_nothing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocols.desensitise.ff1.encrypt", lambda values, **_: values)
    with pytest.raises(IdentifierSurvives, match="value of c"):
        made(one('{ rule = "encrypt", key = "people" }'), pa.table({"c": ["12345678", "23456789"]}))


def test_what_a_live_key_made_is_never_called_anonymous() -> None:
    table = people(3)
    assert "de-identified" in pipeline_of(RULES_TEXT, table).label
    keyless = one('{ rule = "mask" }')
    assert "anonymous is for measured risk" in pipeline_of(keyless, pa.table({"c": ["a"]})).label
    reports = {}
    found = pipeline_of(RULES_TEXT, table)
    list(found.run(table.to_batches))
    for report in found.reports():
        reports[report.column] = report
    assert reports["id"].undone_by == "key holder"
    assert reports["phone"].undone_by == "nobody"
    assert (reports["phone"].rows, reports["phone"].changed) == (3, 3)
    assert not reports["name"].in_output
    assert reports["income"].mean_before == pytest.approx(reports["income"].mean_after)


def test_memory_does_not_grow_with_the_table() -> None:
    """300,000 rows in batches of 5,000: the pipeline keeps none of them."""
    batch = pa.record_batch({"c": ["some text without numbers"] * 5000, "n": [1] * 5000})
    text = HEAD + '[columns]\nc = { rule = "mask", keep_start = 1 }\nn = { rule = "round", to = 5 }\n'

    def read() -> Iterator[pa.RecordBatch]:
        yield from [batch] * 60

    found = pipeline_of(text, pa.Table.from_batches([batch]))
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    rows = sum(len(each) for each in found.run(read))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows == 300_000
    assert pa.total_allocated_bytes() - before < 1 << 20
    assert peak < 32 << 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns"),
        ("columns = 1", "columns"),
        ("[columns]\n", "columns"),
        ("a = ", "not TOML: Invalid value"),
        ("a = 1\na = 2", "not TOML"),
        ("x = " + "[" * 100_000, "TOML|nested"),
        ("x = 1" + "0" * 5000, "TOML|number|unknown|columns"),
        (HEAD + "#" * (1 << 20), "at most"),
        ('purpose = "a"\n[columns]\nc = { rule = "keep" }', "recipient"),
        (one('{ rule = "keep" }').replace("research", " "), "line 1, purpose"),
        (one('{ rule = "keep" }').replace("research", "a\\u0007"), "line 1, purpose"),
        (one('{ rule = "keep" }', head=HEAD + "colour = 3\n"), "line 3, colour"),
        (one('{ rule = "keep" }', head=HEAD + "k = 1\n"), "line 3, k"),
        (one('{ rule = "keep" }', head=HEAD + 'quasi = ["d"]\n'), "line 3, quasi"),
        (one('{ rule = "keep" }') + '[may_hold]\nc = ["soul"]\n', "may_hold"),
        (one('{ rule = "vanish" }'), "line 6, columns.c.rule"),
        (one('"keep"'), "line 6, columns.c"),
        (one("{ }"), "line 6, columns.c"),
        (one('{ rule = "mask", keep_strt = 3 }'), "line 6, columns.c.keep_strt"),
        (one('{ rule = "mask", keep_start = "3" }'), "line 6, columns.c.keep_start: Expected `int`"),
        (one('{ rule = "pseudonym", key = "other" }'), "line 6, columns.c.key"),
        (one('{ rule = "pseudonym", key = "people", secret = "0123" }'), "secret"),
    ],
)
def test_a_rule_file_that_cannot_be_used_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pa.table({"c": ["a"], "extra": ["b"]}), "'extra'"),
        (pa.table({"d": ["a"]}), "'d'"),
        (pa.table([pa.array(["a"]), pa.array(["b"])], names=["c", "c"]), "more than one"),
        (pa.table({"c": [1.5]}), "text or whole numbers"),
        (pa.table({"c": [["13812345678"]]}), "no rule or scan"),
        (pa.table({"c": [b"13812345678"]}), "no rule or scan"),
        (pa.table({"c": [{"a": "13812345678"}]}), "no rule or scan"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_before_it_is_read(table: pa.Table, message: str) -> None:
    with pytest.raises(RuleError, match=message):
        pipeline_of(one('{ rule = "mask" }'), table)


def test_dropping_everything_or_what_is_measured_is_refused() -> None:
    with pytest.raises(RuleError, match="every column"):
        pipeline_of(one('{ rule = "drop" }'), pa.table({"c": ["a"]}))
    text = HEAD + 'quasi = ["c"]\n[columns]\nc = { rule = "drop" }\nd = { rule = "keep" }\n'
    with pytest.raises(RuleError, match="measured"):
        pipeline_of(text, pa.table({"c": ["a"], "d": ["b"]}))


def test_a_batch_of_another_schema_is_refused() -> None:
    found = pipeline_of(one('{ rule = "mask" }'), pa.table({"c": ["a"]}))
    with pytest.raises(RuleError, match="another schema"):
        list(found.run(lambda: [pa.record_batch({"c": [1]})]))


def test_a_value_that_does_not_fit_names_its_batch() -> None:
    table = pa.table({"c": ["12345678"] * 9 + ["1234567x"]})
    with pytest.raises(DataError, match=r"'c'.*row 0 .*from row 10"):
        made(one('{ rule = "encrypt", key = "people" }'), table, 3)


def test_the_readme_knows_every_rule_and_its_example_is_one() -> None:
    text = (Path(pipeline.__file__).parent / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    assert set(parse(example).columns) >= {"name", "note"}
    for name in RULES:
        assert f"`{name}`" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Zhang Wei", "seen: zhang wei, again"),
        ("Zhang Wei", "ＺＨＡＮＧ　ＷＥＩ"),
        ("Zhang Wei", "Zhang  Wei\ncame"),
        ("Li", "and Li came"),
        ("王伟", "王 伟来了"),
        ("AB12", "ab12"),
        ("ÉMILE", "émile"),
    ],
)
def test_another_way_of_writing_hides_no_value(value: str, text: str) -> None:
    table = pa.table({"name": [value, None], "note": [text, "nothing"]})
    rules = HEAD + 'identifiers = ["name"]\n[columns]\nname = { rule = "drop" }\nnote = { rule = "keep" }\n'
    with pytest.raises(IdentifierSurvives, match="value of name"):
        made(rules, table)
    redacted = made(rules.replace('"keep"', '"redact", also = ["name"]'), table)["note"].to_pylist()
    assert "[name]" in redacted[0]
    assert redacted[1] == "nothing"


def test_a_short_word_is_taken_out_as_a_word_only() -> None:
    table = pa.table({"name": ["Li"], "note": ["Li is on the List, line 12; li, the measure"]})
    text = HEAD + '[columns]\nname = { rule = "drop" }\nnote = { rule = "redact", also = ["name"] }\n'
    assert made(text, table)["note"].to_pylist() == ["[name] is on the List, line 12; li, the measure"]


@pytest.mark.parametrize("copy", [lambda ids: ids, lambda ids: [float(each) for each in ids]])
@pytest.mark.parametrize("first", [101, 100_001])
def test_a_column_of_numbers_that_repeats_an_identifying_one_is_found(copy: Any, first: int) -> None:
    ids = list(range(first, first + 40))
    rules = HEAD + 'identifiers = ["id"]\n[columns]\nid = { rule = "drop" }\nref = { rule = "keep" }\nage = { rule = "keep" }\n'
    with pytest.raises(IdentifierSurvives) as blocked:
        made(rules, pa.table({"id": ids, "ref": copy(ids), "age": [first] * 40}), size=7)
    found = {each.column: (each.kind, each.count, each.first_row) for each in blocked.value.survivors}
    assert found.pop("ref") == ("value of id", 40, 1)
    assert found == ({} if first == 101 else {"age": ("value of id", 1, 1)})  # one number of three digits may be chance


def test_a_column_of_dates_that_repeats_an_identifying_one_is_found() -> None:
    born = pa.array([0, 5000, None, 9000], pa.int32()).cast(pa.date32())
    rules = HEAD + 'identifiers = ["born"]\n[columns]\nborn = { rule = "drop" }\nseen = { rule = "keep" }\n'
    with pytest.raises(IdentifierSurvives, match=r"seen.*value of born"):
        made(rules, pa.table({"born": born, "seen": born}))


def test_what_a_schema_says_beside_its_columns_stays_behind() -> None:
    field = pa.field("c", pa.int64(), metadata={"from": "13812345678"})
    table = pa.table({"c": [1, 2]}).cast(pa.schema([field], metadata={"owner": "13812345678"}))
    output = made(one('{ rule = "keep" }'), table)
    assert output.schema.metadata is None
    assert output.schema.field("c").metadata is None
