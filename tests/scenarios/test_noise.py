"""Noise over a federated table: answers near the truth, budgets that end, and nothing exact where the parts add the noise."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

import sandbox
from protocols.primitives.accounting import rho_within, units_up
from sandbox.embedded import Embedded
from sandbox.errors import Denied, QuestionError
from sandbox.model.plan import Plan
from sandbox.model.policy import Policy, policy_from_toml
from sandbox.model.privacy import budget_subject
from sandbox.node import added
from sandbox.tasks.adding import planned_params, shares_of
from sandbox.tasks.noised import noise_of
from sandbox.tasks.totals import layout_of

pytest.importorskip("dp_accounting", reason="the extra `privacy` is not installed")
pytestmark = pytest.mark.usefixtures("in_process")

PARTS, PEOPLE = 4, 400
NAME = "census.people"
QUESTION = f"SELECT sex, COUNT(*) AS n, SUM(income) AS total, AVG(income) AS mean FROM {NAME} t GROUP BY sex ORDER BY sex"
PROFILES = ["statistics-noised", "statistics-noised-shares", "statistics-noised-laplace"]
DELTA = Fraction(1, 10**6)
RELEASE = rho_within(Fraction(1), DELTA)
LAPLACE = Fraction(1, 8)  # ρ of ε = 1/2


def frame(part: int) -> pd.DataFrame:
    chance = random.Random(part)
    ids = range(1000 * part, 1000 * part + PEOPLE)
    # Two rows of a third sex: far below the threshold, in the exact counts as in the noisy ones.
    sexes = [2 if part == 0 and index < 2 else chance.randrange(2) for index in range(PEOPLE)]
    return pd.DataFrame({"id": ids, "sex": sexes, "income": [chance.randint(0, 100) for _ in ids]})


FRAMES = [frame(part) for part in range(PARTS)]


def network(path: Path, *, disjoint: bool = True, **changes: Any) -> Embedded:
    fields: dict[str, Any] = {"key": "id", "key_domain": "person", "bounds": {"income": (0, 100)}, "codes": {"sex": [0, 1, 2]}}
    fields |= {"unique": True} | changes
    providers = {f"p{part}": {"people": sandbox.table(data, **fields)} for part, data in enumerate(FRAMES)}
    table = sandbox.federation([f"{name}.people" for name in providers], disjoint=disjoint)
    return Embedded.create(path, providers, federations={NAME: table})


def ask(found: Embedded, profile: str, sql: str = QUESTION) -> sandbox.Product:
    explanation = found.explain(sql, purpose="statistics", profile=profile)
    return found.run(explanation, grant=found.approve(explanation))


def sigma(found: Embedded, profile: str) -> list[float]:
    """Standard deviations of the noise on a count and on a sum, from the plan."""
    plan = found.explain(QUESTION, purpose="statistics", profile=profile).plan
    if profile == PROFILES[0]:
        variances = noise_of(plan, shares=1).variances
    elif profile == PROFILES[2]:
        variances = tuple(2 * scale**2 for scale in noise_of(plan, shares=1).scales)
    else:
        variances = tuple(v * PARTS for v in noise_of(plan, shares=shares_of(planned_params(plan))).variances)
    return [float(variances[0]) ** 0.5, float(variances[-1]) ** 0.5]


def terms(part: int, *, per_release: float = 1, total: float = 4) -> Policy:
    text = f"""
        asset = "p{part}.people"
        purposes = ["statistics"]
        recipients = ["operator"]
        profiles = ["statistics-controlled", "statistics-noised", "statistics-noised-shares"]
        min_cell = 10
        min_list = 100
        max_calls = 50
        expires = 2099-12-31
        [columns]
        id = ["count"]
        sex = ["group", "filter"]
        income = ["count", "sum", "mean"]
        [privacy]
        epsilon_per_release = {per_release}
        epsilon_total = {total}
        delta = 1e-6
    """
    return policy_from_toml(text, version=1)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_noisy_answer_is_near_the_truth_and_not_the_truth(profile: str, tmp_path: Path) -> None:
    truth = pd.concat(FRAMES).groupby("sex")["income"].agg(["count", "sum"])
    with network(tmp_path / "w") as found:
        product = ask(found, profile)
        deviations = sigma(found, profile)
        spent = found.manager.ledger.spent([budget_subject("p0.people", "operator")])
        bundle = product.bundle(tmp_path / "bundle")
        assert sandbox.verify(bundle, trust=found.write_trust(tmp_path / "trust.toml"))
    shown = {row[0]: row[1:] for row in product.rows() if row[1] is not None}
    assert set(shown) == {0, 1}
    errors = []
    for sex, (count, total, mean) in shown.items():
        errors += [count - truth["count"][sex], int(total) - truth["sum"][sex]]
        assert abs(errors[-2]) < 12 * deviations[0]
        assert abs(errors[-1]) < 12 * deviations[1]
        assert mean == pytest.approx(truth["sum"][sex] / truth["count"][sex], rel=0.2)
    assert any(errors), "no noise"
    assert ("ε = 0.5, without a δ" if profile == PROFILES[2] else "ε = 1 at δ = 0.000001") in product.card.method
    assert ("in shares" in product.card.method) == (profile == PROFILES[1])
    assert list(spent.values()) == [units_up(LAPLACE if profile == PROFILES[2] else RELEASE)]


def test_where_parts_add_the_noise_the_gate_never_sees_the_sum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out of the secure sum is noisy already, and holds no number that stays exact."""
    seen: list[tuple[Plan, np.ndarray[Any, Any]]] = []
    real = added.totals_table

    def spy(plan: Plan, totals: Any, parts: Any) -> Any:
        seen.append((plan, totals))
        return real(plan, totals, parts)

    monkeypatch.setattr(added, "totals_table", spy)
    monkeypatch.setattr(added, "with_noise", None)
    with network(tmp_path / "w") as found:
        ask(found, PROFILES[1])
    plan, totals = seen[0]
    layout = layout_of(plan)
    cells = totals.reshape(layout.cells, layout.width)
    at = np.cumsum([0, *(entry.digits for entry in layout.entries)])[:-1]
    columns = {entry.column: cells[:, first] for entry, first in zip(layout.entries, at, strict=True)}
    exact = pd.concat(FRAMES)["sex"].value_counts().sort_index().to_list()
    assert not columns["persons"].any()
    assert not columns["z_0"].any()
    assert [int(number) for number in columns["m"][:3]] != exact
    # Nobody has an empty sex (the last cell): an exact vector would say 0 there.
    assert columns["s_0"][-1] != 0


