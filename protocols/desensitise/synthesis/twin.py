"""Twin: a synthetic table that was attacked before anyone gets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from protocols import risk
from protocols.desensitise.errors import TooFewRows, TwinRefused
from protocols.desensitise.synthesis import cells
from protocols.desensitise.synthesis.aggregates import Aggregates
from protocols.desensitise.synthesis.counting import MIN_COUNT, Counted, Options, as_arrow, key_of, known, twin_aggregates
from protocols.desensitise.synthesis.fields import IntArray
from protocols.desensitise.synthesis.protecting import told
from protocols.desensitise.synthesis.sampling import sample_twin, seeded
from protocols.desensitise.synthesis.utility import Utility, compare
from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng, permutation
from protocols.risk.synthetic import Closeness, OnProgress
from protocols.risk.verdict import LINKAGE_THRESHOLD, Finding, Findings


class Twin:
    """A synthetic table that no attack found more in than in copies of nobody's rows.

    findings: of each attack. closeness: distances to the closest record, for a report. utility: distances of shares.
    aggregates: everything that it was made from.
    """

    def __init__(
        self, table: pa.Table, aggregates: Aggregates, findings: Findings, closeness: Closeness, utility: Utility
    ) -> None:
        self._table = table
        self.aggregates = aggregates
        self.findings = findings
        self.closeness = closeness
        self.utility = utility

    def to_arrow(self) -> pa.Table:
        """Return the synthetic table; its schema's metadata say `synthetic`."""
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """Return the synthetic table; `attrs` say `synthetic`."""
        frame: pd.DataFrame = self._table.to_pandas()
        frame.attrs["synthetic"] = self.aggregates.digest
        return frame

    def _repr_html_(self) -> str:
        one, two = self.utility.mean
        return (
            f"<p><b>synthetic</b>: {self._table.num_rows} rows, {self.aggregates.guarantee()}; total variation {one:.3f} of "
            f"columns, {two:.3f} of pairs, on average</p>"
            + self.to_pandas().head(10).to_html(index=False, escape=True)
            + self.findings._repr_html_()
        )

    def __repr__(self) -> str:
        return f"<Twin: {self._table.num_rows} synthetic rows, {len(self._table.schema.names)} columns>"


def synthesise(
    table: pd.DataFrame | pa.Table,
    *,
    rows: int | None = None,
    sensitive: Sequence[str] = (),
    seed: int | None = None,
    attempts: int | None = None,
    threshold: float = LINKAGE_THRESHOLD,
    on_progress: OnProgress | None = None,
    **options: Unpack[Options],
) -> Twin:
    """Return a synthetic twin of a table, for development: the same schema, code lists, bounds and uniqueness, nobody's rows.

    Half of the people, drawn at random, are held out before anything is counted. The other half is counted
    (`twin_aggregates`, whose options these are), and the twin is drawn from these aggregates alone (`sample_twin`). Then it is
    attacked: singling out, linkability, inference, membership, each beside the people held out and beside copies of the
    others' rows (`risk.attack_synthetic`), and its keys and identifiers are looked for in the table.

    rows: about as many as the table has, by default. sensitive: columns that an attacker wants to infer; by default those that
    tell most of a person. seed: repeats the split, the draws and the attacks, never the noise. Raises TwinRefused with the
    findings unless all pass; TooFewRows, DataError, ParameterError as `twin_aggregates`.
    """
    real = as_arrow(table)
    rng = OsRng() if seed is None else seeded(seed, "split")
    names = key_of(options)
    Counted(real, options)  # all of it is as declared, or the first wrong row is named by its place in the whole
    inside, outside = _halves(real, names, options.get("min_count", MIN_COUNT), rng)
    aggregates = twin_aggregates(real.take(pa.array(inside)), **options)
    modelled = [item.field.name for item in aggregates.columns if item.field.is_modelled]
    if not modelled:
        raise ParameterError("there is nothing but keys and identifiers in this table, which are made from nothing")
    strange = sorted(set(sensitive) - set(modelled))
    if strange:
        raise ParameterError(
            f"{', '.join(map(repr, strange))}: a sensitive column has declared values to infer; there are {modelled}"
        )
    # Twice what the aggregates say of one half, never the table's own number, which they hide.
    made = sample_twin(aggregates, 2 * aggregates.rows if rows is None else rows, seed=seed)
    ours = _one_each(real.take(pa.array(inside)), names, rng)
    theirs = _one_each(real.take(pa.array(outside)), names, rng)
    release, members, control = (_frame(each, aggregates, modelled) for each in (made, ours, theirs))
    attacked, closeness = risk.attack_synthetic(
        release,
        members,
        control,
        modelled,
        secrets=sensitive,
        attempts=attempts,
        threshold=threshold,
        rng=rng,
        on_progress=on_progress,
    )
    findings = Findings((_counts_finding(aggregates), _identifier_finding(made, real, aggregates), *attacked.items))
    if findings.verdict != "PASS":
        raise TwinRefused(findings)
    return Twin(made, aggregates, findings, closeness, compare(made, real, aggregates))


