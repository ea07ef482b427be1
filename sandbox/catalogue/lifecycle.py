"""Lifecycle of an asset: every legal move, and the ways that follow from them."""

from __future__ import annotations

from sandbox.errors import StateError
from sandbox.model.asset import Lifecycle

MOVES: dict[Lifecycle, tuple[Lifecycle, ...]] = {
    "draft": ("submitted", "cancelled"),
    "submitted": ("checked", "draft", "cancelled"),
    "checked": ("published", "draft", "cancelled"),
    "published": ("coded", "changed", "cancelled"),
    "coded": ("changed", "cancelled"),
    "changed": ("published", "changed", "cancelled"),
    "cancelled": (),
}
PUBLIC: frozenset[Lifecycle] = frozenset({"published", "coded", "changed"})
WAY_TO_PUBLISHED: dict[Lifecycle, tuple[Lifecycle, ...]] = {
    "draft": ("submitted", "checked", "published"),
    "submitted": ("checked", "published"),
    "checked": ("published",),
    "changed": ("published",),
    "published": (),
    "coded": (),
}


def check_move(name: str, now: Lifecycle, to: Lifecycle) -> None:
    """Raise StateError unless an asset may go from `now` to `to` in one step."""
    if to not in MOVES[now]:
        legal = ", ".join(MOVES[now]) or "nothing: cancelled is final, register the table under another name"
        raise StateError(f"{name} is {now} and cannot become {to}; it can become {legal}")


def after_change(name: str, now: Lifecycle) -> Lifecycle:
    """Return the lifecycle of an asset whose declaration changes: a public one is `changed`, another starts again."""
    if now in PUBLIC:
        check_move(name, now, "changed")
        return "changed"
    check_move(name, now, "cancelled")  # whatever is not final may be declared anew
    return "draft"
