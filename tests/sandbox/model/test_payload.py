"""The payload of a product: read as it was written, and by no thread of Arrow's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sandbox.model.payload import arrow_file, open_arrow_file

TABLE = pa.table({"n": pa.array([1, None, 3]), "label": ["a", "é", None]})

# Arrow starts its threads with the first thing that they are to do.
THREADS = """
import os, sys
import pyarrow as pa
from sandbox.model.payload import open_arrow_file
data = sys.stdin.buffer.read()
pa.concat_arrays([pa.array([1.5] * 1000)] * 10)
before = set(os.listdir("/proc/self/task"))
with open_arrow_file(data) as reader:
    table = reader.read_all()
print(table.num_rows, len(set(os.listdir("/proc/self/task")) - before))
"""


def test_a_table_is_read_as_it_was_written() -> None:
    data, schema = arrow_file(TABLE)
    assert schema == TABLE.schema.to_string()
    with open_arrow_file(data) as reader:
        assert reader.read_all().equals(TABLE)
    with pytest.raises(pa.ArrowInvalid):
        open_arrow_file(data[:-20])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
def test_no_thread_of_arrows_holds_the_bytes() -> None:
    data, _ = arrow_file(pa.table({"n": list(range(100_000)), "label": ["x"] * 100_000}))
    found = subprocess.run([sys.executable, "-c", THREADS], input=data, capture_output=True, timeout=60, check=True)
    assert found.stdout == b"100000 0\n"
