"""The inside of a worker: commands as JSON lines on stdin, answers on stdout. Runs in any environment: standard library only.

    {"do": "prepare", "key_bits": 2048}                     -> {"facts": {...}}
    {"do": "cores", "cpus": [0]}                            -> {}
    {"do": "time", "operation": "add", "elements": 1000}    -> {"seconds": 0.01}

What cannot be done is answered by {"error": why}. Libraries that print are kept away from stdout.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

VALUE_BITS = 32
SMALL_BITS = 14
BASE_ROWS = 256


def values(count: int, seed: int = 1) -> list[int]:
    """Return signed 32-bit numbers."""
    source = random.Random(seed)
    return [source.randrange(-(1 << (VALUE_BITS - 1)), 1 << (VALUE_BITS - 1)) for _ in range(count)]


def weights(count: int, bits: int) -> list[int]:
    """Return weights in [1, 2^bits)."""
    source = random.Random(bits)
    return [source.randrange(1, 1 << bits) for _ in range(count)]


def tiled(rows: list[Any], count: int) -> list[Any]:
    """Return `count` rows by repeating the given ones."""
    return (rows * -(-count // len(rows)))[:count]


class Contender:
    """One library. `prepare` makes keys and checks one round trip; each method of OPERATIONS returns what will be timed."""

    def prepare(self, key_bits: int) -> dict[str, Any]:
        """Make keys and ciphertexts; return facts for the report. Raises whatever the library raises."""
        raise NotImplementedError

    def use_cores(self, count: int) -> None:
        """Called after the process was pinned to `count` cores."""


class Unsupported(Exception):  # noqa: N818  (not a failure: the library lacks the operation)
    """The library has no such operation."""


def serve(contender: Contender) -> None:
    """Answer commands until stdin closes."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    ready: dict[tuple[str, int], Callable[[], object]] = {}
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = _answer(contender, command, ready)
        except Exception as error:  # whatever a library raises is told to whoever asked
            answer = {"error": f"{type(error).__name__}: {error}"[:500], "unsupported": isinstance(error, Unsupported)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(
    contender: Contender, command: dict[str, Any], ready: dict[tuple[str, int], Callable[[], object]]
) -> dict[str, Any]:
    if command["do"] == "prepare":
        ready.clear()
        return {"facts": contender.prepare(command["key_bits"])}
    if command["do"] == "cores":
        _pin(command["cpus"])
        contender.use_cores(len(command["cpus"]))
        return {}
    name, elements = command["operation"], command["elements"]
    if (name, elements) not in ready:
        maker = getattr(contender, name, None)
        if maker is None:
            raise Unsupported(f"no {name}")
        ready[name, elements] = maker(elements)
        ready[name, elements]()
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        ready[name, elements]()
        return {"seconds": time.perf_counter() - start}
    finally:
        gc.enable()


def _pin(cpus: list[int]) -> None:
    """Bind every thread of this process, also those that a library has started already."""
    for task in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(task.name), cpus)
