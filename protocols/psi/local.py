"""Both roles in one process: `intersect`, `cardinality` and `isin` over two lists, every message through bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.local import run_local
from protocols.party import Mapper
from protocols.psi.columns import KeyType, infer_type, plain_column
from protocols.psi.keys import KeyDomain, encode_keys
from protocols.psi.prepared import LookupClient, LookupServer, PreparedList
from protocols.psi.two_party import Intersecting, Reveal, Terms

_LEFT, _RIGHT = "left", "right"


def intersect(
    left: Any, right: Any, return_indices: bool = False, *, mapper: Mapper = map
) -> npt.NDArray[Any] | tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the sorted distinct values that are in both lists, as numpy.intersect1d does.

    left, right: one column each (numpy, pyarrow, pandas, or a sequence) of integers, text, dates, timestamps, booleans or
    decimals, one type in both. NULL (None, NaN among objects, NaT) matches nothing. return_indices: also the row of each
    value's first occurrence, (k,) int64, in left and in right; then both parties learn the intersection, else the left one.
    mapper: runs chunks of rows; a thread pool's `map` uses more cores. Raises ParameterError for other or different types.
    """
    receivers = (_LEFT, _RIGHT) if return_indices else (_LEFT,)
    outputs = _run(left, right, "rows", receivers, mapper)
    values, left_rows = _sorted_values(left, outputs[_LEFT])
    if not return_indices:
        return values
    return values, left_rows, _sorted_values(right, outputs[_RIGHT])[1]


def cardinality(left: Any, right: Any, *, mapper: Mapper = map) -> int:
    """Return how many distinct values are in both lists, which the left party learns. Inputs and errors as `intersect`."""
    return int(_run(left, right, "count", (_LEFT,), mapper)[_LEFT])


def isin(elements: Any, test_elements: Any, *, mapper: Mapper = map) -> npt.NDArray[np.bool_]:
    """Return for each element whether it is among the test elements, as numpy.isin does: (n,) bool.

    For a small list against a large one: the large one is evaluated once, the small one looked up (`PreparedList`). The
    holder of `elements` learns the result. NULL is in no list. Inputs and errors as `intersect`.
    """
    domain = _common_domain(elements, test_elements, ("elements", "test_elements"))
    prepared = PreparedList(encode_keys([test_elements], domain), domain, mapper=mapper)
    keys = encode_keys([elements], domain)
    outputs = run_local(
        {
            "client": LookupClient("client", "server", domain, keys, mapper=mapper),
            "server": LookupServer("server", "client", prepared, max_rows=len(keys.keys), mapper=mapper),
        }
    )
    found = np.zeros(len(keys.keys) + keys.dropped, dtype=np.bool_)
    found[outputs["client"]] = True
    return found


def _common_domain(left: Any, right: Any, names: tuple[str, str]) -> KeyDomain:
    inferred = (infer_type(left, names[0]), infer_type(right, names[1]))
    kinds: list[KeyType] = sorted({kind for kind in inferred if kind is not None})
    if len(kinds) > 1:
        raise ParameterError(f"the lists hold {' and '.join(kinds)}; convert one, since nothing is cast here")
    return KeyDomain(name="local", types=(kinds[0] if kinds else "text",))


def _run(left: Any, right: Any, reveal: Reveal, receivers: tuple[str, ...], mapper: Mapper) -> dict[str, Any]:
    domain = _common_domain(left, right, (_LEFT, _RIGHT))
    terms = Terms(domain=domain, parties=(_LEFT, _RIGHT), receivers=receivers, reveal=reveal)

    def role(name: str, column: Any) -> Intersecting:
        return Intersecting(name, terms, encode_keys([column], domain), mapper=mapper)

    return run_local({_LEFT: role(_LEFT, left), _RIGHT: role(_RIGHT, right)})


def _sorted_values(column: Any, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return a column's values at some rows in ascending order, and the rows in that order."""
    column = plain_column(column, "list")
    if isinstance(column, np.ndarray):
        values = column[rows]
    elif isinstance(column, list):
        values = _as_array([column[row] for row in rows.tolist()])
    else:
        values = _as_array(column.take(rows).to_pylist())
    order = np.argsort(values, kind="stable")
    return values[order], rows[order]


def _as_array(values: list[Any]) -> npt.NDArray[Any]:
    """Return numpy's own choice of array, or one of objects where that would drop trailing NUL characters of text."""
    lossy = any(isinstance(value, str) and value.endswith("\0") for value in values)
    return np.array(values, dtype=object) if lossy else np.array(values)
