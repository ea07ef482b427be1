"""A registry of people and rules to release it by; and an oracle of k, ℓ and t in pandas."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import sandbox
from sandbox.embedded import Embedded
from sandbox.tasks.explain import Explanation
from sandbox.tasks.product import Product

PURPOSE = "research"
ASSET = "registry.people"
ROWS = 3000
BOUNDS = {"age": (0, 120), "weight": (0, 400)}
ROLES = {
    "age": "quasi_identifier",
    "town": "quasi_identifier",
    "ill": "sensitive",
    "name": "direct_identifier",
    "note": "other",
}
COLUMNS = {
    "id": '{ rule = "pseudonym", key = "people" }',
    "name": '{ rule = "drop" }',
    "age": '{ rule = "interval", width = 20, top = 60 }',
    "town": '{ rule = "keep" }',
    "weight": '{ rule = "round", to = 5 }',
    "ill": '{ rule = "keep" }',
    "note": '{ rule = "redact", also = ["name"] }',
}


def people(rows: int = ROWS, seed: int = 5) -> pd.DataFrame:
    """One row a person. Illness leans on age, so that who knows the age guesses better than by chance."""
    chance = random.Random(seed)
    ages = [chance.randrange(20, 80) for _ in range(rows)]
    return pd.DataFrame(
        {
            "id": [7_313_131_000_017 + 104_729 * row for row in range(rows)],
            "name": [f"canary person {row:05d}" for row in range(rows)],
            "age": ages,
            "town": [chance.choice(["east", "west"]) for _ in range(rows)],
            "weight": [chance.randrange(45, 120) for _ in range(rows)],
            "ill": [int(chance.random() < 0.25 + age / 600) for age in ages],
            "note": [f"came with canary person {row:05d}" for row in range(rows)],
        }
    )


def table(frame: pd.DataFrame, **changes: Any) -> Any:
    """The registry's declaration."""
    fields: dict[str, Any] = {"key": "id", "key_domain": "person", "unique": True, "bounds": BOUNDS, "roles": ROLES}
    return sandbox.table(frame, **(fields | changes))


def network(path: Path, frame: pd.DataFrame | None = None, **changes: Any) -> Embedded:
    """A registry alone, of people of its own."""
    options = {name: changes.pop(name) for name in ("terms", "federations", "more") if name in changes}
    providers = {"registry": {"people": table(people() if frame is None else frame, **changes)}} | options.pop("more", {})
    return Embedded.create(path, providers, insecure_test_keys=True, **options)


def rules(purpose: str = PURPOSE, recipient: str = "operator", *, head: str = "", **changes: str | None) -> str:
    """A rule file's text; `changes` are columns' rules, None leaves one out."""
    columns = {name: rule for name, rule in (COLUMNS | changes).items() if rule is not None}
    lines = [f'purpose = "{purpose}"', f'recipient = "{recipient}"', head, "[keys]", 'people = "people.key"', "[columns]"]
    return "\n".join((*lines, *(f"{name} = {rule}" for name, rule in columns.items()))) + "\n"


def ask(found: Embedded, text: str | None = None, **options: Any) -> Explanation:
    """Ask for the registry's rows."""
    fields: dict[str, Any] = {"quasi": ["age", "town"], "sensitive": ["ill"], "purpose": PURPOSE}
    return found.explain_release(ASSET, rules=rules() if text is None else text, **(fields | options))


def answer(found: Embedded, text: str | None = None, *, run: dict[str, Any] | None = None, **options: Any) -> Product:
    """Ask, approve and run."""
    explanation = ask(found, text, **options)
    return found.run(explanation, grant=found.approve(explanation), **(run or {}))


def sizes(frame: pd.DataFrame, quasi: list[str]) -> pd.Series:
    """Rows of each class."""
    return frame.groupby(quasi, dropna=False, observed=True).size()


def diversity(frame: pd.DataFrame, quasi: list[str], secret: str) -> int:
    """Values in the least diverse class, a missing one included."""
    return int(frame.groupby(quasi, dropna=False, observed=True)[secret].nunique(dropna=False).min())


def closeness(frame: pd.DataFrame, quasi: list[str], secret: str, *, ordered: bool) -> float:
    """Distance of the furthest class to the whole table."""
    worst, values = 0.0, frame[secret].astype(object).where(frame[secret].notna(), "missing")
    overall = values.value_counts(normalize=True)
    order = sorted(overall.index) if ordered else list(overall.index)
    for _, part in values.groupby([frame[name].astype(object).fillna("none") for name in quasi]):
        apart = np.array([part.eq(value).mean() - overall[value] for value in order])
        far = np.abs(np.cumsum(apart))[:-1].sum() / (len(order) - 1) if ordered else np.abs(apart).sum() / 2
        worst = max(worst, float(far))
    return worst
