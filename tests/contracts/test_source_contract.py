"""What every kind of source keeps: types, values, order of statements, refusals, and no value in any error."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from protocols.errors import Cancelled
from sandbox.errors import SourceError
from sandbox.model.source import SourceSpec
from sandbox.sources import Limits, Source, SourceFault, open_source

CANARY = "canary-7f3e"
ROWS = {
    "id": ["01", "02", "03", CANARY],
    "age": [40, 41, None, 43],
    "weight": [1.5, 2.0, None, 1e-3],
    "smokes": [True, False, None, True],
    "born": [datetime.date(1980, 1, 31), None, datetime.date(1999, 12, 31), datetime.date(2000, 2, 29)],
    "seen": [datetime.datetime(2020, 1, 1, 10, 30), datetime.datetime(2020, 1, 2), None, datetime.datetime(2021, 6, 1)],
}
SCHEMA = (
    ("id", "text"),
    ("age", "integer"),
    ("weight", "float"),
    ("smokes", "boolean"),
    ("born", "date"),
    ("seen", "timestamp"),
)
TYPES = [pa.string(), pa.int64(), pa.float64(), pa.bool_(), pa.date32(), pa.timestamp("us")]
TABLE = pa.table(ROWS, schema=pa.schema(list(zip(ROWS, TYPES, strict=True))))


def _csv(folder: Path) -> Path:
    path = folder / "t.csv"
    lines = [",".join(ROWS)]
    for row in zip(*ROWS.values(), strict=True):
        lines.append(",".join("" if value is None else str(value) for value in row))
    path.write_text("\n".join(lines) + "\n")
    return path


def _parquet(folder: Path) -> Path:
    path = folder / "year=2024[1].parquet"
    pq.write_table(TABLE, path)
    return path


def _duckdb(folder: Path) -> Path:
    path = folder / "t.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.register("given", TABLE)
        connection.execute("CREATE TABLE t AS SELECT * FROM given")
    return path


def _pandas(_folder: Path) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": ROWS["id"],
            "age": pd.array(ROWS["age"], dtype="Int64"),
            "weight": ROWS["weight"],
            "smokes": pd.Series(ROWS["smokes"], dtype=object),
            "born": pd.Series(ROWS["born"], dtype=object),
            "seen": pd.to_datetime(ROWS["seen"]),
        }
    )


KINDS: dict[str, Callable[[Path], object]] = {
    "csv": _csv,
    "parquet": _parquet,
    "duckdb": _duckdb,
    "pandas": _pandas,
    "arrow": lambda _folder: TABLE,
}


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return open_source(KINDS[request.param](tmp_path))  # type: ignore[arg-type]


def test_schema_values_and_order_of_statements(source: Source) -> None:
    everything, counted, bound = source.query(
        [
            "SELECT * FROM source",
            "SELECT count(*) AS n, sum(age) AS s FROM source",
            (
                "SELECT id FROM source WHERE age >= $1 AND born = $2 AND weight < $3",
                (40, datetime.date(2000, 2, 29), Decimal("1.5")),
            ),
        ]
    )
    assert source.schema() == SCHEMA
    assert source.rows() == 4
    assert source.sql_types()["age"] == "BIGINT"
    assert everything.schema.types == TYPES
    assert everything.to_pydict() == ROWS
    assert counted.to_pydict() == {"n": [4], "s": [Decimal(124)]}
    assert bound.to_pydict() == {"id": [CANARY]}


def test_a_settled_spec_opens_the_same_and_pins_the_content(source: Source, tmp_path: Path) -> None:
    pinned = source.pinned()
    assert pinned.types == SCHEMA
    assert pinned.fingerprint == source.fingerprint()
    frame = TABLE if pinned.kind == "frame" else None
    if frame is None:
        assert open_source(pinned).schema() == SCHEMA
    wrong = SourceSpec(kind=pinned.kind, path=pinned.path, fingerprint="sha256:" + "0" * 64)
    with pytest.raises(SourceFault) as caught:
        open_source(wrong, frame=frame)
    assert caught.value.code == "changed-since"


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT CAST(id AS INTEGER) FROM source", "query-failed"),
        ("SELECT nothing FROM source", "query-rejected"),
        ("SELECT * FROM read_csv('/etc/passwd')", "query-rejected"),
        ("COPY source TO '/tmp/canary-out.csv'", "statement"),
    ],
)
def test_statements_that_do_not_fit_leave_no_value(source: Source, statement: str, code: str) -> None:
    with pytest.raises(SourceFault) as caught:
        source.query(["SELECT 1", statement])
    assert caught.value.code == code
    assert caught.value.places == {"statement": 2}
    assert isinstance(caught.value, SourceError)
    _assert_silent(caught.value)


def test_time_and_size_are_limited_and_cancellation_is_heard(source: Source, tmp_path: Path) -> None:
    endless = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(1000000) b"
    began = time.monotonic()
    with pytest.raises(Cancelled):
        source.query([endless], is_cancelled=lambda: time.monotonic() > began + 0.4)
    source._limits = Limits(timeout_s=0.5)
    with pytest.raises(SourceFault) as caught:
        source.query([endless])
    assert caught.value.code == "timeout"
    source._limits = Limits(result_bytes=1 << 16)
    with pytest.raises(SourceFault) as caught:
        source.query(["SELECT range FROM range(100000)"])
    assert caught.value.code == "result-size"


def test_a_changed_file_is_refused(source: Source) -> None:
    if source.spec.kind == "frame":
        pytest.skip("a frame is a snapshot")
    path = Path(source.spec.path)
    content = path.read_bytes()
    times = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    for use in (source.fingerprint, lambda: source.query(["SELECT 1"])):
        with pytest.raises(SourceFault) as caught:
            use()
        assert caught.value.code == "changed"


def test_nothing_is_left_on_disk(source: Source, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    source.query(["SELECT * FROM source ORDER BY id"])
    assert sorted(tmp_path.iterdir()) == before


def test_parameters_of_other_types_are_refused(source: Source) -> None:
    with pytest.raises(TypeError, match="bytes"):
        source.query([("SELECT ?", (b"x",))])  # type: ignore[list-item]


def _assert_silent(error: BaseException) -> None:
    seen: BaseException | None = error
    while seen is not None:
        assert CANARY not in str(seen)
        assert CANARY not in repr(seen.args)
        seen = seen.__cause__ or seen.__context__
