"""Membership inference on a model: who was in its training data, judged where false alarms are rare."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng, permutation
from protocols.risk.statistics import Rate
from protocols.risk.verdict import Findings, judge, together

FALSE_POSITIVE_RATES = (0.001, 0.01)
THRESHOLD = 0.05


def membership(
    members: npt.ArrayLike,
    outsiders: npt.ArrayLike,
    *,
    false_positive_rates: Sequence[float] = FALSE_POSITIVE_RATES,
    threshold: float = THRESHOLD,
    rng: Rng | None = None,
) -> Findings:
    """Attack: call a person a member if their score is above a cut that few outsiders pass; one finding a false positive rate.

    members, outsiders: one score a person, higher for "more likely in the training data" (for instance minus the model's
    loss), from an attack that never saw who is who. Half of the outsiders, drawn at random, set the cut; the other half is
    the control group. Guessing: the false positive rate itself. The finding is the true positive rate beyond the control's.
    Source: Carlini and others, "Membership Inference Attacks From First Principles", IEEE S&P 2022.
    """
    inside, outside = (np.asarray(part, dtype=np.float64).reshape(-1) for part in (members, outsiders))
    if len(inside) < 1 or len(outside) < 2 or np.isnan(inside).any() or np.isnan(outside).any():
        raise ParameterError("at least one member's and two outsiders' scores are needed, none of them NaN")
    if not all(0 < rate < 1 for rate in false_positive_rates):
        raise ParameterError("a false positive rate lies between 0 and 1")
    order = permutation(rng or OsRng(), len(outside))
    calibration, control = np.sort(outside[order[::2]]), outside[order[1::2]]
    found = []
    for rate in false_positive_rates:
        allowed = int(rate * len(calibration))
        # With too few outsiders to see the rate at all, the cut is above all of them, and the interval says how little is
        # known.
        cut = calibration[-1 - allowed]
        hits = inside > cut
        found.append(
            judge(
                f"membership at {rate:.1%} false positives",
                Rate(int(hits.sum()), len(inside)),
                control=Rate(int((control > cut).sum()), len(control)),
                baseline=Rate(int(rate * len(inside)), len(inside)),
                threshold=threshold,
                message="" if allowed else f"{len(calibration)} outsiders are too few to set this rate",
                exposed=np.flatnonzero(hits).tolist(),
            )
        )
    return together(found)
