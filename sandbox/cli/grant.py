"""`sandbox grant`: approvals of questions, signed by the manager and by each provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption
from sandbox.cli.place import JobArgument, WorkspaceOption, explain, opened, read_job
from sandbox.errors import NotFound, UsageError

if TYPE_CHECKING:
    from sandbox.embedded import Embedded
    from sandbox.node.granting import Standing

app = console.group("Approvals: request, approve, revoke, list, show.")
GrantArgument = Annotated[str, typer.Argument(metavar="GRANT", help="The grant's id, or `newest`.")]
EVERYONE = "all"


@app.command("request")
def request_grant(
    job: JobArgument,
    *,
    calls: Annotated[int, typer.Option("--calls", min=1, help="How often it may run.")] = 1,
    days: Annotated[int, typer.Option("--days", min=1, max=36500, help="For how many days.")] = 30,
    template: Annotated[bool, typer.Option("--template", help="Also cover the same question with other literals.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask for a grant for a question.

    In the operator's name; it holds once everyone has approved it.
    """
    question = read_job(job)
    with opened(workspace) as network:
        explanation = explain(network, question, job)
        signed = network.request(explanation, calls=calls, days=days, by="template" if template else "plan")
        found = _standing(network, signed.grant.id)
    if as_json:
        console.emit(_document(found))
        return
    console.say(f"{signed.grant.id} is requested; it needs the signatures of {', '.join(found.missing)}:")
    for party in found.missing:
        console.say(f"  sandbox grant approve {signed.grant.id} --as {party}")


@app.command("approve")
def approve_grant(
    grant: GrantArgument,
    party: Annotated[str, typer.Option("--as", metavar="PARTY", help="Who approves; `all` signs for everyone who has not.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a grant for one of its parties.

    Roles and the owners' terms decide first; nobody approves their own request.
    """
    with opened(workspace) as network:
        found = _standing(network, grant)
        name = found.kept.signed.grant.id
        if party in {item.party for item in found.kept.signed.signatures}:
            raise UsageError(f"{party} has signed {name} already")
        for signer in found.missing if party == EVERYONE else (party,):
            network.sign(name, signer)
        found = _standing(network, name)
    if as_json:
        console.emit(_document(found))
    elif found.missing:
        console.say(f"{name} still needs the signatures of {', '.join(found.missing)}")
    else:
        console.say(f"{name} is {found.state}: calls left: {found.kept.signed.grant.calls - found.used}")


@app.command("revoke")
def revoke_grant(
    grant: GrantArgument,
    party: Annotated[str, typer.Option("--as", metavar="PARTY", help="Who revokes: the manager, a provider, or who asked.")],
    reason: Annotated[str, typer.Option("--reason", help="Why, in one line; it goes into the log.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a grant at once, for running tasks too."""
    with opened(workspace) as network:
        found = _standing(network, grant)
        network.revoke(found.kept.signed, by=party, reason=reason)
        found = _standing(network, found.kept.signed.grant.id)
    if as_json:
        console.emit(_document(found))
    else:
        console.say(f"{found.kept.signed.grant.id} is {found.state}")


@app.command("list")
def list_grants(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List every grant, oldest first."""
    from sandbox.node.granting import standings

    with opened(workspace) as network:
        found = standings(network.manager)
    if as_json:
        console.emit({"grants": [_document(item) for item in found]})
    elif not found:
        console.say("no grant has been requested yet")
    else:
        rows = [
            (item.kept.signed.grant.id, item.state, f"{item.used} of {item.kept.signed.grant.calls}", item.kept.plan.title)
            for item in found
        ]
        console.table(("grant", "state", "used", "question"), rows)


@app.command("show")
def show_grant(grant: GrantArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show what a grant covers, and its use."""
    with opened(workspace) as network:
        found = _standing(network, grant)
    if as_json:
        console.emit(_document(found))
        return
    terms = found.kept.signed.grant
    signed = [item.party for item in found.kept.signed.signatures]
    rows: list[tuple[str, object]] = [
        ("grant", terms.id),
        ("digest", terms.digest()),
        ("state", found.state),
        ("question", found.kept.plan.title),
        (f"covers {terms.by}", terms.plan),
        ("requester", terms.requester),
        ("purpose", terms.purpose),
        ("profile", terms.profile),
        ("recipients", ", ".join(terms.recipients)),
        ("used", f"{found.used} of {terms.calls} calls"),
        ("period", f"{terms.not_before:%Y-%m-%d %H:%M} to {terms.expires:%Y-%m-%d %H:%M} UTC"),
        ("signed by", ", ".join(signed) or "nobody yet"),
        ("missing", ", ".join(found.missing) or "nobody"),
    ]
    for asset in terms.assets:
        uses = "; ".join(f"{column.column}: {', '.join(column.uses)}" for column in asset.columns)
        rows.append((f"{asset.asset} v{asset.version}", uses))
    console.table(("", ""), rows)


def _standing(network: Embedded, name: str) -> Standing:
    from sandbox.node.granting import standing, standings

    if name != "newest":
        return standing(network.manager, network.manager.records.grant(name))
    found = standings(network.manager)
    if not found:
        raise NotFound("no grant has been requested yet")
    return found[-1]


def _document(found: Standing) -> dict[str, Any]:
    signed = found.kept.signed
    return {
        "id": signed.grant.id,
        "digest": signed.grant.digest(),
        "state": found.state,
        "used": found.used,
        "title": found.kept.plan.title,
        "signed": [item.party for item in signed.signatures],
        "missing": found.missing,
        "grant": signed.grant,
    }
