"""A model fitted over the parts of a federated table as a task's method: its steps, a round's parameters, who learns what."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols import aggregation
from protocols.disclosure import Disclosure, Learned
from sandbox.errors import SourceError, UsageError
from sandbox.gate.labels import from_literal
from sandbox.learn.parts import Part, Scale, scale_within
from sandbox.learn.request import Request
from sandbox.learn.steps import Fit, KMeansFit, LinearFit, LogisticFit, PCAFit, ScalerFit
from sandbox.model.canonical import digest
from sandbox.model.fit import PCA, FitSpec, KMeans, Linear, Logistic, ModelRules, Ridge
from sandbox.model.plan import Measure, Plan
from sandbox.tasks.adding import BYTES_PER_NEIGHBOUR, federation_of
from sandbox.tasks.method import Cost, Method
from sandbox.tasks.models.measuring import measure_model

LARGEST_SUM = (1 << 63) - 1
MAX_NUMBERS = 1 << 27
"""Of one part's rows in memory: a gibibyte."""


def spec_of(plan: Plan) -> tuple[FitSpec, ModelRules]:
    """Return what a plan fits, and the rules. Raises UsageError for a plan that fits nothing, or by no rules."""
    if plan.fit is None or plan.rules.model is None:
        raise UsageError("the plan fits no model, or under a profile without rules for models")
    return plan.fit, plan.rules.model


def steps_of(plan: Plan, *, at_gate: bool = False) -> Fit:
    """Return the steps of a plan's fit, scaled by the declared bounds, alike at the gate, which runs them, and at the parts."""
    spec, _ = spec_of(plan)
    measures = plan.inputs[0].measures
    features = _scale(measures[: len(spec.features)])
    match spec.estimator:
        case Linear() | Ridge():
            return LinearFit(spec.estimator, features, _scale(measures[len(spec.features) :]))
        case Logistic():
            return LogisticFit(spec.estimator, features, np.arange(len(spec.classes)))
        case KMeans():
            drawn = at_gate and spec.estimator.init is None
            return KMeansFit(spec.estimator, features, _normal(spec.estimator.random_state) if drawn else None)
        case PCA():
            return PCAFit(spec.estimator, features)
        case _:
            return ScalerFit(features)


def overlap_of(plan: Plan, parts: int) -> int:
    """Return in how many of these parts one person may have a row."""
    federation_of(plan)
    return plan.overlap(parts)


def part_sample(plan: Plan, index: int, batches: Iterable[Any]) -> Part:
    """Return a part's rows from its fragment's batches: v_* as features and target, group_0 as the class's number.

    Private to the part. Raises SourceError for more numbers than fit memory, and for labels beyond the declared classes.
    """
    spec, _ = spec_of(plan)
    entry = plan.inputs[index]
    table = pa.Table.from_batches(batches)
    names = [f"v_{at}" for at in range(len(entry.measures))]
    if len(table) * (len(names) + 1) > MAX_NUMBERS:
        raise SourceError(f"{entry.asset}: {len(table)} rows of {len(names)} columns do not fit memory; fit on fewer")
    values = np.column_stack([table.column(name).to_numpy() for name in names])
    y: npt.NDArray[Any] | None = None
    if spec.classes:
        places = {from_literal(label): place for place, label in enumerate(spec.classes)}
        labels = [places.get(label) for label in table.column("group_0").to_pylist()]
        if unknown := labels.count(None):
            told = plan.rows_told(entry, unknown)
            raise SourceError(f"{entry.asset}: {told} rows have classes beyond the declared codes; correct one of them")
        y = np.array(labels, dtype=np.int64)
    elif spec.target is not None:
        y = values[:, len(spec.features)]
    return Part(name=entry.provider, X=np.ascontiguousarray(values[:, : len(spec.features)]), y=y)


def round_params(
    plan: Plan,
    number: int,
    request: Request,
    *,
    session: bytes,
    keys: Mapping[str, bytes],
    gate_key: bytes,
    parties: Iterable[str],
) -> aggregation.SumParams:
    """Return the parameters of one round over the parties that are left. keys: Ed25519 public key of each provider."""
    living = {name: keys[name] for name in parties}
    return aggregation.plan_sum(
        living,
        operator=plan.operator,
        gate=plan.gate,
        gate_key=gate_key,
        length=1 + request.length,
        bound=LARGEST_SUM // max(1, len(living)),
        session=session,
        plan=plan.digest(),
        inputs=inputs_name(plan, number, request),
        round_number=number,
        min_parties=fewest_parties(plan),
        state=request.encode(),
        cipher=plan.parameters.cipher,
    )


