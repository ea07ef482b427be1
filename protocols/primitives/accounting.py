"""What noise costs in privacy: zero-concentrated differential privacy (zCDP), added up exactly, read as (ε, δ).

A release's cost is ρ, a rational. Costs of releases that are chosen one after the other, each in view of the earlier ones,
add up, and stopping before their sum passes a total keeps that total (Feldman, Zrnic 2021; Whitehouse et al. 2023). That
is why ρ is what a ledger counts: tighter accounts (PLD) hold for mechanisms fixed beforehand, not for an open-ended list.

Sources: Bun, Steinke 2016 (zCDP; ε-DP is ε²/2-zCDP); Canonne, Kamath, Steinke 2020 (discrete Gaussian; conversion to (ε, δ));
Kairouz, Liu, Steinke 2021, theorem 1 (sums of discrete Gaussians). The conversion is dp-accounting's, from the extra
`privacy`; nothing else here needs it.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache
from typing import Any

from protocols.errors import ParameterError

UNIT = Fraction(1, 2**40)
"""Ledgers count ρ in whole units of 2^-40, costs rounded up and budgets rounded down."""

MAX_EPSILON = 64
MIN_DELTA = Fraction(1, 2**100)

_DIGITS = 10**6


def units_up(rho: Fraction) -> int:
    """Return a cost in whole units, rounded up."""
    return math.ceil(rho / UNIT)


def units_down(rho: Fraction) -> int:
    """Return a budget in whole units, rounded down."""
    return math.floor(rho / UNIT)


def gaussian_cost(sensitivity: Fraction | int, variance: Fraction | int) -> Fraction:
    """Return ρ of discrete Gaussian noise on an integer query of that L2-sensitivity: Δ² / (2·variance), exact."""
    if sensitivity < 0 or variance <= 0:
        raise ParameterError("a sensitivity is 0 or above, a variance above 0")
    return Fraction(sensitivity) ** 2 / (2 * Fraction(variance))


def laplace_cost(epsilon: Fraction | int) -> Fraction:
    """Return ρ of an ε-differentially private release, such as discrete Laplace noise of scale Δ/ε: ε²/2, exact."""
    if epsilon < 0:
        raise ParameterError("ε is 0 or above")
    return Fraction(epsilon) ** 2 / 2


def distributed_cost(sensitivity: Fraction | int, share_variance: Fraction | int, *, shares: int, length: int) -> Fraction:
    """Return ρ of a sum in which `shares` independent discrete Gaussians of that variance stand, rounded up.

    length: numbers in the vector. The sum of discrete Gaussians is no discrete Gaussian, only close to one: with
    τ = 10·Σ_{k<shares} exp(−2π²·v·k/(k+1)), ρ = ε²/2 for ε = min(√(Δ²/(shares·v) + τ·length/2), Δ/√(shares·v) + τ·√length).
    From v = 4 on, τ is below 1e-16·shares. Only shares that the adversary does not know count, so leave colluding parties' out.
    Source: Kairouz, Liu, Steinke, *The Distributed Discrete Gaussian Mechanism* (ICML 2021), theorem 1.
    """
    if shares < 1 or length < 1:
        raise ParameterError("at least one share and one number")
    alone = gaussian_cost(sensitivity, shares * Fraction(share_variance))
    terms = (math.exp(-2 * math.pi**2 * float(share_variance) * k / (k + 1)) for k in range(1, shares))
    tau = _above(10 * math.fsum(terms))
    if tau == 0:
        return alone
    squared = 2 * alone
    apart = (_above(math.sqrt(squared)) + tau * _above(math.sqrt(length))) ** 2
    return min(squared + tau * length / 2, apart) / 2


def epsilon_of(rho: Fraction, delta: Fraction) -> float:
    """Return the ε for which ρ-zCDP implies (ε, δ)-differential privacy; 0 for no cost. Needs the extra `privacy`."""
    _check_delta(delta)
    if rho < 0:
        raise ParameterError("ρ is 0 or above")
    return _epsilon(float(rho), float(delta)) if rho else 0.0


@cache
def rho_within(epsilon: Fraction, delta: Fraction) -> Fraction:
    """Return the largest ρ, in whole units, that implies (ε, δ)-differential privacy. Needs the extra `privacy`.

    Raises ParameterError unless 0 < ε ≤ 64 and 2^-100 ≤ δ < 1, and where not even one unit fits.
    """
    _check_delta(delta)
    if not 0 < epsilon <= MAX_EPSILON:
        raise ParameterError(f"ε is above 0 and at most {MAX_EPSILON}")
    low, high = 0, units_up(Fraction(MAX_EPSILON))
    while high - low > 1:
        middle = (low + high) // 2
        if epsilon_of(middle * UNIT, delta) <= epsilon:
            low = middle
        else:
            high = middle
    if low == 0:
        raise ParameterError("no noise is enough for this ε and δ: ask for a larger ε")
    return low * UNIT


def _epsilon(rho: float, delta: float) -> float:
    dp_event, accountant = _accounting()
    return float(accountant.compose(dp_event.ZCDpEvent(rho)).get_epsilon(delta))


def _accounting() -> tuple[Any, Any]:
    try:
        from dp_accounting import dp_event
        from dp_accounting.rdp import RdpAccountant
    except ModuleNotFoundError as error:
        raise ParameterError(f"accounting needs the package {error.name}: install the extra `privacy`") from None
    return dp_event, RdpAccountant(_orders())


@cache
def _orders() -> tuple[float, ...]:
    """Rényi orders from 1.001 to 10^7, 4 % apart in α − 1: any finite set gives an upper bound, this one to 4 digits."""
    return tuple(1 + 0.001 * 1.04**step for step in range(590))


def _above(number: float) -> Fraction:
    """A rational a little above a float that was rounded."""
    return Fraction(number) * Fraction(_DIGITS + 1, _DIGITS)


def _check_delta(delta: Fraction) -> None:
    if not MIN_DELTA <= delta < 1:
        raise ParameterError("δ is at least 2^-100 and below 1; take less than one over the number of people")
