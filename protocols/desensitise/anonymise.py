"""`k_anonymise` and `mondrian`: a table in, a verified anonymous table out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from protocols.desensitise.classes import Base, make_base, require_sensitive
from protocols.desensitise.hierarchy import SUPPRESSED, Levels, Whole, as_hierarchy
from protocols.desensitise.loss import measure_named
from protocols.desensitise.models import KAnonymity, KMap, Model, bound, violating
from protocols.desensitise.search import Search
from protocols.desensitise.verification import verify, verify_labels
from protocols.errors import ParameterError
from protocols.party import Progress
from protocols.risk.encoding import Dictionary, as_frame, encode

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Anonymised:
    """An anonymous table and how it was made.

    frame: the input's rows in their order, quasi-identifiers generalised, other columns as they were. A suppressed row keeps
    its other columns and has `*` in every quasi-identifier. levels: by quasi-identifier. loss: by `measure`. suppressed:
    (rows,) bool. classes: without the suppressed rows. smallest: rows of the smallest class, 0 if all rows are suppressed.
    checked, nodes: generalisations that were counted, of those that there are.
    """

    frame: pd.DataFrame
    levels: dict[str, int]
    loss: float
    measure: str
    suppressed: npt.NDArray[np.bool_]
    classes: int
    smallest: int
    checked: int
    nodes: int

    def __repr__(self) -> str:
        levels = ", ".join(f"{name} {level}" for name, level in self.levels.items())
        return (
            f"Anonymised(rows={len(self.frame)}, classes={self.classes}, smallest={self.smallest}, "
            f"suppressed={int(self.suppressed.sum())}, {self.measure}={self.loss:.10g}, levels: {levels})"
        )

    def _repr_html_(self) -> str:
        facts = pd.DataFrame(
            {
                "rows": [len(self.frame)],
                "classes": [self.classes],
                "smallest class": [self.smallest],
                "suppressed rows": [int(self.suppressed.sum())],
                f"loss ({self.measure})": [self.loss],
                **{f"level of {name}": [level] for name, level in self.levels.items()},
            }
        )
        return facts.to_html(index=False, escape=True)


def k_anonymise(
    frame: pd.DataFrame | pa.Table,
    quasi: Sequence[str],
    hierarchies: Mapping[str, object] | None = None,
    k: int = 5,
    *,
    measure: str = "entropy",
    suppression_limit: float = 0.0,
    models: Sequence[Model] = (),
    progress: Progress | None = None,
) -> Anonymised:
    """Return the full-domain generalisation of least loss in which every class has at least k rows and satisfies the models.

    quasi: quasi-identifiers. hierarchies: for each a Tree, Interval, Date or Prefix, or what `as_hierarchy` takes; a column
    without one is kept or replaced by `*` as a whole. measure: `entropy`, `loss`, `discernibility` or `average_class_size`.
    suppression_limit: the part of the rows that may be suppressed instead. models: further privacy models.
    The result is checked by code that shares nothing with the search before it is returned.
    Raises ParameterError: unusable input, or no solution.
    """
    sensitive = list(dict.fromkeys(model.column for model in models if model.column))
    require_sensitive(sensitive, quasi)
    table = as_frame(frame, [*quasi, *sensitive])
    if not quasi:
        raise ParameterError("at least one quasi-identifier is needed")
    if not 0 <= suppression_limit <= 1:
        raise ParameterError("the suppression limit is a part of the rows, from 0 to 1")
    everything: tuple[Model, ...] = (KAnonymity(k=k), *models)
    base, found_models = _prepare(table, quasi, hierarchies or {}, everything)
    suppressible = int(suppression_limit * len(table) + 1e-9)
    measured = measure_named(measure)
    best = Search(base, found_models, measured, suppressible=suppressible, progress=progress).run()
    class_of_row, classes = base.class_of_rows(best.levels)
    violated = violating(found_models, classes)
    suppressed = violated[class_of_row]
    result = table.copy()
    for name, levels, codes, level in zip(quasi, base.levels, base.codes, best.levels, strict=True):
        result[name] = _column(table[name], levels, codes[base.of_row], level, suppressed)
    people = _labelled_population(everything, quasi, hierarchies or {}, best.levels)
    verify(table, result, quasi, everything, suppressed=suppressed, suppressible=suppressible, population=people)
    verify_labels(table, result, quasi, suppressed)
    sizes = classes.sizes[(classes.sizes > 0) & ~violated]
    return Anonymised(
        frame=result,
        levels=dict(zip(quasi, best.levels, strict=True)),
        loss=best.loss,
        measure=measure,
        suppressed=suppressed,
        classes=len(sizes),
        smallest=int(sizes.min()) if len(sizes) else 0,
        checked=best.checked,
        nodes=best.nodes,
    )


def _prepare(
    table: pd.DataFrame, quasi: Sequence[str], hierarchies: Mapping[str, object], models: tuple[Model, ...]
) -> tuple[Base, tuple[Model, ...]]:
    unknown = [name for name in hierarchies if name not in table.columns]
    if unknown:
        raise ParameterError(f"hierarchies for {', '.join(map(repr, unknown))}, which are no columns of the table")
    populations = [model.population for model in models if isinstance(model, KMap)]
    if any(other is not populations[0] for other in populations[1:]):
        raise ParameterError("k-map models must share one population")
    in_sample = None
    together = table
    sensitive_names = list(dict.fromkeys(model.column for model in models if model.column))
    if populations:
        people = as_frame(populations[0], quasi)
        in_sample = np.repeat(np.array([1, 0]), [len(table), len(people)])
        together = pd.concat([table[[*quasi, *sensitive_names]], people[list(quasi)]], ignore_index=True)
    dictionaries = [encode(together[name], name) for name in quasi]
    levels = [as_hierarchy(hierarchies.get(item.name, Whole())).bind(item.values, item.name) for item in dictionaries]
    sensitive = [encode(table[name], name) for name in sensitive_names]
    padded = [_padded(item, len(together)) for item in sensitive]
    base = make_base(dictionaries, levels, padded, in_sample)
    return base, bound(models, {item.name: item.values for item in sensitive})


def _labelled_population(
    models: tuple[Model, ...], quasi: Sequence[str], hierarchies: Mapping[str, object], node: Sequence[int]
) -> pd.DataFrame | None:
    for model in models:
        if isinstance(model, KMap):
            people = as_frame(model.population, quasi)
            chosen = zip(quasi, node, strict=True)
            return pd.DataFrame(
                {name: as_hierarchy(hierarchies.get(name, Whole())).apply(people[name], level) for name, level in chosen}
            )
    return None


def _padded(column: Dictionary, rows: int) -> Dictionary:
    """People of the population count for no sensitive value: their weight is 0, so any code does."""
    extra = np.zeros(rows - len(column.codes), dtype=np.int64)
    return Dictionary(name=column.name, codes=np.concatenate([column.codes, extra]), values=column.values)


def _column(
    series: pd.Series[Any], levels: Levels, codes: npt.NDArray[np.int64], level: int, suppressed: npt.NDArray[np.bool_]
) -> pd.Series[Any]:
    if level == 0 and not suppressed.any():
        return series
    labels = levels.labels[level][levels.maps[level]][codes]
    labels[suppressed] = SUPPRESSED
    return pd.Series(labels, index=series.index, name=series.name, dtype=object)
