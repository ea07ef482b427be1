"""What every command prints with: escaped text, tables, one JSON object, errors, progress for people."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from sandbox.model.decision import Finding

OnProgress = Callable[[str, int, int], None]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for machines.")]
UNLIMITED_WIDTH = 10_000


def group(help: str) -> typer.Typer:
    """Return the command group of one noun."""
    return typer.Typer(help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None)


def plain(text: object) -> str:
    """Return text as it may stand on one line of a terminal: control characters, ANSI and line breaks escaped."""
    return "".join(char if char.isprintable() else _escaped(char) for char in str(text))


def say(text: str = "") -> None:
    """Print lines for people on stdout; each is escaped, never read as markup."""
    for line in text.split("\n"):
        _console(stderr=False).print(plain(line), markup=False, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print lines for people on stderr."""
    for line in text.split("\n"):
        _console(stderr=True).print(plain(line), markup=False, highlight=False, soft_wrap=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "", right: Iterable[int] = ()) -> None:
    """Print a table; without any header, none is shown. right: the columns, from 0, that are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    if title:
        say(title)
    found = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=any(headers))
    aligned = set(right)
    for at, header in enumerate(headers):
        found.add_column(Text(plain(header), style="bold"), justify="right" if at in aligned else "left", overflow="fold")
    for row in rows:
        found.add_row(*(Text(plain(cell)) for cell in row))
    target = _console(stderr=False)
    with target.capture() as captured:
        target.print(found)
    sys.stdout.write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def findings(items: Iterable[Finding]) -> None:
    """Print findings as a table."""
    table(("verdict", "check", "what was found"), [(item.verdict, item.check, item.message) for item in items])


def emit(document: object) -> None:
    """Print one JSON object on stdout, in ASCII. Decimals become exact numbers, dates ISO text, NaN null."""
    import msgspec

    encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
    text = msgspec.json.format(encoder.encode(document), indent=2).decode()
    sys.stdout.write(re.sub(r"[^\n -~]", _json_escaped, text) + "\n")
    sys.stdout.flush()


@contextmanager
def progress(*, as_json: bool) -> Iterator[OnProgress | None]:
    """Yield a listener that moves bars on stderr, one per step, with the time that a running one will still take.

    None where stderr is no terminal, or with --json.
    """
    if as_json or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    time_left = TimeRemainingColumn(elapsed_when_finished=True)
    with Progress(name, BarColumn(), MofNCompleteColumn(), time_left, console=_console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def update(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(plain(step))
            bars.update(tasks[step], completed=done, total=total)

        yield update


def fail(error: BaseException, code: int, *, as_json: bool, message: str | None = None) -> int:
    """Report an error on stderr, and as one JSON object on stdout for machines; return the exit code."""
    text = str(error) if message is None else message
    complain(f"error: {text}")
    if as_json:
        emit({"error": {"kind": type(error).__name__, "message": text, "exit_code": code} | _details(error)})
    return code


def _details(error: BaseException) -> dict[str, Any]:
    from sandbox.errors import AuditError, Denied, QuestionError, Withheld

    if isinstance(error, QuestionError):
        return {"line": error.line, "column": error.column, "hint": error.hint}
    if isinstance(error, Denied):
        return {"findings": error.decision.findings}
    if isinstance(error, Withheld):
        return {"findings": error.findings}
    if isinstance(error, AuditError):
        return {"place": error.place, "verdict": error.kind}
    return {}


@cache
def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    found = Console(stderr=stderr, emoji=False)
    return found if found.is_terminal else Console(stderr=stderr, emoji=False, width=UNLIMITED_WIDTH, color_system=None)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _json_escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
