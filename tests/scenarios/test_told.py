"""What is told before a task ends: weights of a fit that is stopped, faults of chosen rows, sums side by side."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support import agencies, federated

import sandbox
from protocols.errors import Cancelled
from sandbox.audit.reconcile import reconcile
from sandbox.embedded import Embedded
from sandbox.errors import SourceError, StateError, Withheld
from sandbox.model.fit import FitQuestion, Logistic
from sandbox.node import computation
from sandbox.node.manager import ManagerNode

pytestmark = pytest.mark.usefixtures("in_process")
PEOPLE = 40


def parts(path: Path, number: int = 4, *, odd: tuple[str, int, Any] | None = None) -> Embedded:
    """Parts of a federated table. odd: in the first one, the value of a column in a row."""
    chance, tables = random.Random(5), {}
    for at in range(number):
        rows = federated.people(chance, PEOPLE, range(1000 * at, 1000 * at + PEOPLE)).to_pylist()
        for place, row in enumerate(rows):
            row["id"] = 1000 * at + place
            row |= {"sex": row["id"] % 2, "age": 20 + row["id"] % 40, "score": (row["id"] % 7) / 8}
        if odd is not None and at == 0:
            column, place, value = odd
            rows[place][column] = value
        schema = federated.people(chance, 1, [0]).schema
        tables[f"p{at}"] = {"people": federated.definition(pa.Table.from_pylist(rows, schema=schema), unique=True)}
    table = sandbox.federation([f"{name}.people" for name in tables], min_parties=3)
    return Embedded.create(path, tables, federations={federated.NAME: table})


def fit(network: Embedded, where: str, *, stop_after: str = "", title: str = "", played: list[str] | None = None) -> Any:
    """Fit a classifier: in round 0 its rows are counted, from round 1 on weights are told.

    stop_after: the begin of a step's name. played: gets the rounds that were played.
    """
    question = FitQuestion(
        estimator=Logistic(max_iter=6), table=federated.NAME, features=("age", "score"), target="sex", where=where
    )
    explanation, steps = network.explain(question, purpose="research", title=title), [] if played is None else played
    return network.run(
        explanation,
        grant=network.approve(explanation),
        on_progress=lambda step, done, total: steps.append(step) if step.startswith("round") else None,
        is_stopped=lambda: bool(stop_after) and any(step.startswith(stop_after) for step in steps),
        timeout_s=20,
    )


def stopped(network: Embedded) -> None:
    """A fit whose operator stops it once weights came by, which it has seen then."""
    with pytest.raises(Cancelled):
        fit(network, "age >= 20", stop_after="round 2")


def test_weights_of_a_fit_that_was_stopped_are_part_of_the_history(scratch: Path) -> None:
    with parts(scratch / "w") as network:
        stopped(network)
        assert (len(network.products()), agencies.uses(network)) == (0, 1)
        # Four people less: the difference would be theirs, and no weights leave.
        played: list[str] = []
        with pytest.raises(Withheld, match="too few people or parts"):
            fit(network, "age >= 21", played=played)
        assert agencies.uses(network) == 2
        # Nor over one part less, under another name of the plan; nor a table of the rows in between.
        network.cut_line("p3", after="advertise", in_round=0)
        with pytest.raises(Withheld, match=r"fewer than 3|too few people or parts"):
            fit(network, "age >= 20", title="another title", played=played)
        assert {step.split(":")[0] for step in played} == {"round 0"}
        network.cut_line("p3", after=None)
        sql = f"SELECT COUNT(*) AS n FROM {federated.NAME} t WHERE age >= 21 AND score IS NOT NULL AND sex IS NOT NULL"
        explanation = network.explain(sql, purpose="research")
        with pytest.raises(Withheld, match="1 withheld; 1 comparable"):
            network.run(explanation, grant=network.approve(explanation), timeout_s=20)
        agencies.require_sound(network, scratch)


def test_the_same_rows_again_tell_nothing_new(scratch: Path) -> None:
    with parts(scratch / "w") as network:
        stopped(network)
        product = fit(network, "age >= 20")
        assert product.card.model is not None
        assert fit(network, "age >= 20").rows()
        agencies.require_sound(network, scratch)


def test_who_kills_a_fit_after_weights_were_told_has_used_it(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process leaves it that is killed there: nothing of its end was written."""

    def dead(*_: Any, **__: Any) -> None:
        raise StateError("the process is gone")

    with parts(scratch / "w") as network:
        with monkeypatch.context() as patch:
            patch.setattr(computation, "withhold", dead)
            patch.setattr(ManagerNode, "abort", dead)
            stopped(network)
        assert [task.state for task in network.manager.records.tasks()] == ["running"]
    with parts(scratch / "w") as network:
        assert [task.state for task in network.manager.records.tasks()] == ["failed"]
        assert agencies.uses(network) == 1
        events = list(network.manager.logbook.events())
        (aborted,) = (signed.event for signed in events if signed.event.kind == "task.aborted")
        assert aborted.about("decision")
        assert agencies.log_findings(network) == ()
        # The log alone says it too: one more use of a grant for one would be one too many.
        grants = [kept.signed for kept in network.manager.records.grants()]
        (authorised,) = (signed for signed in events if signed.event.kind == "task.authorised")
        again = network.manager.event(
            "task.authorised",
            task="task-again",
            subjects={item.role: item.digest for item in authorised.event.subjects},
            cites=authorised.event.cites,  # type: ignore[arg-type]
        )
        found = reconcile([*(signed.leaf() for signed in events), again.leaf()], grants=grants)
        assert "reconcile.over-use" in {item.check for item in found if item.verdict == "fail"}


