"""People in the terms of released rows: an auditor's file says what they are like, a release shows what its rules made of it.

The rules and hierarchies are in the plan, so whoever has the bundle can apply them: an attacker does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sandbox.errors import UsageError
from sandbox.model.plan import Plan
from sandbox.model.release import ReleaseSpec

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from sandbox.tasks.people import People

REPEATABLE = ("keep", "generalisation", "masking")
"""Families of rules that need no key and draw nothing: anybody who has a value gets the released one."""


def in_released_terms(plan: Plan, table: pa.Table, people: People) -> pd.DataFrame:
    """Return the people's columns of `quasi`, each in the terms in which most people have a value that was released.

    Tried are the values as they are, under the column's rule, and at each level of its hierarchy. Same rows, same order.
    Raises UsageError for a column that was not released.
    """
    strange = [name for name in people.quasi if name not in table.column_names]
    if strange:
        raise UsageError(f"{strange[0]!r} is no column of the released table; it has: {', '.join(table.column_names)}")
    frame = people.frame[list(people.quasi)].copy()
    if plan.release is None:
        return frame
    for name in people.quasi:
        shown = set(table.column(name).unique().to_pylist())
        tried = list(_tried(plan, plan.release, frame[name]))
        fitting = [int(column.isin(shown).sum()) for column in tried]
        frame[name] = tried[fitting.index(max(fitting))]
    return frame


def _tried(plan: Plan, release: ReleaseSpec, given: pd.Series[Any]) -> Iterator[pd.Series[Any]]:
    yield given.astype(object)
    ruled = _under_rule(plan, release, given)
    yield ruled
    for level in _levels(release, ruled):
        yield level.map(lambda value: value if value is None or value != value else str(value)).astype(object)  # noqa: PLR0124


def _under_rule(plan: Plan, release: ReleaseSpec, given: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column under its rule; as it is, where the rule cannot be repeated or does not take these values."""
    import pandas as pd
    import pyarrow as pa

    from protocols.desensitise import rulefile
    from protocols.desensitise.rules import Context, Rule
    from protocols.errors import ParameterError
    from sandbox.planning.release import arrow_type

    name = str(given.name)
    spec = rulefile.parse(release.rules).columns[name]
    source = next(column.source for column in release.columns if column.name == name)
    texts = {item.name: item.text for item in release.trees}
    context = Context(purpose=plan.purpose, recipient=", ".join(sorted(plan.recipients)), keys={}, texts=texts)
    if spec.family not in REPEATABLE or spec.whole_column or spec.needs():
        return given.astype(object)
    try:
        values = pa.array(given, from_pandas=True).cast(arrow_type(source))
        made = Rule(name, spec, context).values(pa.RecordBatch.from_arrays([values], names=[name]))
    except (pa.ArrowException, ParameterError):
        return given.astype(object)
    return pd.Series(made.to_pylist(), index=given.index, name=name, dtype=object)


def _levels(release: ReleaseSpec, given: pd.Series[Any]) -> Iterator[pd.Series[Any]]:
    """Yield a column at each level that a search could have chosen for it."""
    from protocols.errors import ParameterError
    from sandbox.tasks.released.hierarchies import hierarchy_of

    search = release.k_anonymity
    found = [] if search is None else [item.hierarchy for item in search.hierarchies if item.column == given.name]
    if search is None or not found:
        return
    try:
        hierarchy = hierarchy_of(found[0], release)
        height = hierarchy.bind(given.unique(), str(given.name)).height
        levels = [hierarchy.apply(given, level) for level in range(height + 1)]
    except ParameterError:
        return
    yield from levels
