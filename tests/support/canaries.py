"""Canaries: values that occur nowhere else, put into raw data, and a search for them in everything that leaves a provider."""

from __future__ import annotations

import gc
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

CHUNK_BYTES = 4096


def spellings(value: int | str | float) -> tuple[bytes, ...]:
    """The ways in which a value may stand in bytes: as text in three encodings, and as a machine's number."""
    texts = [str(value)]
    if isinstance(value, float):
        texts.append(f"{value:g}")
    found = [text.encode(code) for text in texts for code in ("utf-8", "utf-16-le")]
    if isinstance(value, int) and value.bit_length() > 32:
        found += [value.to_bytes(8, order) for order in ("little", "big")]
        found += [f"{value:x}".encode()]
    if isinstance(value, float):
        found += [np.float64(value).tobytes()]
    if isinstance(value, str):
        found += [value.encode().hex().encode(), value.encode("gb18030")]
    return tuple(dict.fromkeys(found))


def found_in(data: bytes, canaries: Iterable[Any]) -> list[Any]:
    """Return the canaries that stand in some bytes."""
    return [value for value in canaries if any(text in data for text in spellings(value))]


def files_below(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file with its bytes, its name included."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, str(path).encode() + b"\n" + path.read_bytes()


def chain(error: BaseException) -> str:
    """Everything that a traceback of an error may print, its causes and contexts included."""
    texts, waiting, seen = [], [error], set()
    while waiting:
        item = waiting.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        texts += [str(item), repr(item), repr(item.args), *getattr(item, "__notes__", ())]
        waiting += [found for found in (item.__cause__, item.__context__) if found is not None]
    return "\n".join(texts)


def reachable(root: Any) -> Iterator[Any]:
    """Yield every object that can be reached from one, modules, classes and running frames left out."""
    outside = (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType, types.FrameType, types.CodeType)
    seen = {id(root)}
    waiting = [root]
    while waiting:
        item = waiting.pop()
        yield item
        for child in gc.get_referents(item):
            if id(child) not in seen and not isinstance(child, outside):
                seen.add(id(child))
                waiting.append(child)


def held(root: Any, canaries: Iterable[Any]) -> list[Any]:
    """Return the canaries that an object holds: as a value, in a text, in bytes, in an array or a table."""
    wanted = set(canaries)
    found: list[Any] = []
    for item in reachable(root):
        if isinstance(item, int | float | str):
            if item in wanted or (isinstance(item, str) and any(str(value) in item for value in wanted)):
                found.append(item)
        elif isinstance(item, bytes | bytearray | memoryview):
            found += found_in(bytes(item), wanted)
        elif isinstance(item, np.ndarray):
            found += found_in(item.tobytes(), wanted)
        elif isinstance(item, pa.Table | pa.Array | pa.ChunkedArray):
            found += [value for value in str(item.to_pylist()).split() if value in {str(one) for one in wanted}]
    return found
