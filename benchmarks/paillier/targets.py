"""What this implementation set out to reach, as ratios within one run, and whether a run reached it."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.report import target

TABLE_LIMIT_BYTES = 64 << 20


class Target(NamedTuple):
    """Ours must be `factor` times as fast as `peer`; on `cores` cores."""

    ours: str
    operation: str
    key_bits: int
    peer: str
    factor: float
    cores: int = 1

    @property
    def what(self) -> str:
        """The target in words."""
        cores = f", {self.cores} cores" if self.cores > 1 else ""
        return f"{self.operation}, {self.key_bits} bits, {self.ours}{cores}, against {self.peer}"


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
    return [_judged(each, results, contenders) for each in TARGETS]


def _judged(each: Target, results: list[dict[str, Any]], contenders: dict[str, dict[str, Any]]) -> dict[str, Any]:
    measured = None
    for row in results:
        place = (row["contender"], row["operation"], row["key_bits"], row["cores"])
        if place == (each.ours, each.operation, each.key_bits, each.cores) and each.peer in row["against"]:
            measured = row["against"][each.peer]
    met = None
    if measured is not None and each.ours.startswith("portable"):
        table_bytes = contenders[each.ours]["keys"][str(each.key_bits)]["table_bytes"]
        met = measured["ratio"] >= each.factor and table_bytes <= TABLE_LIMIT_BYTES
    return each._asdict() | target(each.what, each.factor, measured, met=met)
