"""Plans that no question makes: an operator writes its own document, and the manager's node compiles the question again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support import agencies, federated, released

import sandbox
from sandbox.embedded import Embedded
from sandbox.errors import Denied
from sandbox.model.expression import ColumnRef, Compare, Literal
from sandbox.model.fit import FitQuestion, KMeans, Logistic, Ridge
from sandbox.model.plan import Parameters, Plan
from sandbox.tasks.explain import Explanation

swap = msgspec.structs.replace


def input_of(plan: Plan, at: int, **changes: Any) -> Plan:
    """The plan with another input `at`."""
    inputs = [swap(entry, **changes) if index == at else entry for index, entry in enumerate(plan.inputs)]
    return swap(plan, inputs=tuple(inputs))


def measure_of(plan: Plan, at: int, **changes: Any) -> Plan:
    """The plan with another first measure of input `at`."""
    first, *others = plan.inputs[at].measures
    return input_of(plan, at, measures=(swap(first, **changes), *others))


AGED = Compare(op=">=", left=ColumnRef(name="age"), right=Literal(type="integer", value="40"))
JOIN: dict[str, Callable[[Plan], Plan]] = {
    "looser rules": lambda plan: swap(plan, rules=swap(plan.rules, dominance_1=None, dominance_2=None, p_percent=None)),
    "rules of another version": lambda plan: swap(plan, rules=swap(plan.rules, version=plan.rules.version + 1)),
    "a profile that nobody knows": lambda plan: swap(plan, rules=swap(plan.rules, profile="own")),
    "bounds that count raw values": lambda plan: measure_of(plan, 1, highest="590"),
    "a bound that packs wrongly": lambda plan: measure_of(plan, 1, bound=3),
    "a coarser unit": lambda plan: measure_of(plan, 1, scale=1000),
    "clipping that nobody declared": lambda plan: measure_of(plan, 1, clip=True),
    "keys that do not repeat": lambda plan: input_of(plan, 1, unique=True),
    "a filter that the text does not show": lambda plan: input_of(plan, 0, filters=(AGED,)),
    "a text that tells of another question": lambda plan: swap(plan, sql=plan.sql.replace("SUM(t.value) AS total", "1")),
    "another text of the same kind": lambda plan: swap(plan, sql=plan.sql.replace("SUM(t.value)", "COUNT(t.value)")),
    "another gate": lambda plan: swap(plan, gate="lab"),
    "text for owners to read": lambda plan: swap(plan, dropped=("lab.tests.value",)),
}
"""How an operator may change the plan of a join that all terms allow."""


@pytest.fixture
def agreed(scratch: Path, in_process: None) -> Iterator[tuple[Embedded, Explanation]]:
    """Two agencies with written terms, and the plan of a question that they allow."""
    with agencies.make(scratch / "w", terms="written") as network:
        columns = {"id": ("join_key",), "sex": ("group",), "age": ("filter",)}
        network.set_policy(agencies.terms("registry.people", columns))
        network.set_policy(agencies.lab_terms())
        explanation = agencies.ask(network)
        assert explanation.decision.allowed
        yield network, explanation


def require_denied(network: Embedded, forged: Plan, act: Callable[[], Any]) -> None:
    """Refused by `question`, logged, and nothing counted or run."""
    before, uses, tasks = agencies.kinds(network), agencies.uses(network), network.manager.records.tasks()
    with pytest.raises(Denied) as caught:
        act()
    blocking = {item.check for item in caught.value.decision.findings if item.verdict != "pass"}
    assert "question" in blocking, blocking
    assert agencies.kinds(network)["request.denied"] == before["request.denied"] + 1
    assert (agencies.uses(network), network.manager.records.tasks()) == (uses, tasks)
    assert not network.manager.judge(forged).allowed


def test_a_plan_that_its_question_does_not_make_is_denied(agreed: tuple[Embedded, Explanation]) -> None:
    network, explanation = agreed
    for name, change in JOIN.items():
        forged = change(explanation.plan)
        assert forged != explanation.plan, name
        require_denied(network, forged, lambda plan=forged: network.approve(plan))  # type: ignore[misc]
    grant = network.approve(explanation)
    require_denied(network, forged, lambda: network.run(forged, grant=grant))


def test_what_a_question_leaves_open_may_differ(agreed: tuple[Embedded, Explanation]) -> None:
    network, explanation = agreed
    plan = swap(explanation.plan, title="another title", parameters=Parameters(key_bits=768, noise="subgroup"))
    assert network.manager.judge(plan).allowed


def test_a_template_covers_no_forged_plan(agreed: tuple[Embedded, Explanation]) -> None:
    network, explanation = agreed
    grant = network.request(explanation, calls=5, by="template")
    for party in grant.grant.signers:
        grant = network.sign(grant.grant.id, party)
    forged = swap(explanation.plan, sql=explanation.plan.sql.replace("SUM(t.value)", "COUNT(t.value)"))
    require_denied(network, forged, lambda: network.run(forged, grant=grant))


def parts(path: Path) -> Embedded:
    """Three parts of a federated table."""
    chance = random.Random(3)
    tables = {
        f"p{at}": {"people": federated.definition(federated.people(chance, 30, range(30 * at, 30 * at + 30)), unique=True)}
        for at in range(3)
    }
    table = sandbox.federation([f"{name}.people" for name in tables])
    return Embedded.create(path, tables, federations={"region.people": table})


FITS = {
    "ridge": FitQuestion(
        estimator=Ridge(), table="region.people", features=("age", "score"), target="income", where="t.age > 5"
    ),
    "logistic": FitQuestion(estimator=Logistic(), table="Region.People", features=("age",), target="sex"),
    "kmeans": FitQuestion(estimator=KMeans(init=((0.0,), (9.0,)), n_clusters=2), table="region.people", features=("age",)),
}


def test_models_and_totals_of_parts(scratch: Path, in_process: None) -> None:
    with parts(scratch / "w") as network:
        total = network.explain("SELECT sex, COUNT(*) AS n, SUM(income) AS s FROM region.people GROUP BY sex", purpose="p")
        assert total.decision.allowed, total.text()
        assert total.plan.federation is not None
        fewer = swap(total.plan, federation=swap(total.plan.federation, disjoint=not total.plan.federation.disjoint))
        for forged in (fewer, measure_of(total.plan, 1, highest="5"), swap(total.plan, groups=())):
            require_denied(network, forged, lambda plan=forged: network.approve(plan))  # type: ignore[misc]
        for question in FITS.values():
            plan = network.explain(question, purpose="p").plan
            assert network.explain(question, purpose="p").decision.allowed
            assert plan.fit is not None
            for at, changed in enumerate(
                (
                    measure_of(plan, 0, highest="5"),
                    swap(plan, rules=swap(plan.rules, model=swap(plan.rules.model, min_degrees_of_freedom=0))),
                    swap(plan, sql=plan.sql.replace("WHERE ", "WHERE (t.age > 0) AND ", 1)),
                    swap(plan, sql=plan.sql.replace(" AND ", " OR ", 1) + " "),
                    swap(plan, fit=None),
                    swap(plan, fit=swap(plan.fit, features=())),
                    swap(plan, federation=None),
                )
            ):
                if at == 0:
                    require_denied(network, changed, lambda plan=changed: network.approve(plan))  # type: ignore[misc]
                assert {item.check: item.verdict for item in network.manager.judge(changed).findings}["question"] == "fail"


def test_released_rows(scratch: Path, in_process: None) -> None:
    with released.network(scratch / "w", released.people(200)) as network:
        plan = released.ask(network).plan
        assert released.ask(network).decision.allowed
        assert plan.release is not None
        assert plan.rules.risk is not None
        columns = tuple(swap(column, may_hold=("email",)) for column in plan.release.columns)
        for changed in (
            swap(plan, rules=swap(plan.rules, risk=swap(plan.rules.risk, k=1, l=1, t="1", linkage="1"))),
            swap(plan, release=swap(plan.release, columns=columns)),
            swap(plan, release=swap(plan.release, label="anonymised")),
            swap(plan, release=swap(plan.release, quasi=(), sensitive=())),
            swap(plan, release=swap(plan.release, rules="[columns")),
        ):
            require_denied(network, changed, lambda plan=changed: network.approve(plan))  # type: ignore[misc]
