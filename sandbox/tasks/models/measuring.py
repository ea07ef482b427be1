"""What the certificate of a fitted model holds: measured from its table, the plan and the card alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from sandbox.model.certificate import Measurement
from sandbox.model.fit import PCA, FitSpec, KMeans, Linear, Logistic, Ridge
from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.measured import Measured, verdict
from sandbox.tasks.measuring import gate_checks, over_the_history

if TYPE_CHECKING:
    import pyarrow as pa

_SLACK = 1e-6
"""Of a bound's width: values are rounded before they are summed."""


def measure_model(plan: Plan, table: pa.Table, card: ProductCard) -> Measured:
    """Return the measures of a model, of what is published of it."""
    spec = plan.fit
    if spec is None:
        return Measured(measures=())
    found = (
        _measurement("rows", table.num_rows, _lines(spec), passes=_is_described(spec, table, card), note="one per coefficient"),
        *_behind(plan, spec, card),
        _finite(table),
        *_beyond(plan, table),
        *gate_checks(card, "model"),
    )
    return Measured(measures=found, attacks=tuple(over_the_history(card, "model")))


def coefficients(spec: FitSpec) -> int:
    """Return how many coefficients a regression has, which its rows must exceed; 0 for models that solve for none."""
    match spec.estimator:
        case Linear(fit_intercept=intercept) | Ridge(fit_intercept=intercept):
            return len(spec.features) + int(intercept)
        case Logistic(fit_intercept=intercept):
            return (len(spec.features) + int(intercept)) * _scores(spec)
        case _:
            return 0


def _behind(plan: Plan, spec: FitSpec, card: ProductCard) -> Iterator[Measurement]:
    """The fewest parties behind any sum, and the rows and degrees of freedom behind the last, as the card's record says."""
    rules, rounds = plan.rules.model, () if card.model is None else card.model.rounds
    if rules is None or plan.federation is None:
        return
    least = max(rules.min_parties, plan.federation.min_parties)
    fewest = min((len(item.survivors) for item in rounds), default=0)
    note = f"the fewest behind any of {len(rounds)} sums"
    yield _measurement("parties", fewest, least, passes=fewest >= least, note=note)
    rows = (rounds[-1].rows if rounds else None) or 0
    overlap = plan.overlap(max(1, len(card.sources)))
    needed = rules.min_rows * overlap
    yield _measurement("rows_behind", rows, needed, passes=rows >= needed, note="behind the last sum")
    if number := coefficients(spec):
        least, free = rules.min_degrees_of_freedom, rows - number
        yield _measurement("degrees_of_freedom", free, least, passes=free >= least, note=f"rows beyond {number} coefficients")


def _finite(table: pa.Table) -> Measurement:
    numbers = [value for name in table.column_names for value in table.column(name).to_pylist()]
    wrong = sum(value is None or (isinstance(value, float) and not math.isfinite(value)) for value in numbers)
    return _measurement("not_finite", wrong, 0, passes=wrong == 0, note=f"of {len(numbers)} entries")


def _beyond(plan: Plan, table: pa.Table) -> Iterator[Measurement]:
    """Means outside the declared bounds, and variances beyond those that values within them can have."""
    if "mean" not in table.column_names:
        return
    measures = plan.inputs[0].measures
    reach = {item.column: (float(Fraction(item.lowest or 0)), float(Fraction(item.highest or 0))) for item in measures}
    wrong = 0
    for row in table.to_pylist():
        low, high = reach.get(row["term"], (0.0, 0.0))
        slack = _SLACK * max(high - low, abs(low), abs(high))
        inside = low - slack <= row["mean"] <= high + slack
        wrong += not (inside and -slack <= row.get("variance", 0.0) <= (high - low + slack) ** 2 / 4 + slack)
    note = f"{table.num_rows} lines: means within the declared bounds, variances that such values can have"
    yield _measurement("beyond_bounds", wrong, 0, passes=wrong == 0, note=note)


def _is_described(spec: FitSpec, table: pa.Table, card: ProductCard) -> bool:
    names = tuple(column.name for column in card.columns)
    return table.num_rows == card.rows == _lines(spec) and tuple(table.column_names) == names == spec.columns


def _lines(spec: FitSpec) -> int:
    width = len(spec.features)
    match spec.estimator:
        case Linear() | Ridge():
            return width + 1
        case Logistic():
            return (width + 1) * _scores(spec)
        case KMeans(n_clusters=clusters):
            return width * clusters
        case PCA(n_components=components):
            return width * (components or width)
        case _:
            return width


def _scores(spec: FitSpec) -> int:
    return 1 if len(spec.classes) == 2 else len(spec.classes)


def _measurement(name: str, value: int, threshold: int, *, passes: bool, note: str) -> Measurement:
    return Measurement(
        name=name,
        subject="model",
        value=str(value),
        threshold=str(threshold),
        verdict=verdict(passes),
        how="bundle",
        note=note,
    )
