"""What follows from which numbers of one population, by algebra alone."""

from __future__ import annotations

from collections.abc import Collection


def tells_count(functions: Collection[str]) -> bool:
    """Return whether these functions of x, or of one pair (y, x), released for one population, give its COUNT away."""
    held = set(functions)
    sample, population = {"var_samp", "stddev_samp"}, {"var_pop", "stddev_pop"}
    return (
        "count" in held
        or {"sum", "avg"} <= held
        or bool(held & sample and held & population)
        or {"covar_samp", "covar_pop"} <= held
    )
