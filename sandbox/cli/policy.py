"""`sandbox policy`: the owners' terms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli import console, views
from sandbox.cli.console import JsonOption
from sandbox.cli.place import JobArgument, WorkspaceOption, explain, opened, read_job, read_text
from sandbox.errors import Denied, NotFound, UsageError

app = console.group("Owners' terms: set, show, test.")
AssetArgument = Annotated[str, typer.Argument(metavar="ASSET", help="provider.table")]


@app.command("set")
def set_policy(
    asset: AssetArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The terms: a policy.toml.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the terms on a table.

    In its owner's name, in place of all earlier ones.
    """
    from sandbox.model.policy import policy_from_toml
    from sandbox.node.registration import Registration
    from sandbox.node.workspace import utc_now

    policy = policy_from_toml(read_text(file), version=1, what=repr(file.name)[1:-1])
    if policy.asset != asset:
        raise UsageError(f"{file.name!r} states terms on {policy.asset}, not on {asset!r}")
    with opened(workspace) as network:
        Registration(network.workspace, network.manager).check_terms(policy)
        network.set_policy(policy)
        stored = network.manager.records.policy(asset)
    if as_json:
        console.emit({"policy": stored})
    else:
        console.say(f"version {stored.version if stored else 1} of the terms on {asset} holds from now on")
        if policy.expires < utc_now().date():
            console.say(f"they ended on {policy.expires}, so they deny every question")


@app.command("show")
def show_policy(asset: AssetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show the terms on a table."""
    from sandbox.node.manager import asset_subject

    with opened(workspace) as network:
        policy = network.manager.records.policy(asset)
        if policy is None:
            raise NotFound(f"nobody has set terms on {asset!r}; without terms every question over it is denied")
        subject = asset_subject(asset)
        used = network.manager.ledger.usage([subject])[subject]
    if as_json:
        console.emit({"policy": policy, "used": used})
        return
    budget = policy.privacy
    privacy = (
        [("privacy", f"ε {budget.epsilon_per_release} a release, {budget.epsilon_total} in all, δ {budget.delta}")]
        if budget
        else []
    )
    rows: list[tuple[str, object]] = [
        ("asset", policy.asset),
        ("version", policy.version),
        ("purposes", ", ".join(policy.purposes)),
        ("recipients", ", ".join(policy.recipients)),
        ("profiles", ", ".join(policy.profiles)),
        ("smallest cell", policy.min_cell),
        ("smallest list", policy.min_list),
        ("fewest parts", policy.min_parties),
        ("matching", ", ".join(policy.matching)),
        *privacy,
        ("used", f"{used} of {policy.max_calls} calls"),
        ("expires", policy.expires),
        *((f"column {item.column}", ", ".join(item.uses)) for item in policy.columns),
    ]
    console.table(("", ""), rows)


@app.command("test")
def judge_job(job: JobArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Judge a question by every owner's terms.

    Prints each finding. Exit code 3 if it is denied.
    """
    question = read_job(job)
    with opened(workspace) as network:
        decision = explain(network, question, job).decision
    if not as_json:
        console.findings(decision.findings)
    if not decision.allowed:
        raise Denied(decision)
    if as_json:
        console.emit(views.decision_document(decision))
    else:
        console.say("allowed")
