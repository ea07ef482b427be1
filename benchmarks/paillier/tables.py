"""The tables of a Paillier run: who took part, and one for each size and number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report import CAUTION, spread, table


def tables(operations: dict[str, str], contenders: dict[str, Any], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return all tables of a run, ready to print."""
    found = [_contenders(contenders)]
    for place in sorted({(row["key_bits"], row["cores"]) for row in results}):
        found += _at(operations, contenders, results, *place)
    return found


def _contenders(contenders: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, item in contenders.items():
        if item["keys"]:
            bits = " / ".join(str(key["exponent_bits"]) for key in item["keys"].values())
            sizes = " / ".join(f"{key['table_bytes'] / 2**20:.0f}" for key in item["keys"].values() if key.get("table_bytes"))
            rows.append((name, item["differs"], bits, f"{sizes} MiB" if sizes else ""))
    return table("", ("contender", "what differs", "noise exponent, bits", "tables"), rows, left=4)


def _at(
    operations: dict[str, str], contenders: dict[str, Any], results: list[dict[str, Any]], key_bits: int, cores: int
) -> Iterator[dict[str, Any]]:
    rows = [row for row in results if (row["key_bits"], row["cores"]) == (key_bits, cores)]
    peers = [name for name, item in contenders.items() if item["is_peer"] and item["keys"].get(str(key_bits))]
    others = [*peers, "portable djn", *(["one core"] if cores > 1 else [])]
    lines = [
        (
            operations[row["operation"]],
            row["contender"],
            f"{row['microseconds']:.4g}",
            *(spread(row["against"].get(other)) for other in others),
        )
        for row in rows
        if not row["is_peer"]
    ]
    title = f"{key_bits} bits, {cores} core{'s' if cores > 1 else ''}: µs per element and ratio (lowest-highest); {CAUTION}"
    yield table(title, ("operation", "ours", "µs", *(f"× {other}" for other in others)), lines, left=2)
    theirs = [row for row in rows if row["is_peer"] and row["operation"] != "encrypt_owner"]
    lines = []
    for operation, words in operations.items():
        times = {row["contender"]: f"{row['microseconds']:.4g}" for row in theirs if row["operation"] == operation}
        if times:
            lines.append((words, *(times.get(peer, "") for peer in peers)))
    if lines:
        yield table("peers, µs:", ("operation", *peers), lines)
