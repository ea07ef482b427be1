"""Functions of two columns: which products the join computes for them, and their moments from what the gate decrypted.

Two columns of one table are multiplied row by row at their provider, and travel as measures of their own. Columns of two
providers are multiplied under masks. Where both inputs leave rows without a value out, the ordinary sums of the two columns
are over the rows that the function is of, and Σxy is all that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protocols import join
from sandbox.gate.cells import Moments, Pair, PairMoments, Place, pair_of
from sandbox.model.expression import ColumnRef, IsNull
from sandbox.model.plan import Measure, Plan, PlanInput

WITHOUT_SUM = frozenset({"count", "count_rows", "count_keys"})
WITHOUT_SQUARES = frozenset({"sum", "avg"})


def products(plan: Plan, *, judged: bool) -> tuple[join.ProductSpec, ...]:
    """Return the products across providers that a plan asks of the join. judged: whether its profile judges dominance."""
    found = []
    for left, right in dict.fromkeys(tuple(sorted(pair)) for pair in _pairs(plan) if _is_crossed(pair)):
        nulls = not _is_complete(plan, left, right)
        spec = join.ProductSpec(left=left, right=right, nulls=nulls, dominance=nulls and judged)
        found.append(spec)
    return tuple(found)


def sums(plan: Plan, place: Place) -> tuple[bool, bool]:
    """Return whether the join adds up Σx, and Σx², of a measure. Those that only a masked product needs are not summed."""
    measure = _measure(plan, place)
    functions = {item.function for item in plan.aggregates if (item.input, item.measure) == place and pair_of(item) is None}
    if measure.given is not None or measure.times is not None:
        return measure.needs_sum, measure.needs_squares
    paired = any(place in pair and (not _is_crossed(pair) or _is_complete(plan, *pair)) for pair in _pairs(plan))
    return paired or bool(functions - WITHOUT_SUM), paired or bool(functions - WITHOUT_SUM - WITHOUT_SQUARES)


def bound(plan: Plan, place: Place) -> int:
    """Return the largest magnitude of one value of a measure: of a product, that of its two factors multiplied."""
    measure = _measure(plan, place)
    return measure.bound if measure.times is None else measure.bound * _measure(plan, (place[0], measure.times)).bound


def is_signed(plan: Plan, place: Place) -> bool:
    """Return whether values of a measure may be negative."""
    measure = _measure(plan, place)
    factors = [measure] if measure.times is None else [measure, _measure(plan, (place[0], measure.times))]
    return any(factor.lowest is not None and factor.lowest.startswith("-") for factor in factors)


def pair_moments(plan: Plan, moments: Mapping[Place, Moments], cell: join.Cell) -> dict[Pair, PairMoments]:
    """Return the moments of each function of two columns in one cell, its first column first."""
    specs = [(spec.left, spec.right) for spec in products(plan, judged=False)]
    found: dict[Pair, PairMoments] = {}
    for pair in _pairs(plan):
        first, second = pair
        if not _is_crossed(pair):
            found[pair] = _of_one_table(plan, moments, pair)
            continue
        left, right = sorted(pair)
        result = cell.products[specs.index((left, right))]
        of = {left: moments[left], right: moments[right]}
        if result.left is not None and result.right is not None:
            of = {left: as_moments(plan, left, result.left), right: as_moments(plan, right, result.right)}
        found[pair] = PairMoments(first=of[first], second=of[second], product=result.total)
    return found


def local_pairs(plan: Plan, moments: Mapping[Place, Moments]) -> dict[Pair, PairMoments]:
    """Return the moments of each function of two columns of a federated table: every part multiplies its own rows."""
    return {pair: _of_one_table(plan, moments, pair) for pair in _pairs(plan)}


def _of_one_table(plan: Plan, moments: Mapping[Place, Moments], pair: Pair) -> PairMoments:
    first, second = pair
    product = moments[first[0], _product_of(plan.inputs[first[0]], first, second)]
    return PairMoments(first=moments[first], second=moments[second], product=product.sum or 0)


def as_moments(plan: Plan, place: Place, moments: join.Moments) -> Moments:
    """Return the gate's moments from those of the join. Where bounds leave no sign open, Σ|x| is Σx."""
    return Moments(
        contributors=moments.contributors,
        count=moments.count,
        sum=moments.total,
        squares=moments.squares,
        contribution_squares=moments.contribution_squares,
        absolute_sum=moments.absolute if is_signed(plan, place) else moments.total,
    )


def _pairs(plan: Plan) -> Iterator[Pair]:
    for aggregate in plan.aggregates:
        pair = pair_of(aggregate)
        if pair is not None:
            yield pair


def _is_crossed(pair: Pair) -> bool:
    return pair[0][0] != pair[1][0]


def _is_complete(plan: Plan, *places: Place) -> bool:
    """Whether each input leaves out the rows without a value in the measure's column."""
    return all(
        IsNull(operand=ColumnRef(name=_measure(plan, place).column), negated=True) in plan.inputs[place[0]].filters
        for place in places
    )


def _measure(plan: Plan, place: Place) -> Measure:
    return plan.inputs[place[0]].measures[place[1]]


def _product_of(entry: PlanInput, first: Place, second: Place) -> int:
    """Return the measure that multiplies two measures of one input row by row."""
    names = {entry.measures[first[1]].column, entry.measures[second[1]].column}
    return next(
        number for number, one in enumerate(entry.measures) if one.times is not None and {one.column, one.given} == names
    )
