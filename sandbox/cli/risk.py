"""`sandbox risk`: how much a table tells about single people."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption
from sandbox.cli.frames import names_of, read_frame
from sandbox.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from protocols.risk import Finding, Findings, RiskReport
    from protocols.risk.grading import Grade

OPEN_K = 11


def measure_risk(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV or Parquet file: any table about people.")],
    *,
    quasi: Annotated[str, typer.Option("--quasi", help="Columns that an attacker may know: a,b,c.")],
    sensitive: Annotated[str, typer.Option("--sensitive", help="Columns that an attacker would like to know: c,d.")] = "",
    population: Annotated[
        Path | None,
        typer.Option("--population", help="A table of all people, with the same quasi-identifiers in the same terms."),
    ] = None,
    k: Annotated[
        int, typer.Option("--k", help="The smallest class that is asked for: 11 for open data, 5 for controlled use.")
    ] = OPEN_K,
    original: Annotated[
        Path | None,
        typer.Option("--original", help="The people whose data went into FILE, in its terms. With --control: it is attacked."),
    ] = None,
    control: Annotated[
        Path | None,
        typer.Option("--control", help="People whose data did not, in the same terms: what looks alone tell."),
    ] = None,
    exposed: Annotated[
        Path | None,
        typer.Option("--exposed", help="Write who was found, as JSON that only you can read. Must not exist."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what a table tells about single people.

    With --original and --control it is attacked as well. Nothing leaves this machine, and no value is printed. A table that
    fails was still measured: the exit code is 0.
    """
    from protocols import risk

    names, secrets = names_of(quasi, "--quasi"), names_of(sensitive, "--sensitive") if sensitive else []
    both = [name for name in names if name in secrets]
    if both:
        raise UsageError(f"{', '.join(map(repr, both))} is named by --quasi and by --sensitive; a column is one or the other")
    if (original is None) != (control is None):
        raise UsageError("--original and --control go together: what is told of people in FILE beyond what is told of others")
    table = read_frame(file, [*names, *secrets])
    people = None if population is None else read_frame(population, names)
    report = risk.measure(table, names, secrets, population=people)
    gates = risk.gates(report, k=k)
    found = [risk.homogeneity(table, names, name) for name in secrets]
    if original is not None and control is not None:
        people, others = (read_frame(path, [*names, *secrets]) for path in (original, control))
        found += _attacked(table, people, others, names, secrets)
    attacks = risk.together(found)
    if exposed is not None:
        from sandbox.cli.exposed import write_exposed

        write_exposed(exposed, attacks)
    grade = risk.grade(report, direct_identifiers=False)
    if as_json:
        console.emit(_document(report, gates, attacks, grade))
    else:
        _show(report, gates, attacks, grade)


def _attacked(
    table: pd.DataFrame, people: pd.DataFrame, others: pd.DataFrame, names: list[str], secrets: list[str]
) -> list[Finding]:
    """Return what attacks with a control group find. Secrets are what an attacker learns, never what it starts from."""
    from protocols import risk

    return [
        risk.linkage(table, people, names, control=others),
        risk.singling_out(table, people, others, [*names, *secrets], width=min(3, len(names) + len(secrets))),
        *(risk.inference(table, people, others, names, name) for name in secrets),
    ]


def _document(report: RiskReport, gates: Findings, attacks: Findings, grade: Grade) -> dict[str, Any]:
    return dataclasses.asdict(report) | {
        "gates": [_finding(item) for item in gates.items],
        "attacks": [_finding(item) for item in attacks.items],
        "grade": dataclasses.asdict(grade),
        "verdict": _verdict(gates, attacks),
    }


def _finding(item: Any) -> dict[str, Any]:
    document = {"name": item.attack, "verdict": item.verdict, "message": item.message, "threshold": item.threshold}
    return document | {"risk": None if item.risk is None else dataclasses.asdict(item.risk)}


def _verdict(gates: Findings, attacks: Findings) -> str:
    from protocols import risk

    return risk.Findings((*gates.items, *attacks.items)).verdict


def _show(report: RiskReport, gates: Findings, attacks: Findings, grade: Grade) -> None:
    frame = report.to_frame()
    rows = [
        (name, of, f"{value:.4g}" if isinstance(value, float) else value) for name, of, value in frame.itertuples(index=False)
    ]
    console.table(("measure", "of", "value"), rows, right=(2,))
    console.say()
    findings = [(item.verdict, item.attack, item.message) for item in (*gates.items, *attacks.items)]
    console.table(("verdict", "gate or attack", "what was found"), findings)
    console.say()
    console.say(f"grade {grade.grade} of 4, if no column names people ({grade.label})")
    console.say(f"verdict: {_verdict(gates, attacks)}")
