"""Files of products: what a spreadsheet would run is text there, and every value is whole in the other kinds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from pyarrow import parquet

from sandbox.cli.export import write_table

LABELS = ["=1+1", "=cmd|' /C calc'!A0", "+cmd", "-2+3", "@SUM(A1)", " =1", "\t=1", "\r=1", "\n=1", "＝1+1", "-5 to 0"]
HARMLESS = ["", "-5", "+86.5", "a=b", "x@y", "'=1", "20-40", None]


class Released:
    """A product, as far as an export looks at it."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def to_arrow(self) -> pa.Table:
        return self._table


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_no_label_is_a_formula(kind: pa.DataType, tmp_path: Path) -> None:
    labels = [*LABELS, *HARMLESS]
    table = pa.table({"=HYPERLINK(1)": pa.array(labels, kind), "n": pa.array([-at for at in range(len(labels))], pa.int64())})
    product = cast("Any", Released(table))
    write_table(product, tmp_path / "p.csv")
    write_table(product, tmp_path / "p.parquet")
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    assert header == ["'=HYPERLINK(1)", "n"]
    assert [row[0] for row in rows] == [*("'" + label for label in LABELS), *(label or "" for label in HARMLESS)]
    assert [int(row[1]) for row in rows] == [-at for at in range(len(labels))]
    assert parquet.read_table(tmp_path / "p.parquet").to_pylist() == table.to_pylist()
