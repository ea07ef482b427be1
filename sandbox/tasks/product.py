"""Product: what a task released, with its card, as a person or a notebook uses it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.errors import UsageError
from sandbox.model.certificate import Certificate
from sandbox.model.decision import Finding
from sandbox.model.expression import AggregateRef, GroupRef, Literal
from sandbox.model.payload import open_arrow_file
from sandbox.model.product import ReleaseNote, WithheldCell
from sandbox.tasks.casefile import ReleasedProduct
from sandbox.tasks.quantiles import quantile_rows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MARKS = {
    "BELOW_K": "·k",
    "DOMINANCE": "·d",
    "SECONDARY": "·s",
    "DIFFERENCE": "·h",
    "RECONSTRUCTION": "·b",
    "RARE_GROUP": "·r",
    "NO_VALUES": "null",
}
LEGEND = {
    "BELOW_K": "fewer people than the rules ask for are behind it",
    "DOMINANCE": "one or two contributors make up too much of it",
    "SECONDARY": "beside another released number it would tell of too few people",
    "DIFFERENCE": "with earlier releases it would single out too few people, or that could not be ruled out",
    "RECONSTRUCTION": "with earlier releases it, or the reason for it, would bound a small count too closely",
    "RARE_GROUP": "its provider removed the group before the join, since too few people have it",
    "NO_VALUES": "there is no value to aggregate; this is SQL's NULL, nothing is withheld",
}


class Findings(tuple[Finding, ...]):
    """Findings as a tuple that Jupyter shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return html_table(("check", "verdict", "message"), [(item.check, item.verdict, item.message) for item in self])