def inputs_name(plan: Plan, number: int, request: Request) -> str:
    """Return what a round sums, for the gate's rule that the same inputs are never summed over two sets of survivors."""
    state = hashlib.sha256(request.encode()).hexdigest()
    return digest({"plan": plan.digest(), "round": number, "request": state})


def fewest_parties(plan: Plan) -> int:
    """Return how many parties every sum needs by the profile's and the owners' word."""
    return max(federation_of(plan).min_parties, spec_of(plan)[1].min_parties)


def first_params(plan: Plan) -> aggregation.SumParams:
    """Return the parameters of the first round over all parts, with stand-ins for keys that only a session makes."""
    names = [entry.provider for entry in plan.inputs]
    keys = {name: hashlib.sha256(name.encode()).digest() for name in (*names, plan.gate)}
    request = Request(statistic="rows")
    return round_params(plan, 0, request, session=bytes(16), keys=keys, gate_key=keys[plan.gate], parties=names)


def fewest_parts(plan: Plan) -> int:
    """Return how many parts the first round needs to the end."""
    params = first_params(plan)
    return max(params.min_parties, params.threshold)


def most_rounds(plan: Plan) -> int:
    """Return how many sums the fit can take."""
    spec, _ = spec_of(plan)
    match spec.estimator:
        case Logistic(max_iter=most):
            return 1 + most
        case KMeans(max_iter=most):
            return 2 + most
        case _:
            return 2


def largest_vector(plan: Plan) -> int:
    """Return how many numbers the longest vector of the fit has."""
    spec, _ = spec_of(plan)
    width = len(plan.inputs[0].measures)
    products = 1 + width + width * (width + 1) // 2
    match spec.estimator:
        case Logistic(fit_intercept=intercept):
            weights = (len(spec.features) + int(intercept)) * (1 if len(spec.classes) == 2 else len(spec.classes))
            return 2 + weights + weights * (weights + 1) // 2
        case KMeans(n_clusters=clusters):
            return max(products, 2 + clusters * (width + 1))
        case _:
            return products


def _scale(measures: tuple[Measure, ...]) -> Scale:
    largest = [max(abs(Fraction(item.lowest or 0)), abs(Fraction(item.highest or 0))) for item in measures]
    return scale_within(np.array([float(bound) or 1.0 for bound in largest]), declared=True)


def _normal(seed: int) -> Any:
    try:
        from sklearn.utils import check_random_state
    except ImportError:
        raise UsageError("k-means draws its first centres by scikit-learn: give init, or install the extra `learn`") from None
    source = check_random_state(seed)
    return lambda shape: np.asarray(source.normal(size=shape))


def _disclosure(plan: Plan) -> Disclosure:
    """The first round's, in words for all rounds, and the weights or centres that go round."""
    found = aggregation.disclosure(first_params(plan))
    rounds, longest = most_rounds(plan), largest_vector(plan)
    words = {
        ("operator", "vector_length"): f"the vectors' length in each of at most {rounds} rounds, at most {longest} numbers",
        ("gate", "released_aggregate"): f"every round's sums over those left, at least {fewest_parts(plan)} parties at first: "
        "more than the model says",
    }
    learned = [dataclasses.replace(item, about=words.get((item.who, item.fact), item.about)) for item in found.learned]
    if rounds > 2:
        about = "weights or centres of every round, before the gate has judged the model"
        learned += [Learned(who=who, fact="intermediate_model", about=about) for who in ("provider", "operator")]
    return dataclasses.replace(found, protocol="fit/1", learned=tuple(learned))


def _title(plan: Plan) -> str:
    spec, federation = spec_of(plan)[0], federation_of(plan)
    people = "disjoint" if federation.disjoint else "that may share people"
    target = "" if spec.target is None else f" of {spec.target}"
    return (
        f"{spec.kind}{target} over {', '.join(spec.features)}, fitted by secure aggregation over {len(plan.inputs)} parts of "
        f"{federation.name}, {people}, masks by {plan.parameters.cipher} (fit/1)"
    )


def _cost(plan: Plan) -> tuple[Cost, ...]:
    params, rounds, longest = first_params(plan), most_rounds(plan), largest_vector(plan)
    size = rounds * (longest * 8 + params.neighbours * BYTES_PER_NEIGHBOUR)
    what = f"at most {rounds} rounds of at most {longest} masked numbers, shares for {params.neighbours} neighbours"
    return (Cost(provider="each part", what=what, bytes=size, per="session"),)


METHOD = Method(disclosure=_disclosure, cost=_cost, title=_title, measure=measure_model, attack=None, fewest=fewest_parts)
