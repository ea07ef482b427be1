"""Scenario profiles: named, versioned rules of the gate, as package data in `profiles.toml`."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import msgspec

from sandbox.errors import UsageError
from sandbox.model.canonical import Document
from sandbox.model.plan import GateRules


class Profile(Document, frozen=True, kw_only=True):
    """A scenario profile: what it is for, and its rules."""

    name: str
    title: str
    rules: GateRules


def profiles() -> tuple[Profile, ...]:
    """Return the built-in profiles."""
    return tuple(_read().values())


def rules_for(profile: str) -> GateRules:
    """Return a profile's rules. Raises UsageError, with the names that exist, for any other name."""
    found = _read().get(profile)
    if found is None:
        raise UsageError(f"there is no profile {profile!r}; profiles are: {', '.join(_read())}")
    return found.rules


@cache
def _read() -> dict[str, Profile]:
    table = tomllib.loads(resources.files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8"))
    found = {}
    for name, figures in table.items():
        title = figures.pop("title")
        # Exact shares of the largest contributors would tell of them: with noise, a budget stands in place of these rules.
        # Of rows there are no sums.
        without = {"noise", "model", "risk"} & set(figures)
        judged = dict.fromkeys(("dominance_1", "dominance_2", "p_percent")) if without else {}
        rules = msgspec.convert({"profile": name, **judged, **figures}, GateRules)
        found[name] = Profile(name=name, title=title, rules=rules)
    return found
