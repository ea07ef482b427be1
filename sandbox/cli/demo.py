"""`sandbox demo`: a whole story on real data, from terms to evidence."""

from __future__ import annotations

import importlib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import console, views
from sandbox.cli.console import JsonOption
from sandbox.errors import UsageError

if TYPE_CHECKING:
    from sandbox.demos.result import Answer, DemoResult


class Story(StrEnum):
    """The demos that there are."""

    HEALTH = "health"
    TRANSPORT = "transport"
    CENSUS = "census"


def run_demo(
    story: Annotated[Story, typer.Argument(help="Which story.")],
    out: Annotated[Path | None, typer.Option("--out", help="A new or empty directory; by default a temporary one.")] = None,
    key_bits: Annotated[
        int | None,
        typer.Option("--key-bits", help="Size of the gate's Paillier key, by default 3072; not for census, which has none."),
    ] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="Only so many rows; by default all.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a whole story on real data.

    A joint question, what was withheld and why, who learned what, the evidence.
    Then a differencing question is refused, and a tampered bundle fails.
    """
    if story is Story.CENSUS and key_bits is not None:
        raise UsageError("demo census adds up under masks and has no Paillier key; leave --key-bits out")
    demo = importlib.import_module(f"sandbox.demos.{story.value}")
    key = {} if key_bits is None else {"key_bits": key_bits}
    with console.progress(as_json=as_json) as on_progress:
        result: DemoResult = demo.run(out=out, rows=rows, on_progress=on_progress, **key)
    if as_json:
        console.emit(demo_document(result))
    else:
        show_demo(result)


def demo_document(result: DemoResult) -> dict[str, Any]:
    """Return a demo's result for machines: the first answer at the top, and all of them under `answers`."""
    answers = [_answer_document(answer) for answer in result.answers]
    return answers[0] | {
        "trust": str(result.trust),
        "directory": str(result.directory),
        "trials": result.trials,
        "answers": answers,
    }


def show_demo(result: DemoResult) -> None:
    """Print a demo's result."""
    for answer in result.answers:
        console.say(answer.explanation.plan.sql.strip())
        console.say()
        views.show_product(answer.product)
        console.say()
        views.show_disclosure(answer.explanation.disclosure)
        console.say()
        views.show_seconds(answer.seconds)
        console.say()
    for trial in result.trials:
        console.say(f"tried: {trial.title}")
        console.say(f"  {trial.outcome}")
        console.say()
    console.say("check the evidence, on any machine:")
    for answer in result.answers:
        console.say(f"  sandbox audit verify {answer.bundle} --trust {result.trust}")
        console.say(f"  sandbox audit attack {answer.bundle} --trust {result.trust}")
    console.say(f"everything is kept in {result.directory}")


def _answer_document(answer: Answer) -> dict[str, Any]:
    return views.product_document(answer.product) | {
        "disclosure": answer.explanation.disclosure,
        "seconds": answer.seconds,
        "bundle": str(answer.bundle),
    }
