"""What this implementation set out to reach, as ratios within one run, and whether a run reached it."""

from __future__ import annotations

from typing import Any, NamedTuple

TABLE_LIMIT_BYTES = 64 << 20


class Target(NamedTuple):
    """Ours must be `factor` times as fast as `peer`; on `cores` cores."""

    ours: str
    operation: str
    key_bits: int
    peer: str
    factor: float
    cores: int = 1


TARGETS = (
    Target("native djn", "encrypt", 2048, "HEU ZPaillier", 3),
    Target("native djn", "encrypt", 2048, "phe", 60),
    Target("native djn", "decrypt", 2048, "HEU ZPaillier", 2),
    Target("native djn", "decrypt", 2048, "phe", 2),
    Target("native djn", "sum", 2048, "HEU ZPaillier", 2.5),
    Target("native djn", "dot", 2048, "HEU ZPaillier", 20),
    Target("native subgroup", "encrypt", 3072, "HEU ZPaillier", 8),
    Target("native subgroup", "decrypt", 3072, "HEU ZPaillier", 8),
    Target("native djn", "encrypt", 2048, "one core", 1.8, cores=2),
    Target("native djn", "decrypt", 2048, "one core", 1.8, cores=2),
    Target("native djn", "sum", 2048, "one core", 1.8, cores=2),
    Target("native djn", "dot", 2048, "one core", 1.8, cores=2),
    Target("portable djn", "encrypt", 2048, "phe", 15),
)


def judge(results: list[dict[str, Any]], contenders: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each target with what was measured, and `met`: True, False, or None where a side is missing."""
    return [_judged(target, results, contenders) for target in TARGETS]


def _judged(target: Target, results: list[dict[str, Any]], contenders: dict[str, dict[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {**target._asdict(), "measured": None, "met": None}
    for row in results:
        place = (row["contender"], row["operation"], row["key_bits"], row["cores"])
        if place == (target.ours, target.operation, target.key_bits, target.cores) and target.peer in row["against"]:
            document["measured"] = row["against"][target.peer]
            document["met"] = document["measured"]["ratio"] >= target.factor
    if target.ours.startswith("portable") and document["met"]:
        table_bytes = contenders[target.ours]["keys"][str(target.key_bits)]["table_bytes"]
        document["met"] = table_bytes <= TABLE_LIMIT_BYTES
    return document
