"""Memory of a long encryption: chunks stream into the result, and nothing else grows to its size.

SANDBOX_MEMORY_ROWS=1000000 runs it with a million rows under a 2048-bit key (minutes). By default it is smaller, with a bound
so tight that one copy of the result would break it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from protocols.primitives.engine import get_engine

MIB = 1 << 20
DEFAULT_ROWS = 100_000
FULL_BUDGET_BYTES = 256 * MIB
# Above result and tables: the values as Python integers, chunks, and what the allocators keep.
SLACK_BYTES = 20 * MIB

MEASURE = """
import json, sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
from protocols import paillier

def status(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) << 10

rows, key_bits, threads = map(int, sys.argv[1:])
warnings.simplefilter("ignore")
make = paillier.generate_keypair if key_bits >= 2048 else paillier.generate_insecure_keypair
public_key, private_key = make(key_bits, "djn")
values = np.random.default_rng(1).integers(-(2**31), 2**31, rows)
private_key.decrypt(public_key.encrypt(values[:300]))
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
with ThreadPoolExecutor(threads) as pool:
    array = public_key.encrypt(values, mapper=map if threads == 1 else pool.map)
peak = status("VmHWM")
places = np.r_[0:8, rows - 8:rows]
assert private_key.decrypt(array[places]).tolist() == values[places].tolist()
print(json.dumps({"above": peak - before - array.limbs.nbytes, "result": array.limbs.nbytes, **public_key.prepare(0)}))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the peak is read from Linux's /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_long_encryption_streams_into_its_result(threads: int) -> None:
    asked = os.environ.get("SANDBOX_MEMORY_ROWS")
    if not asked and get_engine().name == "portable":
        pytest.skip("the portable engine takes half a minute; SANDBOX_MEMORY_ROWS asks for it all the same")
    rows, key_bits = (int(asked), 2048) if asked else (DEFAULT_ROWS, 1024)
    command = [sys.executable, "-c", MEASURE, str(rows), str(key_bits), str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"{rows} rows of {key_bits} bits, {threads} threads: {found}")
    assert 0 < found["size_bytes"] <= 64 * MIB
    assert found["above"] < FULL_BUDGET_BYTES
    if not asked:
        assert found["result"] > SLACK_BYTES, "a copy of the result would go unseen"
        assert found["above"] < found["size_bytes"] + SLACK_BYTES
