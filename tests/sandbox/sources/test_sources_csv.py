"""CSV: what Python's csv module reads is what the worker reads, for every encoding, delimiter and kind of quoting."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.sources import SourceFault, csvtext, open_source
from sandbox.sources.pipe import Fault

CELLS = st.text(st.sampled_from("ab1 ,;\t|\"\n'é中\\."), max_size=6)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=6)),
    encoding=st.sampled_from(ENCODINGS),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_records_are_those_of_pythons_csv_module(
    tmp_path: Path, *, rows: list[tuple[str, ...]], encoding: str, delimiter: str, quoting: int, ending: str
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=ending)  # type: ignore[arg-type]
    writer.writerow([f"column{at}" for at in range(len(rows[0]))])
    writer.writerows(rows)
    path = tmp_path / "t.csv"
    path.write_bytes(text.getvalue().encode(encoding))
    used = csvtext.known_encoding(encoding)
    csvtext.survey(str(path), used)
    names, table = csvtext.read_texts(str(path), used, delimiter)
    expected = [record for record in csv.reader(io.StringIO(text.getvalue(), newline=""), delimiter=delimiter) if record]
    got = [["" if cell is None else cell for cell in record.values()] for record in table.to_pylist()]
    assert names == expected[0]
    assert got == expected[1:]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.sampled_from('a1,"\n;é'), max_size=40))
def test_any_text_is_read_like_python_does_or_refused_with_a_line(tmp_path: Path, body: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + body, encoding="utf-8", newline="")
    names, table, fault = [], None, None
    try:
        names, table = csvtext.read_texts(str(path), "utf-8", ",")
    except Fault as caught:
        fault = caught
    if fault is not None or table is None:
        assert fault is not None
        assert fault.code in {"ragged", "open-quote"}
        assert 2 <= int(fault.places["line"]) <= 2 + body.count("\n")
        return
    assert names == ["a", "b"]
    expected = [record for record in csv.reader(io.StringIO(body, newline="")) if record]
    assert [["" if cell is None else cell for cell in record.values()] for record in table.to_pylist()] == expected


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [
        ("id,v\n1,x\n", "utf-8", "utf-8"),
        ("id,v\n1,é\n", "utf-8-sig", "utf-8"),
        ("id,v\n1,é\n", "utf-16", "utf-16"),
        ("id,v\n1,é\n", "utf-16-le", "utf-16-le"),
        ("id,v\n1,é\n", "utf-16-be", "utf-16-be"),
        ("编号,性别\n1,男\n2,女\n", "gb18030", "gb18030"),
        ("id,city\n1,Zürich\n2,Genève\n3,Malmö\n", "latin-1", "latin-1"),
    ],
)
def test_encodings_are_found(tmp_path: Path, text: str, encoding: str, found: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    assert csvtext.find_encoding(str(path)) == found


def test_an_unclear_encoding_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("id,v\n1,中\n2,é\n".encode("gb18030") + b"3,\xe9\n")
    with pytest.raises(SourceFault) as caught:
        open_source(path)
    assert caught.value.code == "encoding-unclear"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'a{delimiter}b\n"x, y; z"{delimiter}1\nu{delimiter}2\n')
    assert csvtext.find_delimiter(str(path), "utf-8") == delimiter


TYPES = {
    "leading zero late in the file": (["1"] * 5000 + ["007"], "text"),
    "integers": (["1", "-2", "0", ""], "integer"),
    "beyond int64": (["1", "99999999999999999999"], "text"),
    "long digits beside fractions": (["1.5", "12345678901234567"], "text"),
    "plus sign": (["+86", "12"], "text"),
    "fractions": (["1", "2.50", "1e-05"], "float"),
    "codes like 1E5": (["1E5", "2E7"], "text"),
    "a word late": (["1.5"] * 3000 + ["n/a"], "text"),
    "blank beside": (["1", " 2"], "text"),
    "nan": (["1.5", "nan"], "text"),
    "truth": (["true", "False", ""], "boolean"),
    "0 and 1": (["0", "1"], "integer"),
    "dates": (["2024-02-29", "1999-12-31"], "date"),
    "no such day": (["2023-02-29", "1999-12-31"], "text"),
    "times": (["2024-02-29 10:00", "2024-02-29T10:00:00.5"], "timestamp"),
    "zoned times": (["2024-02-29T10:00:00Z", "2024-02-29 10:00:00+08:00"], "timestamp"),
    "zoned and not": (["2024-02-29T10:00:00Z", "2024-02-29 10:00:00"], "text"),
    "nothing": (["", ""], "text"),
}


def test_types_are_inferred_from_every_value(tmp_path: Path) -> None:
    height = max(len(values) for values, _ in TYPES.values())
    path = tmp_path / "t.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", *TYPES])
        for at in range(height):
            writer.writerow([at, *((values[at] if at < len(values) else "") for values, _ in TYPES.values())])
    source = open_source(path)
    assert dict(source.schema()) == {"row": "integer"} | {name: kind for name, (_, kind) in TYPES.items()}
    (table,) = source.query(['SELECT "zoned times" AS t FROM source WHERE "row" < 2 ORDER BY "row"'])
    assert [str(value) for value in table["t"].to_pylist()] == ["2024-02-29 10:00:00", "2024-02-29 02:00:00"]


def test_declared_types_are_exact_or_refused_with_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,age,fee\n007,40,1.10\n008,"4\n2",2\n009,n/a,3\n')
    spec = open_source(path).spec
    assert dict(spec.types) == {"id": "text", "age": "text", "fee": "float"}
    with pytest.raises(SourceFault) as caught:
        open_source(type(spec)(kind="csv", path=str(path), types=(("age", "integer"),)))
    assert caught.value.code == "type-mismatch"
    assert caught.value.places | {"where": ""} == {"column": "age", "rows": 2, "total": 3, "declared": "integer", "where": ""}
    assert "first at line 4" in str(caught.value)
    source = open_source(type(spec)(kind="csv", path=str(path), types=(("id", "integer"), ("fee", "decimal"))))
    (table,) = source.query(["SELECT sum(id) AS i, sum(fee) AS f FROM source"])
    assert [str(value) for value in table.to_pylist()[0].values()] == ["24", "6.1000000000"]
