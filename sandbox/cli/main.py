"""The entry point: every command, and the one place where errors become words and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from protocols.errors import Cancelled, ProtocolError
from sandbox.cli import audit, catalogue, console, demo, doctor, grant, init, jobs, policy, product
from sandbox.errors import EXIT_DONE, EXIT_OTHER, SandboxError, exit_code

EXIT_USAGE = 2
EXIT_INTERRUPTED_BY_TYPER = 130
REPORT = "please report it, with this line, to whoever gave you this program"

app = typer.Typer(
    name="sandbox",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Joint questions over agencies' raw data: computed on ciphertext, released through a gate, checked offline.",
)


@app.callback(invoke_without_command=True)
def root(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """Joint questions over agencies' raw data: computed on ciphertext, released through a gate, checked offline."""
    if show_version:
        console.say(version("public-data-sandbox"))
        raise typer.Exit


app.command("demo")(demo.run_demo)
app.command("init")(init.init_workspace)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(policy.app, name="policy")
app.command("explain")(jobs.explain_job)
app.add_typer(grant.app, name="grant")
app.command("run")(jobs.run_job)
app.add_typer(product.app, name="product")
app.add_typer(audit.app, name="audit")
app.command("doctor")(doctor.show_doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. No traceback, and no value, ever reaches a terminal."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(given, as_json="--json" in given)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OTHER
    return code


def _run(arguments: list[str], *, as_json: bool) -> int:
    command = typer.main.get_command(app)
    try:
        result = command.main(args=arguments, prog_name="sandbox", standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort, Cancelled) as error:
        return console.fail(error, EXIT_OTHER, as_json=as_json, message="stopped")
    except (SandboxError, ProtocolError) as error:
        return console.fail(error, exit_code(error), as_json=as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:
            return console.fail(error, EXIT_USAGE, as_json=as_json, message=_usage(error, usage()))
        return console.fail(error, EXIT_OTHER, as_json=as_json, message=f"internal error ({type(error).__name__}); {REPORT}")
    if result == EXIT_INTERRUPTED_BY_TYPER:
        return console.fail(KeyboardInterrupt(), EXIT_OTHER, as_json=as_json, message="stopped")
    return result if isinstance(result, int) else EXIT_DONE


def _usage(error: Exception, problem: str) -> str:
    """typer's own complaint, with the command whose help tells more."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "sandbox")
    return f"{problem}\n`{path} --help` tells how it is used"
