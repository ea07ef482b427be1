"""`sandbox explain` and `sandbox run`: a question before it runs, and its run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import console, views
from sandbox.cli.console import JsonOption
from sandbox.cli.place import JobArgument, WorkspaceOption, explain, opened, read_job
from sandbox.errors import StateError

if TYPE_CHECKING:
    from sandbox.tasks.product import Product


def explain_job(job: JobArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show what a question does.

    Its plan, protocol and cost, who learns what, and what every owner's terms say of it. Nothing runs.
    """
    question = read_job(job)
    with opened(workspace) as network:
        explanation = explain(network, question, job)
    if as_json:
        console.emit(views.explanation_document(explanation))
    else:
        console.say(explanation.text())


def run_job(
    job: JobArgument,
    grant: Annotated[str | None, typer.Option("--grant", help="The grant's id; by default the newest one that fits.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="A new directory for product.csv, card.json and the evidence bundle.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a question, on ciphertext.

    The gate releases what passes its checks. Ctrl-C stops the run cleanly; its use is given back.
    """
    from sandbox.node.granting import grant_for

    question = read_job(job)
    if out is not None and out.exists():
        raise StateError(f"{str(out)!r} exists; name a new directory")
    with opened(workspace) as network:
        explanation = explain(network, question, job)
        signed = network.manager.records.grant(grant).signed if grant else grant_for(network.manager, explanation.plan)
        with stoppable() as is_stopped, console.progress(as_json=as_json) as on_progress:
            product = network.run(explanation, grant=signed, on_progress=on_progress, is_stopped=is_stopped)
        if out is not None:
            write_product(product, out)
    if as_json:
        document = views.product_document(product)
        more = {"disclosure": explanation.disclosure, "seconds": product.seconds, "grant": signed.grant.id}
        console.emit(document | more)
        return
    views.show_product(product)
    console.say()
    views.show_disclosure(explanation.disclosure)
    if out is not None:
        console.say(f"written to {out}")


def write_product(product: Product, directory: Path) -> None:
    """Write a product, its card and its evidence bundle into a new directory. Raises StateError."""
    import msgspec

    from sandbox.cli.export import write_table

    try:
        directory.mkdir(parents=True)
    except OSError as error:
        raise StateError(f"{str(directory)!r} cannot be made: {error.strerror}") from None
    write_table(product, directory / "product.csv")
    card = msgspec.json.format(msgspec.json.encode(product.card), indent=2)
    (directory / "card.json").write_bytes(card + b"\n")
    product.bundle(directory / "bundle")


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Yield a question that says whether Ctrl-C was pressed: the first one asks for a clean stop, the second interrupts.

    A process that was started to ignore it goes on ignoring it.
    """
    asked: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        console.complain("stopping after this step; press Ctrl-C again to break off")

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: bool(asked)
    finally:
        signal.signal(signal.SIGINT, before)
