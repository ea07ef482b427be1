"""The worker process: what it can do, what it imports, and that it never outlives its parent."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import re
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from sandbox.sources import Limits, SourceFault, open_source, pipe
from sandbox.sources.faults import MESSAGES

ENDLESS = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(1000000) b"
TABLE = pa.table({"id": [1, 2, 3]})

# Tests that run in the background would hand down that SIGINT is ignored.
PARENT = f"""
import signal, sys, pyarrow as pa
signal.signal(signal.SIGINT, signal.default_int_handler)
from sandbox.sources import open_source
source = open_source(pa.table({{"id": [1]}}))
print("open", flush=True)
source.query([{ENDLESS!r}])
"""


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM '/etc/passwd'", "query-rejected"),
        ("SELECT * FROM glob('/etc/*')", "query-rejected"),
        ("SELECT content FROM read_text('/etc/hostname')", "query-rejected"),
        ("SELECT error('x') FROM source", "query-failed"),
        ("SELECT 1; SELECT 2", "statement"),
        ("SET threads = 8", "statement"),
        ("ATTACH '/tmp/x.duckdb'", "statement"),
        ("INSTALL httpfs", "statement"),
        ("CREATE TABLE x AS SELECT 1", "statement"),
        ("", "statement"),
        ("SELEC", "query-rejected"),
        ("SELECT * FROM TABLE", "query-rejected"),
    ],
)
def test_statements_stay_inside(statement: str, code: str) -> None:
    with pytest.raises(SourceFault) as caught:
        open_source(TABLE).query([statement])
    assert caught.value.code == code


def test_memory_is_limited() -> None:
    source = open_source(TABLE, limits=Limits(memory_bytes=64 << 20))
    with pytest.raises(SourceFault) as caught:
        source.query(["SELECT count(*) FROM (SELECT DISTINCT hash(range)::VARCHAR || repeat('x', 50) FROM range(5000000))"])
    assert caught.value.code in {"memory", "lost"}


def test_data_larger_than_a_pipe_goes_both_ways() -> None:
    table = pa.table({"id": range(300_000), "name": [f"n{at}" for at in range(300_000)]})
    assert open_source(table).query(["SELECT * FROM source ORDER BY id"])[0].equals(table)


def test_the_worker_imports_little() -> None:
    code = "import sys, sandbox.sources.worker; print(*sorted(name.partition('.')[0] for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "msgspec", "sqlalchemy", "cryptography", "multiprocessing"} & set(done.stdout.split())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are watched in /proc")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(end: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "open\n"
    worker = _wait_for(lambda: next(iter(_busy_children(parent.pid)), 0))
    time.sleep(0.3)
    parent.send_signal(end)
    parent.wait(10)
    parent.stdout.close()
    _wait_for(lambda: not _runs(worker))


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(SourceFault) as caught:
        open_source(TABLE).query([ENDLESS], is_cancelled=_kill_first_child)
    assert caught.value.code == "lost"


def test_requests_cross_the_pipe_whole() -> None:
    times = (datetime.date(2024, 2, 29), datetime.datetime(2024, 1, 1, 1, 2, 3, 4))
    values = (None, True, 2**70, -0.5, "é\0\n", Decimal("1.50"), *times)
    request = pipe.Request(
        kind="csv",
        path="/é",
        table=None,
        encoding=None,
        delimiter=";",
        types=(("a", "text"),),
        inspect=False,
        statements=(("SELECT ?", values),),
        limits=Limits(),
    )
    assert pipe.Request.read(io.BytesIO(request.to_bytes())) == request


def test_every_fault_code_has_words() -> None:
    folder = Path(pipe.__file__).parent
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    raised = set(re.findall(r'(?:Fault|SourceFault)\(\s*"([a-z-]+)"', text))
    assert raised <= set(MESSAGES)
    assert len(raised) > 25


def _busy_children(pid: int) -> list[int]:
    """Children of every thread; Linux. A thread or a child may end while it is read."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _wait_for(condition: object, timeout_s: float = 10.0) -> int:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if found := condition():  # type: ignore[operator]
            return int(found)
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def _kill_first_child() -> bool:
    for child in _busy_children(os.getpid()):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"sandbox.sources.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
    return False