def _halves(real: pa.Table, key: Sequence[str], least: int, rng: Rng) -> tuple[IntArray, IntArray]:
    """Return the rows of two halves of the people, in order."""
    people = cells.people([real.column(name) for name in key]) if key else np.arange(real.num_rows)
    number = int(people.max(initial=-1)) + 1
    if number < 2 * least:
        raise TooFewRows(
            f"a twin takes the rows of at least {2 * least} people, half of them as a control group; for its attacks to "
            "tell anything, some thousands"
        )
    chosen = np.zeros(number, dtype=np.bool_)
    chosen[permutation(rng, number)[: -(-number // 2)]] = True
    return np.flatnonzero(chosen[people]), np.flatnonzero(~chosen[people])


def _one_each(part: pa.Table, key: Sequence[str], rng: Rng) -> pa.Table:
    """Return one row of each person, drawn at random: attempts on one person's rows would count her several times."""
    if not key:
        return part
    people = cells.people([part.column(name) for name in key])
    order = permutation(rng, part.num_rows)
    return part.take(pa.array(np.sort(order[np.unique(people[order], return_index=True)[1]])))


def _frame(table: pa.Table, aggregates: Aggregates, modelled: Sequence[str]) -> pd.DataFrame:
    """Return the counted columns as an attacker compares them: numbers and dates by distance, all else as text."""
    columns = {}
    for name in modelled:
        field, column = aggregates.column(name).field, table.column(name)
        if field.is_ordered:
            columns[name] = pd.Series(cells.positions(field, column))
        else:
            columns[name] = pd.Series(column.cast(pa.large_string()).to_pylist(), dtype=object)
    return pd.DataFrame(columns)


def _counts_finding(aggregates: Aggregates) -> Finding:
    if aggregates.protection.epsilon:
        return Finding(attack="small counts", verdict="PASS", message=aggregates.guarantee())
    number = told(known(aggregates), aggregates.protection.min_count)
    text = f"{number} counts below {aggregates.protection.min_count} follow from all published ones"
    return Finding(attack="small counts", verdict="FAIL" if number else "PASS", message=text)


def _identifier_finding(made: pa.Table, real: pa.Table, aggregates: Aggregates) -> Finding:
    """Certain: a key or identifier that was made from nothing stands in the table by chance, and would mean a person."""
    found = {}
    for item in aggregates.columns:
        if not item.field.is_modelled:
            name = item.field.name
            own, theirs = (each.column(name).cast(pa.large_string()).drop_null() for each in (made, real))
            found[name] = int(pc.sum(pc.is_in(own, value_set=theirs.combine_chunks())).as_py() or 0)
    hits = {name: count for name, count in found.items() if count}
    places = ", ".join(f"{count} in {name!r}" for name, count in hits.items())
    text = (
        f"made-up values that the table has: {places}"
        if hits
        else f"{len(found)} made-up columns share no value with the table"
    )
    return Finding(attack="identifiers", verdict="FAIL" if hits else "PASS", message=text)
