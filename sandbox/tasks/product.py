"""Product: what a task released, with its card, as a person or a notebook uses it."""

from __future__ import annotations

import html
import io
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.model.decision import Finding
from sandbox.model.product import ProductCard, WithheldCell

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MARKS = {"BELOW_K": "·k", "DOMINANCE": "·d", "SECONDARY": "·s", "DIFFERENCE": "·h", "RARE_GROUP": "·r", "NO_VALUES": "null"}


class Product:
    """A released table. `id` names it in its workspace; `directory` holds its evidence bundle.

    seconds: per step, of a run just made.
    """

    def __init__(
        self, id: str, card: ProductCard, arrow_file: bytes, directory: Path, seconds: dict[str, float] | None = None
    ) -> None:
        self.id = id
        self.seconds = seconds or {}
        self.card = card
        self.directory = directory
        self._arrow_file = arrow_file

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What each check found, passes included."""
        return self.card.findings

    @property
    def withheld(self) -> tuple[WithheldCell, ...]:
        """Every NULL that the gate put there, with its reason."""
        return self.card.withheld

    def to_arrow(self) -> pa.Table:
        """Return the released rows as a pyarrow.Table."""
        import pyarrow as pa

        with pa.ipc.open_file(io.BytesIO(self._arrow_file)) as reader:
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

    def bundle(self, path: str | Path) -> Path:
        """Write the evidence bundle to a new directory and return it. Raises StateError if the directory exists."""
        from sandbox.audit.bundle import copy_bundle

        return copy_bundle(self.directory, Path(path))

    def rows(self) -> list[list[Any]]:
        """Return the released rows as lists of plain values, in column order."""
        return [list(row.values()) for row in self.to_arrow().to_pylist()]

    def rendered(self) -> tuple[list[str], list[list[str]]]:
        """Return headers and cells as text; a withheld cell shows its mark, an explained NULL `null`."""
        names = [column.name for column in self.card.columns]
        lines = [[_as_text(value) for value in row] for row in self.rows()]
        for mark in self.card.marks:
            lines[mark.row][mark.column] = MARKS[mark.reason]
        return names, lines

    def _repr_html_(self) -> str:
        names, lines = self.rendered()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        note = f"{len(self.card.withheld)} cells withheld" if self.card.withheld else "no cell withheld"
        title = html.escape(self.card.title)
        return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{note}</p>"

    def __repr__(self) -> str:
        return f"<Product {self.id}: {self.card.rows} rows, {len(self.card.withheld)} cells withheld>"


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