def test_two_runs_at_once_never_sum_one_input_over_two_sets_of_parts(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second run read the history before the first one kept its sum."""
    sql = f"SELECT COUNT(*) AS n FROM {federated.NAME}"
    with parts(scratch / "w", 7) as network:
        explanation = network.explain(sql, purpose="research")
        grant = network.approve(explanation, calls=2)
        assert network.run(explanation, grant=grant, timeout_s=20).rows()
        monkeypatch.setattr(type(network.manager.records), "sums", lambda self, inputs: {})
        network.cut_line("p3", after="share")
        with pytest.raises(StateError, match="over other parts meanwhile"):
            network.run(explanation, grant=grant, timeout_s=20)
        assert agencies.uses(network) == 1
        agencies.require_sound(network, scratch)


ODD: dict[str, tuple[tuple[str, int, Any], str, str]] = {
    "beyond its bounds": (("income", 7, 99_000), "SUM(income)", "values are beyond the declared bounds"),
    "no key": (("id", 7, None), "COUNT(*)", "rows have no key"),
    "beyond its code list": (("zone", 7, "elsewhere"), "COUNT(zone)", "code list"),
}


@pytest.mark.parametrize("name", ODD)
def test_filters_cannot_count_rows_that_are_not_as_declared(name: str, scratch: Path) -> None:
    odd, aggregate, _ = ODD[name]
    group = ", zone" if odd[0] == "zone" else ""

    def ask(network: Embedded, where: str) -> Callable[[], Any]:
        grouped = "GROUP BY zone" if group else ""
        sql = f"SELECT {aggregate} AS n{group} FROM {federated.NAME} t {where} {grouped}"
        explanation = network.explain(sql, purpose="research")
        grant = network.approve(explanation)
        return lambda: network.run(explanation, grant=grant, timeout_s=20)

    with parts(scratch / "w", odd=odd) as network:
        with pytest.raises(SourceError, match="fewer than 10"):
            ask(network, "WHERE age BETWEEN 20 AND 40")()
        # It told that somebody of that age is not as declared: that costs, and the log says so.
        assert agencies.uses(network) == 1
        (aborted,) = (item.event for item in network.manager.logbook.events() if item.event.kind == "task.aborted")
        assert aborted.about("decision")
        # What is so whatever is asked is said as it is, and costs nothing.
        with pytest.raises(SourceError, match=r"people.*: 1 "):
            ask(network, "")()
        assert agencies.uses(network) == 1
        assert agencies.log_findings(network) == ()
