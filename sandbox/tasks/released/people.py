"""What an auditor's file of people makes of released rows: who stands alone, what their class tells, whose digest is known."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sandbox.model.plan import Plan
from sandbox.model.product import ProductCard
from sandbox.tasks.people import People
from sandbox.tasks.released.known_terms import in_released_terms

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from protocols.risk import Finding

HEX_LENGTHS = (32, 40, 64)


def people_in_rows(plan: Plan, table: pa.Table, card: ProductCard, people: People) -> tuple[Finding, ...]:
    """Attack a table of rows about people: linkage over `quasi`, what their class tells, and a dictionary of their identifiers.

    Columns have the names that they have in the released table; values may be in its terms or in those of its source, from
    which the plan's rules lead to the others. exposed of linkage: people who fit one row alone. Every column of the people
    beside these is tried as an identifier behind released digests.
    """
    from protocols import risk

    frame = table.to_pandas()
    quasi = list(people.quasi)
    known = in_released_terms(plan, table, people)
    found = risk.linkage(frame, known, quasi)
    classes = frame.astype(object).groupby(quasi, dropna=False).size()
    joined = known.astype(object).merge(classes.rename("_size").reset_index(), how="left", on=quasi)
    alone = tuple(at for at, size in enumerate(joined["_size"]) if size == 1)
    verdict = "FAIL" if alone else found.verdict
    text = f"{found.message}; {len(alone)} fit one row alone"
    linked = dataclasses.replace(found, verdict=verdict, message=text, exposed=alone)
    told = [risk.homogeneity(frame, quasi, name) for name in people.sensitive]
    return (linked, *told, *_dictionaries(frame, people))


def _dictionaries(frame: pd.DataFrame, people: People) -> list[Finding]:
    from protocols import risk
    from protocols.risk.identifiers import listed

    digests = [name for name in frame.columns if _is_digest(frame[name])]
    known = [name for name in people.frame.columns if name not in (*people.quasi, *people.sensitive)]
    found = []
    for name in digests:
        values = [str(value) for column in known for value in people.frame[column].dropna()]
        if values:
            attack = risk.dictionary(frame[name].dropna(), listed(values, "identifiers of the people"))
            found.append(dataclasses.replace(attack, message=f"column {name!r}: {attack.message}"))
    return found


def _is_digest(column: pd.Series[Any]) -> bool:
    values = [value for value in column if isinstance(value, str)]
    return bool(values) and all(len(value) in HEX_LENGTHS and set(value) <= set("0123456789abcdefABCDEF") for value in values)
