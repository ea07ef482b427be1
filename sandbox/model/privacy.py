"""Privacy budgets: what an owner allows, what a profile's noise spends, and under which name a ledger counts it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Literal as OneOf

from protocols.errors import ParameterError
from protocols.primitives.accounting import laplace_cost, rho_within, units_down, units_up
from sandbox.errors import DocumentError, UsageError
from sandbox.model.canonical import Document

LARGEST_EPSILON = 64
_MAX_TEXT = 40


class PrivacyTerms(Document, frozen=True, kw_only=True):
    """An owner's budget, for each recipient: ε of one release and of all together, at this δ. Decimal text."""

    epsilon_per_release: str
    epsilon_total: str
    delta: str

    def __post_init__(self) -> None:
        _check_epsilon(self.epsilon_per_release, field="privacy.epsilon_per_release")
        _check_epsilon(self.epsilon_total, field="privacy.epsilon_total")
        _check_delta(self.delta, field="privacy.delta")


class NoiseRules(Document, frozen=True, kw_only=True):
    """A profile's noise on every number of a release: each person's (ε, δ) in all of it together.

    kind: discrete `gaussian`, or discrete `laplace`, which the gate alone adds: one release is then ε-private without any
    δ, and δ is only what the total is read at. where: added by the `gate` to the exact sum, or in `shares` by the parties,
    so that nobody sees the exact sum. epsilon_total: of all releases of an asset to one recipient, where its owner sets no
    smaller one. Decimal text.
    """

    where: OneOf["gate", "shares"]
    epsilon: str
    epsilon_total: str
    delta: str
    kind: OneOf["gaussian", "laplace"] = "gaussian"

    def __post_init__(self) -> None:
        if self.kind == "laplace" and self.where != "gate":
            raise DocumentError("noise.where: sums of discrete Laplace noise are none, so that the gate adds it")
        _check_epsilon(self.epsilon, field="noise.epsilon")
        _check_epsilon(self.epsilon_total, field="noise.epsilon_total")
        _check_delta(self.delta, field="noise.delta")

    def guarantee(self) -> str:
        """Return what a release guarantees each person, in words."""
        return f"ε = {self.epsilon}" + (f" at δ = {self.delta}" if self.kind == "gaussian" else ", without a δ,")


def cost_of(noise: NoiseRules) -> Fraction:
    """Return ρ of one release. Raises UsageError where the extra `privacy` is missing or no noise is enough."""
    if noise.kind == "laplace":
        return laplace_cost(Fraction(noise.epsilon))
    return _rho(noise.epsilon, noise.delta)


def cost_units(noise: NoiseRules) -> int:
    """Return what one release spends, in the ledger's units. Raises UsageError as `cost_of`."""
    return units_up(cost_of(noise))


def budget_units(noise: NoiseRules, terms: PrivacyTerms | None) -> int:
    """Return the budget that holds for an asset: the owner's or the profile's, the smaller. Raises UsageError as `cost_of`."""
    budget = _rho(noise.epsilon_total, noise.delta)
    if terms is not None:
        budget = min(budget, _rho(terms.epsilon_total, terms.delta))
    return units_down(budget)


def budget_subject(asset: str, recipient: str) -> str:
    """Return the name under which the ledger counts what a recipient has learned of an asset."""
    return f"privacy:{asset}:{recipient}"


def budget_subjects(assets: Iterable[str], recipients: Iterable[str]) -> tuple[str, ...]:
    """Return the names of all budgets that a release of these assets to these recipients spends of."""
    known = tuple(recipients)
    return tuple(budget_subject(asset, recipient) for asset in assets for recipient in known)


def decimal_text(number: object, *, field: str) -> str:
    """Return a number of a TOML file as decimal text, without exponent. Raises DocumentError."""
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise DocumentError(f"{field}: write a number, such as 0.5 or 1e-6")
    return format(Decimal(repr(number)), "f")


def _rho(epsilon: str, delta: str) -> Fraction:
    try:
        return rho_within(Fraction(epsilon), Fraction(delta))
    except ParameterError as error:
        raise UsageError(f"ε = {epsilon} at δ = {delta}: {error}") from None


def _check_epsilon(text: str, *, field: str) -> None:
    if not 0 < _number(text, field=field) <= LARGEST_EPSILON:
        raise DocumentError(f"{field}: an ε is above 0 and at most {LARGEST_EPSILON}")


def _check_delta(text: str, *, field: str) -> None:
    if not Fraction(1, 2**100) <= _number(text, field=field) <= Fraction(1, 100):
        raise DocumentError(f"{field}: a δ is at most 0.01, and well below one over the number of people")


def _number(text: str, *, field: str) -> Fraction:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or len(text) > _MAX_TEXT or not text.isascii() or text != format(number, "f"):
        raise DocumentError(f"{field}: {text[:_MAX_TEXT]!a} is no decimal number, such as 0.5")
    return Fraction(number)
