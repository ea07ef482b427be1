"""Normal equations: symmetric systems A·x = b with A ⪰ 0, as least squares, ridge and Newton's steps need them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEAST_EIGENVALUE = 1e-13


def solve_normal(matrix: Floats, right: Floats, *, noise: float = 0.0) -> tuple[Floats, Floats]:
    """Return a solution (n,), and a basis (n, m) of the directions in which A says nothing.

    Each unknown is taken in the unit in which its entry on A's diagonal is 1, so that columns, and penalties, of very different
    size keep their digits. A direction counts as absent when its eigenvalue is then below LEAST_EIGENVALUE of the largest
    one, or within what rounding, which adds `noise` to each entry of the diagonal, could have made of zero.
    """
    units, values, vectors, absent = _directions(matrix, noise)
    along = (vectors.T @ (units * right)) / values
    return units * (vectors @ along), units[:, np.newaxis] * absent


def solve_penalised(matrix: Floats, right: Floats, penalty: Floats, *, noise: float) -> Floats:
    """Return the solution (n,) of (A + diag(penalty))·x = b, penalty > 0.

    Directions that are absent from A, as in `solve_normal`, are taken out of A and b first: the penalty alone decides on them,
    and would be weighed against rounding otherwise.
    """
    units, values, vectors, _ = _directions(matrix, noise)
    clean, wanted = (vectors * values) @ vectors.T, vectors @ (vectors.T @ (units * right))
    solution: Floats = units * solve_normal(clean + np.diag(penalty * units**2), wanted)[0]
    return solution


def shortest(solution: Floats, free: Floats) -> Floats:
    """Return the solution of least norm: `solution` without its part along the columns of `free`, (n, m)."""
    basis = np.linalg.qr(free / np.maximum(np.abs(free).max(axis=0, initial=0.0), np.finfo(np.float64).tiny))[0]
    least: Floats = solution - basis @ (basis.T @ solution)
    return least


def _directions(matrix: Floats, noise: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the unknowns' units, and in those the eigenvalues and eigenvectors that A has, and the eigenvectors it lacks."""
    diagonal = np.diag(matrix)
    units = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    values, vectors = np.linalg.eigh(matrix * np.outer(units, units))
    rounding = 2 * noise * float((units[diagonal > 0] ** 2).max(initial=0.0))
    kept = values > max(LEAST_EIGENVALUE * float(values.max(initial=0.0)), rounding)
    return units, values[kept], vectors[:, kept], vectors[:, ~kept]
