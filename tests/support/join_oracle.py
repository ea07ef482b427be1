"""A join in plain Python over raw rows, sharing no code with the protocol: nested dictionaries, no encryption."""

from __future__ import annotations

import collections
import itertools
from typing import Any

Row = tuple[Any, int, tuple[int | None, ...]]  # key (None: NULL), group, values of the measures (None: NULL)


def local_rows(rows: list[Row], measures: int) -> dict[Any, dict[int, dict[str, Any]]]:
    """key -> group -> m, and per measure c, s, q."""
    result: dict[Any, dict[int, dict[str, Any]]] = collections.defaultdict(dict)
    for key, group, values in rows:
        if key is None:
            continue
        entry = result[key].setdefault(group, {"m": 0, "c": [0] * measures, "s": [0] * measures, "q": [0] * measures})
        entry["m"] += 1
        for at, value in enumerate(values):
            if value is not None:
                entry["c"][at] += 1
                entry["s"][at] += value
                entry["q"][at] += value * value
    return dict(result)


def merge_rare(table: dict[Any, dict[int, dict[str, Any]]], minimum: int, other: int) -> dict[Any, dict[int, dict[str, Any]]]:
    """Groups of fewer than `minimum` keys become the group `other`."""
    holders = collections.Counter(group for groups in table.values() for group in groups)
    result: dict[Any, dict[int, dict[str, Any]]] = {}
    for key, groups in table.items():
        own = result.setdefault(key, {})
        for group, entry in groups.items():
            into = own.setdefault(other if holders[group] < minimum else group, {"m": 0})
            into["m"] += entry["m"]
            for name in ("c", "s", "q"):
                into[name] = [a + b for a, b in zip(into.get(name, [0] * len(entry[name])), entry[name], strict=True)]
    return result


def drop_rare(table: dict[Any, dict[int, dict[str, Any]]], minimum: int, opened: bool) -> dict[Any, dict[int, dict[str, Any]]]:
    """The pattern rule, one key at a time."""
    table = {key: dict(groups) for key, groups in table.items()}

    def sign(group: int, entry: dict[str, Any]) -> tuple[int, int]:
        return (group, entry["m"] if opened else 1)

    while True:
        pattern_of = {key: tuple(sorted(sign(*item) for item in groups.items())) for key, groups in table.items() if groups}
        counts = collections.Counter(pattern_of.values())
        holders = collections.Counter(sign(*item) for groups in table.values() for item in groups.items())
        rare = [key for key, pattern in pattern_of.items() if counts[pattern] < minimum]
        if not rare:
            return {key: groups for key, groups in table.items() if groups}
        for key in rare:
            worst = sorted((holders[sign(*item)], sign(*item), item[0]) for item in table[key].items())[0]
            del table[key][worst[2]]


def cells(tables: list[dict[Any, dict[int, dict[str, Any]]]], measures: list[int]) -> dict[tuple[int, ...], dict[str, Any]]:
    """Cell (one group per provider) -> keys, rows, and per provider and measure (z, c, s, q, d, a)."""
    result: dict[tuple[int, ...], dict[str, Any]] = {}
    for key in set.intersection(*(set(table) for table in tables)):
        for combination in itertools.product(*(table[key].items() for table in tables)):
            groups = tuple(group for group, _ in combination)
            cell = result.setdefault(
                groups, {"keys": 0, "rows": 0, "moments": [[[0] * 6 for _ in range(count)] for count in measures]}
            )
            cell["keys"] += 1
            rows = 1
            for _, entry in combination:
                rows *= entry["m"]
            cell["rows"] += rows
            for at, (_, entry) in enumerate(combination):
                weight = rows // entry["m"]
                for number in range(measures[at]):
                    share = weight * entry["s"][number]
                    moments = cell["moments"][at][number]
                    for place, amount in enumerate(
                        (
                            entry["c"][number] > 0,
                            weight * entry["c"][number],
                            share,
                            weight * entry["q"][number],
                            share**2,
                            abs(share),
                        )
                    ):
                        moments[place] += int(amount)
    return result