def test_the_budget_ends_and_exact_answers_are_refused_beside_it(tmp_path: Path) -> None:
    fits = int(rho_within(Fraction(6, 5), DELTA) // RELEASE)
    with network(tmp_path / "w") as found:
        for part in range(PARTS):
            found.set_policy(terms(part, total=1.2))
        with pytest.raises(Denied, match="releases it with noise only"):
            ask(found, "statistics-controlled")
        for _ in range(fits):
            ask(found, PROFILES[0])
        with pytest.raises(Denied, match="does not hold another release"):
            ask(found, PROFILES[1])
        # The owner allows more, and it goes on where it stopped.
        for part in range(PARTS):
            found.set_policy(msgspec.structs.replace(terms(part, total=4), version=2))
        ask(found, PROFILES[1])
        spent = found.manager.ledger.spent([budget_subject("p2.people", "operator")])
    assert fits == 1
    assert list(spent.values()) == [(fits + 1) * units_up(RELEASE)]


def test_an_owner_who_allows_less_for_one_release_denies_the_profile(tmp_path: Path) -> None:
    with network(tmp_path / "w") as found:
        for part in range(PARTS):
            found.set_policy(terms(part, per_release=0.5 if part == 3 else 1))
        with pytest.raises(Denied, match=r"spends ε = 1; the owner of p3\.people allows 0\.5"):
            ask(found, PROFILES[0])


@pytest.mark.parametrize(
    ("sql", "changes", "problem"),
    [
        (f"SELECT VAR_SAMP(income) AS v FROM {NAME} t", {}, "only COUNT"),
        (f"SELECT COUNT(DISTINCT id) AS n FROM {NAME} t", {}, "only COUNT"),
        (QUESTION, {"unique": False}, "does not declare its key unique"),
        ("SELECT COUNT(*) AS n FROM p0.people a JOIN p1.people b ON a.id = b.id", {}, "which joined tables do not take"),
    ],
)
def test_what_noise_cannot_answer_is_refused_when_it_is_asked(
    sql: str, changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    with network(tmp_path / "w", **changes) as found, pytest.raises(QuestionError, match=problem):
        found.explain(sql, purpose="statistics", profile=PROFILES[0])


def test_people_who_may_be_in_several_parts_get_more_noise(tmp_path: Path) -> None:
    with network(tmp_path / "a") as apart, network(tmp_path / "b", disjoint=False) as shared:
        narrow, wide = sigma(apart, PROFILES[0]), sigma(shared, PROFILES[0])
    assert wide == pytest.approx([PARTS * each for each in narrow], rel=1e-3)
