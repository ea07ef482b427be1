"""Tiles: the log's hashes and entries in files of 256. Source: C2SP tlog-tiles (paths, tile content, entry bundles).

A file's name holds its width, and no file that a committed size needs is ever changed; so nothing is half-written in place,
and what a crash leaves behind belongs to a size that was never committed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path

from sandbox.audit.files import Files
from sandbox.audit.merkle import HASH_BYTES, Frontier, leaf_hash, node_hash
from sandbox.errors import AuditError, DocumentError

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_ENTRY_BYTES = (1 << 16) - 1
_LENGTH_BYTES = 2
_CACHED_TILES = 64


def tile_path(kind: str, number: int, width: int) -> str:
    """Return a tile's path: `tile/<level or entries>/x001/x234/067`, with `.p/<width>` while it is not full."""
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    path = f"tile/{kind}/" + "/".join(groups)
    return path if width == WIDTH else f"{path}.p/{width}"


def check_entries(entries: Sequence[bytes]) -> None:
    """Return only if every entry fits into a bundle. Raises DocumentError."""
    for entry in entries:
        if not 0 < len(entry) <= MAX_ENTRY_BYTES:
            raise DocumentError(f"a log entry has 1 to {MAX_ENTRY_BYTES} bytes, not {len(entry)}")


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """Return an entry bundle: each entry behind its length as two big-endian bytes."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def unpack_entries(data: bytes, *, place: str) -> tuple[bytes, ...]:
    """Return the entries of a bundle. Raises AuditError (invalid) for a cut one."""
    entries: list[bytes] = []
    position = 0
    while position < len(data):
        start = position + _LENGTH_BYTES
        position = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or position > len(data):
            raise AuditError(f"entry {len(entries)} of the file is cut off", place=place)
        entries.append(data[start:position])
    return tuple(entries)


class TileStore:
    """The files of a log, read as of one committed size and extended towards the next."""

    def __init__(self, folder: Path, files: Files) -> None:
        self._folder = folder
        self._files = files
        self._cache: OrderedDict[str, tuple[bytes, ...]] = OrderedDict()
        self._made: set[Path] = set()
        self._entries: list[bytes] = []
        self._edges: list[list[bytes]] = [[]]
        self._frontier = Frontier()

    @property
    def size(self) -> int:
        """Entries so far, whether committed or not."""
        return self._frontier.size

    def root(self) -> bytes:
        """Return the root over all entries so far."""
        return self._frontier.root()

    def load(self, size: int) -> Iterator[bytes]:
        """Read the leaf hashes of a committed size, and yield them in order; rebuilds the edge, so it is read to the end."""
        for number in range(-(-size // WIDTH)):
            width = min(WIDTH, size - number * WIDTH)
            for leaf in self._tile("0", number, width):
                self._grow(leaf)
                yield leaf
        if size % WIDTH:
            number = size // WIDTH
            self._entries = list(self._bundle(number, size % WIDTH))

    def extend(self, entries: Sequence[bytes]) -> list[Path]:
        """Write the files of a larger size, on the disk when this returns. Return the files that it makes superfluous.

        The caller has checked the entries, and commits the size afterwards. After any error this object is of no more use.
        """
        before = self.size
        superfluous = self._partial_paths(before)
        for start in range(0, len(entries), WIDTH):
            self._extend_some(entries[start : start + WIDTH])
        for level, edge in enumerate(self._edges):
            count = self.size >> (HEIGHT * level)
            if edge and count != before >> (HEIGHT * level):
                self._write(tile_path(str(level), count // WIDTH, len(edge)), b"".join(edge))
        if self._entries:
            self._write(tile_path("entries", self.size // WIDTH, len(self._entries)), pack_entries(self._entries))
        return [path for path in superfluous if path not in self._partial_paths(self.size)]

    def entry(self, index: int, size: int) -> bytes:
        """Return one entry of a committed size, checked against its leaf hash. Raises AuditError that names it."""
        number, position = divmod(index, WIDTH)
        width = min(WIDTH, size - number * WIDTH)
        entry = self._bundle(number, width)[position]
        if leaf_hash(entry) != self._tile("0", number, width)[position]:
            raise AuditError("the stored entry is not the one that was logged", place=f"log entry {index}")
        return entry

    def node(self, level: int, index: int, size: int) -> bytes:
        """Return the hash of a complete subtree of a committed size, out of one tile."""
        tile_level, above = divmod(level, HEIGHT)
        first = index << above
        number, position = divmod(first, WIDTH)
        width = min(WIDTH, (size >> (HEIGHT * tile_level)) - number * WIDTH)
        row = self._tile(str(tile_level), number, width)[position : position + (1 << above)]
        while len(row) > 1:
            row = _parents(row)
        return row[0]

    def _extend_some(self, entries: Sequence[bytes]) -> None:
        """Append at most one tile's worth, so that at most one entry tile fills up."""
        number, before = divmod(self.size, WIDTH)
        full = [list(edge) for edge in self._edges]
        self._entries.extend(entries)
        for entry in entries:
            self._grow(leaf_hash(entry))
        if before + len(entries) >= WIDTH:
            self._write(tile_path("entries", number, WIDTH), pack_entries(self._entries[:WIDTH]))
            self._write_full(entries, full, number)
            self._entries = self._entries[WIDTH:]

    def _write_full(self, entries: Sequence[bytes], before: list[list[bytes]], number: int) -> None:
        """Write the hash tiles that filled up: level 0 always, a higher one when the tile below completed it."""
        row = [*before[0], *(leaf_hash(entry) for entry in entries)][:WIDTH]
        level = 0
        while len(row) == WIDTH:
            self._write(tile_path(str(level), number, WIDTH), b"".join(row))
            level, number = level + 1, number // WIDTH
            edge = before[level] if level < len(before) else []
            row = [*edge, _top(row)]

    def _grow(self, leaf: bytes) -> None:
        self._frontier.add(leaf)
        level, carried = 0, leaf
        while True:
            if level == len(self._edges):
                self._edges.append([])
            self._edges[level].append(carried)
            if len(self._edges[level]) < WIDTH:
                return
            carried = _top(self._edges[level])
            self._edges[level] = []
            level += 1

    def _partial_paths(self, size: int) -> list[Path]:
        paths = []
        for level in range(-(-max(size, 1).bit_length() // HEIGHT)):
            number, width = divmod(size >> (HEIGHT * level), WIDTH)
            if width:
                paths.append(self._folder / tile_path(str(level), number, width))
        if size % WIDTH:
            paths.append(self._folder / tile_path("entries", size // WIDTH, size % WIDTH))
        return paths

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        self._make_folders(path.parent)
        self._files.write(path, data)
        self._files.sync_directory(path.parent)
        self._cache.pop(name, None)

    def _make_folders(self, folder: Path) -> None:
        if folder == self._folder or folder in self._made:
            return
        self._make_folders(folder.parent)
        self._files.make_directory(folder)
        self._files.sync_directory(folder.parent)
        self._made.add(folder)

    def _tile(self, level: str, number: int, width: int) -> tuple[bytes, ...]:
        name = tile_path(level, number, width)
        if name not in self._cache:
            data = self._read(name)
            if len(data) != width * HASH_BYTES:
                raise AuditError(f"the file has {len(data)} bytes instead of {width * HASH_BYTES}", place=f"log file {name}")
            self._remember(name, tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)))
        return self._cache[name]

    def _bundle(self, number: int, width: int) -> tuple[bytes, ...]:
        name = tile_path("entries", number, width)
        if name not in self._cache:
            entries = unpack_entries(self._read(name), place=f"log file {name}")
            if len(entries) != width:
                raise AuditError(f"the file has {len(entries)} entries instead of {width}", place=f"log file {name}")
            self._remember(name, entries)
        return self._cache[name]

    def _read(self, name: str) -> bytes:
        try:
            return self._files.read(self._folder / name)
        except FileNotFoundError:
            raise AuditError("the file is missing; restore the log from a copy", place=f"log file {name}") from None

    def _remember(self, name: str, rows: tuple[bytes, ...]) -> None:
        self._cache[name] = rows
        if len(self._cache) > _CACHED_TILES:
            self._cache.popitem(last=False)


def _parents(row: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2))


def _top(row: Sequence[bytes]) -> bytes:
    while len(row) > 1:
        row = _parents(row)
    return row[0]
