"""Files that an auditor brings, as frames; and column names as options take them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def names_of(text: str, option: str) -> list[str]:
    """Return the column names of an option `a,b,c`. Raises UsageError."""
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise UsageError(f"{option} takes column names with commas between them, each once")
    return names


def read_frame(file: Path, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Read some columns of a CSV or Parquet file, or all. Raises SourceError, or UsageError for a column that is not there."""
    from sandbox.sources import open_source
    from sandbox.sources.columns import quoted

    source = open_source(file)
    known = [name for name, _ in source.schema()]
    wanted = known if names is None else names
    missing = [name for name in wanted if name not in known]
    if missing:
        raise UsageError(f"{str(file)!r} has no column {', '.join(map(repr, missing))}; it has: {', '.join(known)}")
    (found,) = source.query([f"SELECT {', '.join(map(quoted, wanted))} FROM source"])  # noqa: S608  (quoted names)
    frame: pd.DataFrame = found.to_pandas()
    return frame
