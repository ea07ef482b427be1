"""A runner's path: terms, grant, ledger. Counted use, revocation in mid-job and a clock set back, end to end."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from support.policy_cases import DAY, IDENTITIES, NOW, granted, parties, plan, policies, question

from sandbox.errors import Denied
from sandbox.ledger import Ledger, Limit, Store, open_store
from sandbox.model.grant import Revocation, SignedGrant, SignedRevocation
from sandbox.policy import check_grant, decide


class Runner:
    """What connects the siblings: it alone knows both, and passes values."""

    def __init__(self, store: Store, grant: SignedGrant) -> None:
        self.ledger = Ledger(store)
        self.signed = grant
        self.digest = grant.grant.digest()
        self.revocations: list[SignedRevocation] = []

    @property
    def limits(self) -> list[Limit]:
        grant = self.signed.grant
        own = Limit(subject=f"grant:{self.digest}", calls=grant.calls, not_before=grant.not_before, expires=grant.expires)
        return [own, *(Limit(subject=f"asset:{policy.asset}", calls=policy.max_calls) for policy in policies())]

    def judge(self, wall: datetime.datetime) -> None:
        now = self.ledger.now(wall)
        used = self.ledger.usage(limit.subject for limit in self.limits)
        asked = question()
        calls = {name: used[f"asset:{name}"] for name in asked.history.calls}
        history = type(asked.history)(
            assets=asked.history.assets, calls=calls, parties=asked.history.parties, disclosure=asked.history.disclosure
        )
        usage = {self.digest: used[f"grant:{self.digest}"]}
        for decision in (
            decide(plan(), policies(), history, now),
            check_grant(plan(), self.signed, revocations=self.revocations, parties=parties(), now=now, usage=usage),
        ):
            if not decision.allowed:
                raise Denied(decision)

    def begin(self, task: str, wall: datetime.datetime = NOW) -> None:
        self.judge(wall)
        with self.ledger.transaction(wall) as transaction:
            transaction.reserve(task, task=task, run="run", limits=self.limits)
            transaction.enqueue(f"{task}/reserved", task.encode())

    def finish(self, task: str, wall: datetime.datetime = NOW) -> None:
        with self.ledger.transaction(wall) as transaction:
            transaction.commit(task)
            transaction.enqueue(f"{task}/committed", task.encode())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(open_store(tmp_path / "state.db"), granted())


def test_three_calls_and_no_fourth(runner: Runner) -> None:
    for task in ("t1", "t2", "t3"):
        runner.begin(task)
        runner.finish(task)
    with pytest.raises(Denied, match="used up: 3 of 3"):
        runner.begin("t4")
    log: list[str] = []
    runner.ledger.deliver(lambda row: log.append(row.key), NOW)
    assert log == [f"t{task}/{what}" for task in (1, 2, 3) for what in ("reserved", "committed")]


def test_two_runs_that_were_both_judged_share_the_last_call(runner: Runner) -> None:
    runner.begin("t1")
    runner.begin("t2")
    runner.judge(NOW)
    runner.begin("t3")
    with runner.ledger.transaction(NOW) as transaction, pytest.raises(Denied, match="none is left"):
        transaction.reserve("t4", task="t4", run="run", limits=runner.limits)


def test_a_revocation_stops_a_job_that_runs(runner: Runner) -> None:
    runner.begin("t1")
    word = Revocation(version=1, grant=runner.digest, by="lab", at=NOW, reason="patients objected")
    runner.revocations.append(SignedRevocation.sign(word, IDENTITIES["lab"]))
    with runner.ledger.transaction(NOW) as transaction:
        transaction.revoke(f"grant:{runner.digest}", reason=word.reason)
    assert runner.ledger.revoked(limit.subject for limit in runner.limits) == {f"grant:{runner.digest}": "patients objected"}
    with pytest.raises(Denied, match="patients objected"):
        runner.finish("t1")
    with pytest.raises(Denied, match="revoked by lab"):
        runner.begin("t2")


def test_an_expired_grant_stays_expired(runner: Runner) -> None:
    with pytest.raises(Denied, match="expired"):
        runner.begin("t1", NOW + 29 * DAY)
    with pytest.raises(Denied, match="expired"):
        runner.begin("t1", NOW)
