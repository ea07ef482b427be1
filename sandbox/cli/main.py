"""The entry point: every command, and the one place where errors become words and exit codes."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from protocols.errors import Cancelled, ProtocolError
from sandbox.cli import audit, bench, catalogue, console, demo, desensitise, doctor, grant, init, jobs, policy, product, risk
from sandbox.errors import EXIT_DONE, EXIT_OTHER, SandboxError, exit_code

EXIT_USAGE = 2
EXIT_INTERRUPTED_BY_TYPER = 130
NO_COMMAND = "NoArgsIsHelpError"
REPORT = "please report it, with this line, to whoever gave you this program"

app = typer.Typer(
    name="sandbox",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Joint questions over agencies' raw data: computed on ciphertext, released through a gate, checked offline.",
)


def _print_version(asked: bool) -> None:
    if asked:
        console.say(importlib.metadata.version("public-data-sandbox"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Joint questions over agencies' raw data: computed on ciphertext, released through a gate, checked offline."""


app.command("demo")(demo.run_demo)
app.command("init")(init.init_workspace)
app.add_typer(catalogue.app, name="catalogue")
app.add_typer(policy.app, name="policy")
app.command("explain")(jobs.explain_job)
app.add_typer(grant.app, name="grant")
app.command("run")(jobs.run_job)
app.add_typer(product.app, name="product")
app.command("desensitise")(desensitise.desensitise_file)
app.command("risk")(risk.measure_risk)
app.add_typer(audit.app, name="audit")
app.command("bench")(bench.run_bench)
app.command("doctor")(doctor.show_doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. No traceback, and no value, ever reaches a terminal."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _warn
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
    except BrokenPipeError:
        raise
    except (KeyboardInterrupt, Exception) as error:  # the last line of defence: whatever it is becomes words
        return _report(error, as_json=as_json)
    if result == EXIT_INTERRUPTED_BY_TYPER:
        return _report(KeyboardInterrupt(), as_json=as_json)
    return result if isinstance(result, int) else EXIT_DONE


def _report(error: BaseException, *, as_json: bool) -> int:
    if isinstance(error, KeyboardInterrupt | typer.Abort | Cancelled):
        return console.fail(error, EXIT_OTHER, as_json=as_json, message="stopped")
    if isinstance(error, SandboxError | ProtocolError):
        return console.fail(error, exit_code(error), as_json=as_json)
    usage = getattr(error, "format_message", None)
    if usage is None:
        return console.fail(error, EXIT_OTHER, as_json=as_json, message=f"internal error ({type(error).__name__}); {REPORT}")
    if type(error).__name__ == NO_COMMAND:
        console.complain(usage())
        return EXIT_USAGE
    path = getattr(getattr(error, "ctx", None), "command_path", "sandbox")
    return console.fail(error, EXIT_USAGE, as_json=as_json, message=f"{usage()}\n`{path} --help` tells how it is used")


def _warn(message: Warning | str, *_place: object, **_more: object) -> None:
    """A library's warning, as one line without a place in the source."""
    console.complain(f"warning: {message}")


if __name__ == "__main__":
    sys.exit(main())
