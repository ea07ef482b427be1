"""What all estimators share: parts from rows, bounds, rounds, and the record of the fit."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_X_y, validate_data

from sandbox.errors import UsageError
from sandbox.learn.federated import FittedFederated
from sandbox.learn.parts import Part, Scale, scale_of, split
from sandbox.learn.rounds import Drops, LocalRounds
from sandbox.learn.steps import Fit
from sandbox.model.fit import Estimator, ModelRecord, ModelRules

Stated = TypeVar("Stated", bound=Estimator)


class SecureEstimator(FittedFederated, BaseEstimator):
    """Base of the estimators: `fit` cuts the rows into `parties` parts, `fit_parts` takes each party's own.

    `fit_federated` leaves the rows at their providers. Attributes after fitting: record_ (ModelRecord), n_features_in_.
    """

    parties: int
    bounds: object
    clip: bool
    rules: ModelRules | None
    threshold: int | None
    dropped_after: Drops | None

    @abstractmethod
    def _steps(self, parts: tuple[Part, ...], scale: Scale) -> Fit:
        """Return the steps of the fit. scale: of the features."""

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit on rows that lie in this process, cut into `parties` parts of nearly equal length.

        X: (rows, features). y: (rows,), where the estimator needs it. Raises Withheld where the rules are not kept.
        """
        parties: object = self.parties
        if not isinstance(parties, int | np.integer) or isinstance(parties, bool) or parties < 1:
            raise UsageError(f"parties is the whole number of parts that the rows are cut into, not {parties!r}")
        X, y = self._validated(X, y)
        return self._fit(split(X, y, self.parties))

    def fit_parts(self, parts: Sequence[Any]) -> Self:
        """Fit on each party's rows: [(X1, y1), (X2, y2), …], or [X1, X2, …] where there is no target.

        Raises UsageError for parts of different columns, Withheld where the rules are not kept.
        """
        named, names = [], _names(parts)
        for index, part in enumerate(parts, start=1):
            X, y = part if isinstance(part, tuple) else (part, None)
            X, y = self._checked(X, y, f"part {index}")
            named.append(Part(name=f"p{index}", X=X, y=y))
        widths = sorted({part.X.shape[1] for part in named})
        if len(widths) != 1:
            raise UsageError(f"parts have one set of columns; these have {', '.join(map(str, widths)) or 'none'}")
        self._prepare_target([part.y for part in named])
        if names is not None:
            self.feature_names_in_ = np.asarray(names, dtype=object)
        self.n_features_in_ = widths[0]
        return self._fit(tuple(named))

    def _fit(self, parts: tuple[Part, ...]) -> Self:
        rules = self.rules or ModelRules()
        scale = scale_of(self.bounds, [part.X for part in parts], clip=self.clip, what="X")
        steps = self._steps(parts, scale)
        rounds = LocalRounds(steps, parts, rules, threshold=self.threshold, drops=self.dropped_after)
        self._keep(steps.run(rounds))
        self.record_ = ModelRecord(
            estimator=type(self).__name__,
            parameters=repr(self),
            rules=rules,
            bounds="declared" if scale.declared else "from the data",
            rounds=tuple(rounds.rounds),
            findings=tuple(rounds.findings),
        )
        return self

    def _needs_target(self) -> bool:
        return bool(self.__sklearn_tags__().target_tags.required)

    def _validated(self, X: Any, y: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any] | None]:
        minimum = max(2, self.parties)
        if not self._needs_target():
            return validate_data(self, X, dtype=np.float64, ensure_min_samples=minimum), None
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=self._numeric_target(), ensure_min_samples=minimum)
        self._prepare_target([y])
        return X, y

    def _checked(self, X: Any, y: Any, what: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any] | None]:
        if self._needs_target() and y is None:
            raise UsageError(f"{what} has no target: give (X, y)")
        X = check_array(X, dtype=np.float64, input_name=what, ensure_min_samples=0)
        if not self._needs_target():
            return X, None
        if len(X) == 0 and np.size(y) == 0:
            return X, np.ravel(y)  # a party without rows is the rules' to name
        X, y = check_X_y(X, y, dtype=np.float64, y_numeric=self._numeric_target())
        return X, y

    def _numeric_target(self) -> bool:
        return False

    def _prepare_target(self, targets: Sequence[npt.NDArray[Any] | None]) -> None:
        """Learn what must be public about the target before the first round: its classes, where it has any."""


def stated(kind: type[Stated], **parameters: object) -> Stated:
    """Return an estimator's parameters as a plan states them. Raises UsageError that names the one that cannot stand there."""
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()}
    try:
        return msgspec.convert({"kind": kind.__struct_config__.tag, **plain}, kind)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `$.")
        raise UsageError(f"{place.rstrip('`')}: {problem}") from None


def _names(parts: Sequence[Any]) -> list[str] | None:
    """Return the parts' column names, None where no part has any. Raises UsageError for a part whose names differ."""
    found: tuple[int, list[str]] | None = None
    for index, part in enumerate(parts, start=1):
        names = list(getattr(part[0] if isinstance(part, tuple) else part, "columns", ()))
        if not names or not all(isinstance(name, str) for name in names):
            continue
        if found is not None and names != found[1]:
            raise UsageError(f"part {index} has other columns than part {found[0]}, or in another order: give all parts alike")
        found = found or (index, names)
    return None if found is None else found[1]