class WithheldCells(tuple[WithheldCell, ...]):
    """Withheld cells as a tuple that Jupyter shows as a table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        rows = [
            (", ".join(_label(label) for label in item.labels) or "all rows", item.column, item.reason, LEGEND[item.reason])
            for item in self
        ]
        return html_table(("cell", "column", "reason", "meaning"), rows)


SHOWN_ROWS = 10
"""Of released rows: what is printed of them anywhere."""
ADDITIVE = ("count_rows", "count", "sum")


class Product:
    """A released table. `id` names it in its workspace; `directory` holds its evidence bundle.

    seconds: per step, of a run just made.
    """

    def __init__(self, released: ReleasedProduct, directory: Path, seconds: dict[str, float]) -> None:
        plan = released.case_file.plan
        additive = {index for index, item in enumerate(plan.aggregates) if item.function in ADDITIVE}
        self.id = released.task
        self.seconds = seconds
        self.card = released.card
        self.directory = directory
        self._plan = plan
        self._certificate = released.case_file.certificate.certificate
        self._arrow_file = released.payload
        self._group_columns = [item.name for item in plan.select if isinstance(item.source, GroupRef)]
        self._additive_columns = [
            item.name for item in plan.select if isinstance(item.source, AggregateRef) and item.source.index in additive
        ]

    @property
    def certificate(self) -> Certificate:
        """What was measured of it before its release, as the gate signed it."""
        return self._certificate

    @property
    def findings(self) -> Findings:
        """What each check found, passes included."""
        return Findings(self.card.findings)

    @property
    def withheld(self) -> WithheldCells:
        """Every NULL that the gate put there, with its reason."""
        return WithheldCells(self.card.withheld)

    def to_arrow(self) -> pa.Table:
        """Return the released rows as a pyarrow.Table."""
        with open_arrow_file(self._arrow_file) as reader:
            return reader.read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Return the released rows as a DataFrame; integer columns keep integers (nullable Int64 where they fit)."""
        import pandas as pd

        table = self.to_arrow()
        frame: pd.DataFrame = table.to_pandas()
        for name in table.column_names:
            values = table.column(name).to_pylist()
            if any(value is None for value in values) and all(isinstance(value, int | None) for value in values):
                frame[name] = pd.array(values, dtype="Int64")
            elif _whole_numbers(values):
                frame[name] = pd.array([None if value is None else int(value) for value in values], dtype="Int64")
        return frame

    def margins(self, *groups: str) -> pd.DataFrame:
        """Return totals of COUNT(*), COUNT(x) and SUM columns over the released cells, by some of the group columns or none.

        Computed after suppression: a withheld cell adds nothing, so no total tells what it holds; `cells` and `lacking` say how
        many cells a total covers and lacks (of the column that lacks most). Raises UsageError for a name that is no group.
        """
        import pandas as pd

        if not self._group_columns:
            raise UsageError("this product has no groups, so there are no margins")
        strange = [name for name in groups if name not in self._group_columns]
        if strange:
            raise UsageError(f"{strange[0]!r} is no group of this product; groups are: {', '.join(self._group_columns)}")
        totals: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in self.to_arrow().to_pylist():
            key = tuple(row[name] for name in groups)
            total = totals.setdefault(key, {"cells": 0, "lacking": 0, **dict.fromkeys(self._additive_columns, 0)})
            missing = [name for name in self._additive_columns if row[name] is None]
            total["lacking" if missing else "cells"] += 1
            for name in self._additive_columns:
                total[name] += 0 if row[name] is None else _plain(row[name])
        rows = [dict(zip(groups, key, strict=True)) | total for key, total in totals.items()]
        return pd.DataFrame(rows, columns=[*groups, *self._additive_columns, "cells", "lacking"])

    def quantiles(self, fractions: Sequence[float], *, of: str | None = None, by: Sequence[str] = ()) -> pd.DataFrame:
        """Return the bins in which quantiles lie, of a histogram: a product with a COUNT and a group of bins.

        Bins are `column // width`, or, of any ordered column, CASE WHEN column < 10 THEN … WHEN column < 20 THEN … ELSE … END.
        One row per fraction and combination of the groups `by`: at least `low`, below `high`; the bins are the precision, None
        where a band has no end.
        of: the group that bins, where there are several. `lacking`: bins that the gate withheld, which count as empty.
        Computed from released counts alone. Raises UsageError.
        """
        import pandas as pd

        rows = quantile_rows(self._plan, self.to_arrow().to_pylist(), fractions, of, by)
        return pd.DataFrame(rows, columns=[*by, "quantile", "low", "high", "lacking"])

    def bundle(self, path: str | Path) -> Path:
        """Write the evidence bundle to a new directory and return it. Raises StateError if the directory exists."""
        from sandbox.audit.bundle import copy_bundle

        return copy_bundle(self.directory, Path(path))

    def head(self) -> pa.Table:
        """Return what may be printed: the first few of released rows, all of a table of statistics."""
        table = self.to_arrow()
        return table if self.card.release is None else table.slice(0, SHOWN_ROWS)

    def rows(self) -> list[list[Any]]:
        """Return the released rows as lists of plain values, in column order."""
        return [list(row.values()) for row in self.to_arrow().to_pylist()]

    def rendered(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and cells as text; a withheld cell shows its mark, an explained NULL `null`."""
        names = [column.name for column in self.card.columns]
        lines = [[_as_text(value) for value in row.values()] for row in self.head().to_pylist()]
        for mark in self.card.marks:
            lines[mark.row][mark.column] = MARKS[mark.reason]
        return names, lines

    def _repr_html_(self) -> str:
        names, lines = self.rendered()
        reasons = sorted({mark.reason for mark in self.card.marks})
        legend = "".join(
            f"<li><b>{_escaped(MARKS[reason])}</b> {reason}: {_escaped(LEGEND[reason])}</li>" for reason in reasons
        )
        removed = [
            (item.asset, item.keys, item.rows, item.groups)
            for item in self.card.dropped
            if (item.keys, item.rows, item.groups) != ("0", "0", "0")
        ]
        parts = [
            html_table(names, lines, caption=self.card.title),
            *(() if self.card.release is None else risk_tables(self.card.release)),
            f"<p>{self.card.rows} rows, {self._withheld_note()}</p>",
            f"<ul>{legend}</ul>" if legend else "",
            self.findings._repr_html_(),
            f"<p>certificate: {_escaped(self.certificate.summary)}</p>",
        ]
        if self.card.absent:
            silent = [(item.provider, item.step, "yes" if item.counted else "no") for item in self.card.absent]
            parts.append(
                html_table(("provider", "silent in step", "in these numbers"), silent, caption="Parts that fell silent")
            )
        if removed:
            note = "Removed before the join, since too few people share the pattern of groups"
            parts.append(html_table(("asset", "keys", "rows", "whole groups"), removed, caption=note))
        return "".join(parts)

    def _withheld_note(self) -> str:
        count = len(self.card.withheld)
        return f"{count} numbers withheld" if count > 1 else "1 number withheld" if count else "no number withheld"

    def __repr__(self) -> str:
        return f"<Product {self.id}: {self.card.rows} rows, {len(self.card.withheld)} cells withheld>"


def risk_tables(note: ReleaseNote) -> tuple[str, ...]:
    """Return as HTML what a reader of released rows must see: the label, the measures, what became of each column."""
    columns = [(item.name, item.rule, item.type or "not in the table", item.undone_by) for item in note.columns]
    figures = [(item.measure, item.of, item.value) for item in note.figures]
    return (
        f"<p>{_escaped(note.label)}</p>",
        html_table(("measure", "of", "value"), figures, caption="Measured on the table"),
        html_table(("column", "rule", "type", "undone by"), columns, caption="What became of each column"),
    )


def html_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "") -> str:
    """Return a table as HTML, every text escaped."""
    head = "".join(f'<th style="text-align:left">{_escaped(name)}</th>' for name in headers)
    lines = ("".join(f'<td style="text-align:left">{_escaped(cell)}</td>' for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    title = f"<caption>{_escaped(caption)}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _escaped(text: str) -> str:
    """Escape mark-up; whatever does not print (controls, marks that reverse text) is shown by its code."""
    return html.escape("".join(char if char.isprintable() else ascii(char)[1:-1] for char in text))


def _label(label: Literal) -> str:
    return "null" if label.type == "null" else label.value


def _plain(value: Any) -> Any:
    """Return an integer SUM, which Arrow holds as a decimal without digits, as an int."""
    return int(value) if isinstance(value, Decimal) and value.as_tuple().exponent == 0 else value


def _whole_numbers(values: list[Any]) -> bool:
    present = [value for value in values if value is not None]
    whole = all(isinstance(value, Decimal) and value == value.to_integral_value() for value in present)
    return bool(present) and whole and all(abs(int(value)) < 1 << 63 for value in present)


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
