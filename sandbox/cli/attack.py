"""`sandbox audit attack`: a product measured again, attacked, and compared with its certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption
from sandbox.errors import AuditError, UsageError, exit_code

if TYPE_CHECKING:
    from sandbox.tasks.attack import AttackReport

COUNTED = {"linkage": "people", "homogeneity": "people", "differencing": "cells"}


def attack_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The directory of an evidence bundle.")],
    *,
    history: Annotated[
        list[Path] | None,
        typer.Option("--history", metavar="BUNDLE", help="Another product, attacked together with it. May be repeated."),
    ] = None,
    auxiliary: Annotated[
        Path | None, typer.Option("--auxiliary", metavar="FILE", help="People, as CSV or Parquet: whom does it tell of?")
    ] = None,
    quasi: Annotated[
        str, typer.Option("--quasi", help="What is known of them: groups of the product, or columns they are made from.")
    ] = "",
    sensitive: Annotated[str, typer.Option("--sensitive", help="What is not: columns, or groups, of the product.")] = "",
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="TRUST", help="Your own trust.toml: all bundles are verified first.")
    ] = None,
    exposed: Annotated[
        Path | None,
        typer.Option("--exposed", help="Write who was found, as JSON that only you can read. Must not exist."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a product again, attack it, and compare with its certificate.

    Offline. Exit code 7 if a figure differs or an attack finds somebody, 8 if an attack is inconclusive.
    """
    from sandbox.cli.exposed import write_exposed
    from sandbox.cli.frames import names_of, read_frame
    from sandbox.tasks.attack import as_document, attack

    if (auxiliary is None) != (not quasi):
        raise UsageError("--auxiliary and --quasi go together: people, and what an attacker knows of them")
    report = attack(
        bundle,
        trust,
        history=history or (),
        auxiliary=None if auxiliary is None else read_frame(auxiliary),
        quasi=names_of(quasi, "--quasi") if quasi else (),
        sensitive=names_of(sensitive, "--sensitive") if sensitive else (),
    )
    if exposed is not None:
        write_exposed(exposed, report.attacks, of=COUNTED)
    if not as_json:
        _show(report)
        report.require_pass()
        return
    try:
        report.require_pass()
    except AuditError as error:
        failed = {"kind": type(error).__name__, "message": str(error), "place": error.place, "exit_code": exit_code(error)}
        console.emit(as_document(report) | {"error": failed})
        raise typer.Exit(exit_code(error)) from None
    console.emit(as_document(report))


def _show(report: AttackReport) -> None:
    console.table(("verdict", "measure or attack", "of", "figure", "held to, or found"), report.rows())
    if report.not_recomputed:
        console.say()
        console.say("not measured again:")
        rows = [(item.measure, item.subject, item.why) for item in report.not_recomputed]
        console.table(("", "", ""), rows)
    if report.differences:
        console.say()
        console.say("the certificate differs:")
        for item in report.differences:
            console.say(f"  {item}")
    console.say()
    for note in report.notes:
        console.say(f"note: {note}")
    agree = f"{len(report.recomputed)} figures were measured again, {len(report.differences)} differ"
    console.say(f"{report.verdict}: product {report.product} of {report.task}; {agree}")
