"""A few agencies with small tables, a question over them, and what must hold of a network whatever was done to it."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import sandbox
from sandbox.audit.reconcile import reconcile
from sandbox.audit.trust import parse_trust
from sandbox.audit.verify import verify
from sandbox.catalogue import TableDefinition
from sandbox.embedded import Embedded
from sandbox.model.decision import Finding
from sandbox.model.policy import ColumnUses, Policy
from sandbox.node.manager import asset_subject, grant_subject
from sandbox.sources.source import Source
from sandbox.tasks.explain import Explanation
from sandbox.tasks.product import Product

ROWS = 120
PURPOSE = "statistics"
QUESTION = """
SELECT p.sex, COUNT(*) AS n, SUM(t.value) AS total
FROM registry.people p JOIN lab.tests t ON t.id = p.id
GROUP BY p.sex
"""
Tables = Mapping[str, Mapping[str, TableDefinition]]


def people(rows: int = ROWS) -> pd.DataFrame:
    """One row a person: id, sex, age, and a name that nothing declares."""
    return pd.DataFrame(
        {
            "id": range(rows),
            "sex": [row % 2 for row in range(rows)],
            "age": [20 + row * 7 % 60 for row in range(rows)],
            "name": [f"person {row}" for row in range(rows)],
        }
    )


def measurements(rows: int = ROWS) -> pd.DataFrame:
    """One value a person, about as large as the next one's."""
    chance = random.Random(7)
    return pd.DataFrame({"id": range(rows), "value": [chance.randrange(400, 600) for _ in range(rows)]})


def people_table(data: Any = None, **changes: Any) -> TableDefinition:
    fields: dict[str, Any] = {
        "key": "id",
        "key_domain": "person",
        "unique": True,
        "bounds": {"age": (0, 120)},
        "codes": {"sex": [0, 1]},
    }
    return sandbox.table(people() if data is None else data, **(fields | changes))


def lab_table(data: Any = None, **changes: Any) -> TableDefinition:
    fields: dict[str, Any] = {"key": "id", "key_domain": "person", "bounds": {"value": (0, 1000)}}
    return sandbox.table(measurements() if data is None else data, **(fields | changes))


def two() -> Tables:
    """A registry and a laboratory."""
    return {"registry": {"people": people_table()}, "lab": {"tests": lab_table()}}


def make(path: Path, tables: Tables | None = None, **options: Any) -> Embedded:
    """Create or open a network that takes keys of 512 bits."""
    return Embedded.create(path, two() if tables is None else tables, insecure_test_keys=True, **options)


def ask(network: Embedded, sql: str = QUESTION, **options: Any) -> Explanation:
    fields: dict[str, Any] = {"purpose": PURPOSE, "key_bits": 512}
    return network.explain(sql, **(fields | options))


def answer(network: Embedded, sql: str = QUESTION, *, calls: int = 1, **options: Any) -> Product:
    """Ask, approve and run."""
    explanation = ask(network, sql, **options)
    return network.run(explanation, grant=network.approve(explanation, calls=calls))


def terms(asset: str, columns: Mapping[str, tuple[str, ...]], **changes: Any) -> Policy:
    """Written terms that allow the question; `changes` replace fields."""
    fields: dict[str, Any] = {
        "asset": asset,
        "version": 1,
        "purposes": (PURPOSE,),
        "recipients": ("operator",),
        "profiles": ("statistics-controlled",),
        "min_cell": 10,
        "min_list": 100,
        "max_calls": 50,
        "expires": datetime.date(2100, 1, 1),
        "columns": tuple(ColumnUses(column=name, uses=uses) for name, uses in columns.items()),  # type: ignore[arg-type]
    }
    return Policy(**(fields | changes))


def people_terms(**changes: Any) -> Policy:
    return terms("registry.people", {"id": ("join_key",), "sex": ("group",)}, **changes)


def lab_terms(**changes: Any) -> Policy:
    return terms("lab.tests", {"id": ("join_key",), "value": ("sum", "count")}, **changes)


def kinds(network: Embedded) -> Counter[str]:
    """How often each kind of event stands in the log."""
    return Counter(signed.event.kind for signed in network.manager.logbook.events())


def uses(network: Embedded) -> int:
    """How often any grant was used, by the ledger, reserved uses included."""
    subjects = [grant_subject(kept.signed.grant.digest()) for kept in network.manager.records.grants()]
    return sum(network.manager.ledger.usage(subjects).values())


def asset_uses(network: Embedded, asset: str) -> int:
    return network.manager.ledger.usage([asset_subject(asset)])[asset_subject(asset)]


def log_findings(network: Embedded) -> tuple[Finding, ...]:
    """What `reconcile` finds in the whole log, signatures and roles judged by the network's own trust file."""
    trust = parse_trust(network.workspace.trust_file())
    grants = [kept.signed for kept in network.manager.records.grants()]
    events = list(network.manager.logbook.events())
    found = reconcile([signed.leaf() for signed in events], grants=grants, trust=trust)
    return tuple(item for item in found if item.verdict != "pass")


def require_sound(network: Embedded, scratch: Path) -> None:
    """Nothing lost, nothing doubled: uses, tasks, log entries, products and bundles agree, and the evidence verifies."""
    states = Counter(task.state for task in network.manager.records.tasks())
    events = kinds(network)
    products = network.products()
    assert not states["running"]
    assert not states["approved"]
    assert events["product.released"] == states["released"] == len(products)
    assert events["product.withheld"] == states["withheld"]
    assert events["task.aborted"] == states["failed"] + states["cancelled"]
    assert events["task.authorised"] == sum(states.values())
    assert uses(network) == states["released"] + states["withheld"]
    assert not network.manager.ledger.pending()
    assert log_findings(network) == ()
    trust = network.write_trust(scratch / "trust.toml")
    for product in products:
        if not (scratch / product.id).exists():
            product.bundle(scratch / product.id)
        assert verify(scratch / product.id, trust).task == product.id


class Watch:
    """Counts what leaves a provider's disk and what travels between nodes."""

    def __init__(self, monkeypatch: Any) -> None:
        self.queries = 0
        self.frames: list[tuple[str, str, bytes]] = []
        original: Callable[..., Any] = Source.batches

        def batches(source: Source, *arguments: Any, **options: Any) -> Any:
            self.queries += 1
            return original(source, *arguments, **options)

        monkeypatch.setattr(Source, "batches", batches)

    def on_frame(self, sender: str, recipient: str, frame: bytes) -> None:
        self.frames.append((sender, recipient, frame))

    @property
    def idle(self) -> bool:
        """True if nothing was read and nothing was sent."""
        return not self.queries and not self.frames


class Hand:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.time = datetime.datetime.now(datetime.UTC).replace(microsecond=0)

    def __call__(self) -> datetime.datetime:
        return self.time

    def turn(self, **step: float) -> None:
        self.time += datetime.timedelta(**step)
