"""`sandbox audit`: evidence, for those who trust nobody here. `verify` needs no workspace and loads nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli import console
from sandbox.cli.attack import attack_bundle
from sandbox.cli.console import JsonOption
from sandbox.cli.place import WorkspaceOption, opened
from sandbox.cli.product import named
from sandbox.errors import AuditError

app = console.group("Evidence: verify, attack, log, trace, reconcile.")
app.command("attack")(attack_bundle)


@app.command("verify")
def verify_bundle(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The directory of an evidence bundle.")],
    trust: Annotated[Path, typer.Option("--trust", metavar="TRUST", help="Your own trust.toml; never one from a bundle.")],
    as_json: JsonOption = False,
) -> None:
    """Check a product's evidence, offline.

    Exit code 7 if it contradicts itself, 8 if it is incomplete or untrusted.
    """
    from sandbox.audit.verify import verify

    report = verify(bundle, trust)
    if as_json:
        console.emit({"verified": True, "report": report})
        return
    console.table(("check", "what holds"), [(check.name, check.detail) for check in report.checks])
    console.say()
    console.say(f"verified: product {report.product} of {report.task}")
    console.say(f"log {report.origin}, size {report.log_size}, cosigned by {', '.join(report.witnesses)}")
    console.say("what no bundle can show:")
    for item in report.not_proved:
        console.say(f"  {item}")


@app.command("log")
def show_log(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List every event of the log, oldest first."""
    with opened(workspace) as network:
        events = [signed.event for signed in network.manager.logbook.events()]
        note = network.manager.logbook.note
    if as_json:
        console.emit({"events": events, "checkpoint": note})
        return
    rows = [
        (index, f"{event.time:%Y-%m-%d %H:%M:%S}", event.party, event.kind, event.task) for index, event in enumerate(events)
    ]
    console.table(("entry", "time (UTC)", "party", "event", "about"), rows, right=(0,))


@app.command("trace")
def trace_product(
    product: Annotated[
        str, typer.Argument(metavar="PRODUCT", help="The product's id, `newest`, or a digest that its release names.")
    ],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a product relies on.

    Every event of the log, from the question to the release.
    """
    from sandbox.audit.reconcile import trace

    with opened(workspace) as network:
        released = {item.task: item.case_file.product.payload for item in network.manager.records.products()}
        digest = product if product.startswith("sha256:") else released[named(network, product).id]
        found = trace([signed.leaf() for signed in network.manager.logbook.events()], digest)
    if as_json:
        console.emit({"product": product, "events": found})
        return
    rows = [(item.index, f"{item.event.time:%Y-%m-%d %H:%M:%S}", item.event.party, item.event.kind) for item in found]
    console.table(("entry", "time (UTC)", "party", "event"), rows, right=(0,))


@app.command("reconcile")
def reconcile_log(
    trust: Annotated[
        Path | None, typer.Option("--trust", metavar="TRUST", help="A trust.toml, to judge signatures and roles too.")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look through the whole log.

    For orphans, over-use, use out of time and tasks without an end. Exit code 7 if anything does not hold.
    """
    from sandbox.audit.reconcile import reconcile
    from sandbox.audit.trust import load_trust

    loaded = None if trust is None else load_trust(trust)
    with opened(workspace) as network:
        entries = [signed.leaf() for signed in network.manager.logbook.events()]
        grants = [kept.signed for kept in network.manager.records.grants()]
    found = reconcile(entries, grants=grants, trust=loaded)
    wrong = [item for item in found if item.verdict != "pass"]
    if not as_json:
        console.findings(found)
    if wrong:
        kind = "invalid" if any(item.verdict == "fail" for item in wrong) else "incomplete"
        raise AuditError(f"{len(wrong)} findings do not hold; the first: {wrong[0].message}", place=wrong[0].subject, kind=kind)
    if as_json:
        console.emit({"findings": found})
