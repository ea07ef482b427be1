"""`sandbox init`: a workspace, and an example to try it with."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption

OPERATOR = "city-health-operator"
MANAGER = "data-bureau"


class Backend(StrEnum):
    """Where heavy steps may run."""

    THREADS = "threads"
    DASK = "dask"
    RAY = "ray"


def init_workspace(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The workspace's directory; it is made where missing.")],
    *,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="A provider; repeat it. By default those of the example.")
    ] = None,
    compute: Annotated[
        Backend, typer.Option("--compute", help="Where heavy steps run; a cluster gets public values and ciphertexts only.")
    ] = Backend.THREADS,
    address: Annotated[
        str | None, typer.Option("--address", help="Of a Dask or Ray cluster that is there; by default a local one is started.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Threads, or jobs of the cluster at once; by default one for each core.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a workspace and an example.

    Keys, parties, stores and a trust file; the example has synthetic tables, their owners' terms and jobs.
    """
    from sandbox.cli.example import TABLES, more_commands, write_example
    from sandbox.embedded import Embedded
    from sandbox.model.compute import Compute
    from sandbox.node.workspace import Workspace

    chosen = Compute(backend=compute.value, address=address, workers=workers)
    names = tuple(dict.fromkeys(provider)) if provider else tuple(TABLES)
    workspace = Workspace.create(directory, providers=names, operator=OPERATOR, manager=MANAGER, compute=chosen)
    with Embedded(workspace, terms="written") as network:
        trust = network.write_trust(directory / "trust.toml")
    commands = [] if provider else [f"cd {shlex.quote(str(directory))}", *write_example(directory / "example")]
    more = {} if provider else more_commands()
    if as_json:
        parties = {name: party.roles for name, party in workspace.parties.items()}
        console.emit({"workspace": str(directory), "trust": str(trust), "parties": parties, "next": commands, "more": more})
        return
    console.say(f"{directory} is a workspace: operator {OPERATOR}, manager {MANAGER}, providers {', '.join(names)}")
    console.say(f"{trust} is what an auditor may believe, once checked")
    if commands:
        console.say("the example's tables are synthetic; paste these lines to try it:")
        console.say()
        for command in commands:
            console.say(command)
        for title, lines in more.items():
            console.say(f"\n# more: {title}\n" + "\n".join(lines))
    else:
        console.say("next: `sandbox catalogue add SOURCE --as provider.table --key COLUMN`")
