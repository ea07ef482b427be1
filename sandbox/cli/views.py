"""How decisions, explanations and products look: for people, and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sandbox.cli import console

if TYPE_CHECKING:
    from protocols.disclosure import Disclosure
    from sandbox.model.decision import Decision
    from sandbox.model.product import ReleaseNote
    from sandbox.tasks.explain import Explanation
    from sandbox.tasks.product import Product

REASONS = {
    "BELOW_K": "fewer people, or fewer with a value, than the profile asks for",
    "DOMINANCE": "one or two contributors make up too much of it",
    "SECONDARY": "another withheld number could be worked out from it",
    "DIFFERENCE": "it differs from an earlier release by too few people",
    "RECONSTRUCTION": "with earlier releases it, or why it is missing, would bound a small count too closely",
    "RARE_GROUP": "removed before blinding, since too few people share its pattern at a provider",
    "NO_VALUES": "no row has a value here: SQL's NULL, not withheld",
}


def decision_document(decision: Decision) -> dict[str, Any]:
    """Return a decision for machines."""
    return {"allowed": decision.allowed, "findings": decision.findings}


def explanation_document(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation for machines."""
    return {
        "title": explanation.plan.title,
        "digest": explanation.digest(),
        "plan": explanation.plan,
        "steps": explanation.lines,
        "fragments": explanation.fragments,
        "disclosure": explanation.disclosure,
        "cost": explanation.cost,
        "decision": decision_document(explanation.decision),
    }


def product_document(product: Product) -> dict[str, Any]:
    """Return a product for machines: columns and rows, what was withheld, dropped and found."""
    card = product.card
    return {
        "id": product.id,
        "title": card.title,
        "product": {
            "columns": [column.name for column in card.columns],
            "types": [column.type for column in card.columns],
            "rows": [list(row.values()) for row in product.head().to_pylist()],
            "count": card.rows,
        },
        "release": card.release,
        "withheld": card.withheld,
        "no_values": card.no_values,
        "dropped": card.dropped,
        "sources": [source.asset for source in card.sources],
        "absent": card.absent,
        "findings": card.findings,
        "certificate": product.certificate,
        "plan": card.plan_digest,
        "evidence": str(product.directory),
    }


def show_product(product: Product) -> None:
    """Print a product: its table with marks, their legend, what was withheld, what was dropped, where its evidence lies."""
    from sandbox.tasks.product import MARKS

    card = product.card
    headers, rows = product.rendered()
    numbers = [at for at, column in enumerate(card.columns) if column.type not in ("text", "date", "timestamp", "boolean")]
    console.table(headers, rows, title=card.title, right=numbers)
    console.say()
    shown = {mark.reason for mark in card.marks}
    for reason, mark in MARKS.items():
        if reason in shown:
            console.say(f"  {mark:<5} {REASONS[reason]}")
    if card.release is not None:
        show_release(card.release, card.rows, len(rows))
    elif card.withheld:
        counted = Counter(cell.reason for cell in card.withheld)
        console.say(
            f"withheld: {len(card.withheld)} cells (" + ", ".join(f"{n} {reason}" for reason, n in counted.items()) + ")"
        )
    else:
        console.say("withheld: nothing")
    for item in card.dropped:
        if (item.keys, item.groups) != ("0", "0"):
            console.say(
                f"removed before blinding at {item.provider}, pattern too rare: {item.keys} keys, rows: {item.rows}, "
                f"groups that vanished: {item.groups}"
            )
    for absent in card.absent:
        included = "its totals had arrived and count" if absent.counted else "not in these numbers"
        console.say(f"{absent.provider} fell silent (step {absent.step}): {included}")
    console.say(f"profile {card.profile}, version {card.profile_version}; {card.method}")
    console.say(f"certificate: {product.certificate.summary}")
    console.say(f"product {product.id}; evidence {product.directory}")


def show_release(note: ReleaseNote, rows: int, shown: int) -> None:
    """Print what a reader of released rows must know; the rows themselves are for `sandbox product export`."""
    console.say(f"{shown} of {rows} rows are shown; {note.label}")
    console.table(("measure", "of", "value"), [(item.measure, item.of, item.value) for item in note.figures])
    console.say()
    columns = [(item.name, item.rule, item.type or "not in the table", item.undone_by) for item in note.columns]
    console.table(("column", "rule", "type", "undone by"), columns)
    console.say()


def show_disclosure(disclosure: Disclosure) -> None:
    """Print who learned what."""
    rows = [
        (item.who, item.about + ("" if item.visibility == "by_design" else " (only if they collude)"))
        for item in disclosure.learned
    ]
    console.table(("who", "what they learn"), rows)


def show_seconds(seconds: dict[str, float]) -> None:
    """Print the time that each step took."""
    console.table(("step", "seconds"), [(step, f"{taken:.2f}") for step, taken in seconds.items()], right=(1,))
