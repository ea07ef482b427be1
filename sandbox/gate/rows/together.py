"""All releases of a table's rows together: the classes that they all leave of a person pass as one release's classes do.

Who has several tables, and knows somebody's quasi-identifiers and in which tables they are, is left with the rows that are in
that person's class of every table. So rows are told apart by their classes in all releases at once, not being in one counting
as a class of it: with the same generalisation these are the classes; with another one, or after people came or went, they are
intersections and differences. Rules: each of them that holds anybody has at least k rows, whether in this table or in earlier
ones only; those in this table pass l and t as well; and numbers that a rule drew at random are not drawn again. A release to
another recipient counts as one to this one. Source: Ganta, Kasiviswanathan, Smith, KDD 2008 (composition by intersection).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandbox.errors import UsageError
from sandbox.gate.rows.anonymity import judged, spread
from sandbox.gate.rows.table import Ints, RowTable, renumbered
from sandbox.model.decision import Finding
from sandbox.model.product import RecordedRows, ReleaseRecord

NAME = "together"
ABSENT = 0


def check(rows: RowTable, history: Sequence[ReleaseRecord]) -> tuple[Finding, ...]:
    """Return findings on k, l and t of the classes of all releases together, and on random draws."""
    past = [record.rows for record in history if record.rows is not None and record.rows.asset == rows.release.asset]
    if not past:
        return (rows.finding(NAME, "pass", f"no earlier release of rows of {rows.release.asset}"),)
    if broken := next((record for record in past if not _is_whole(record)), None):
        return (rows.finding(NAME, "inconclusive", f"the history of {broken.asset} cannot be read; nothing can be compared"),)
    classes, present = together(rows, past)
    smallest, k = int(np.bincount(classes).min()), rows.risk.k
    where = f" of {len(past) + 1} releases together"
    message = f"at least {k} rows in each class{where}" if smallest >= k else f"fewer than {k} rows in a class{where}"
    found = [rows.finding(NAME, "pass" if smallest >= k else "fail", message)]
    inside = renumbered([classes[present]])
    for name in rows.release.sensitive:
        found += judged(rows, name, spread(rows.table.column(name), inside), where, prefix=f"{NAME}.")
    return (*found, _draws(rows, past))


def together(rows: RowTable, past: Sequence[RecordedRows]) -> tuple[Ints, Ints]:
    """Return the class of each person of any release in all of them, (people,); and where this table's rows stand there."""
    tags_here = tags_of(rows)
    tables = [(tags_here, rows.classes), *((decoded(item.tags, "<u8"), decoded(item.classes, "<u4")) for item in past)]
    people, place = np.unique(np.concatenate([tags for tags, _ in tables]), return_inverse=True)
    place, start, columns, own = place.reshape(-1), 0, [], place[: len(tags_here)]
    for tags, classes in tables:
        column = np.full(len(people), ABSENT, dtype=np.int64)
        column[place[start : start + len(tags)]] = classes.astype(np.int64) + 1
        columns.append(column)
        start += len(tags)
    return renumbered(columns), own


def recorded(rows: RowTable) -> RecordedRows:
    """Return what the history keeps of a table's rows."""
    release = rows.release
    return RecordedRows(
        asset=release.asset,
        root=rows.root,
        rules=release.rules_digest(),
        draws=tuple(column.name for column in release.released if column.draws),
        tags=base64.b64encode(tags_of(rows).astype("<u8").tobytes()).decode(),
        classes=base64.b64encode(rows.classes.astype("<u4").tobytes()).decode(),
    )


def tags_of(rows: RowTable) -> npt.NDArray[np.uint64]:
    """Return a table's tags. Raises UsageError where there are none."""
    if rows.tags is None:
        raise UsageError("rows without tags cannot be compared with other releases")
    return rows.tags


def decoded(text: str, kind: str) -> npt.NDArray[np.unsignedinteger]:
    """Return numbers as `recorded` writes them."""
    return np.frombuffer(base64.b64decode(text), dtype=kind)


def _is_whole(record: RecordedRows) -> bool:
    try:
        return len(decoded(record.tags, "<u8")) == len(decoded(record.classes, "<u4")) > 0
    except ValueError:
        return False


def _draws(rows: RowTable, past: Sequence[RecordedRows]) -> Finding:
    """The same rules on the same table draw the same numbers; any other draw could be averaged with the one before."""
    same = (rows.root, rows.release.rules_digest())
    again = sorted(
        {
            column.name
            for column in rows.release.released
            for record in past
            if column.draws and column.name in record.draws and (record.root, record.rules) != same
        }
    )
    if again:
        return rows.finding(
            "draws", "fail", f"{', '.join(map(repr, again))} would be drawn again; an average takes the noise away"
        )
    return rows.finding("draws", "pass", "no noise is drawn that was drawn before with other rules or of another table")
