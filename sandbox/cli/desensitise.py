"""`sandbox desensitise`: rules over a file, and a report of what they did."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption
from sandbox.errors import SourceError, StateError, Withheld

if TYPE_CHECKING:
    import pyarrow as pa

    from protocols.desensitise.pipeline import Pipeline
    from protocols.desensitise.rulefile import RuleFile
    from sandbox.cli.tables import InputTable

MAX_RULES = 1 << 20
MAX_TREE = 64 << 20


def desensitise_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="A CSV or Parquet file.")],
    *,
    rules: Annotated[Path, typer.Option("--rules", help="The rule file (TOML).")],
    out: Annotated[Path, typer.Option("--out", help="Where the result goes: .csv, .tsv or .parquet. Must not exist.")],
    report: Annotated[Path | None, typer.Option("--report", help="Also write a report (HTML). Must not exist.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of a CSV, where its bytes do not say.")] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Of a CSV, where it cannot be told.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Apply rules to every column of a file.

    Nothing is written unless all rules fit and no identifier survives.
    """
    started = time.monotonic()
    found = _rules(rules)
    table, pipeline = _opened(file, rules, found, encoding, delimiter)
    if report is not None and (report.exists() or report.resolve() == out.resolve()):
        raise StateError(f"{str(report)!r} exists, or is the output itself; name another file for the report")
    with console.progress(as_json=as_json) as on_progress:
        measured = _write(table, pipeline, out, report, on_progress)
    document = {
        "out": str(out),
        "report": None if report is None else str(report),
        "rows": table.rows,
        "label": pipeline.label,
        "columns": [_column(each) for each in pipeline.reports()],
        "risk": measured,
        "seconds": round(time.monotonic() - started, 3),
    }
    if as_json:
        console.emit(document)
    else:
        _show(document)


def _rules(path: Path) -> RuleFile:
    from protocols.desensitise import rulefile
    from sandbox.cli import tables

    return rulefile.parse(tables.read_text(path, limit=MAX_RULES, what="the rule file"))


def _opened(
    file: Path, rules: Path, found: RuleFile, encoding: str | None, delimiter: str | None
) -> tuple[InputTable, Pipeline]:
    """Return the input and the pipeline: every refusal that needs no row is made here."""
    from protocols.desensitise.pipeline import Pipeline
    from protocols.desensitise.rules import Context
    from sandbox.cli import tables

    keys = {name: tables.read_key(rules.parent / path) for name, path in found.key_files.items()}
    trees = {
        path: tables.read_text(rules.parent / path, limit=MAX_TREE, what="the hierarchy file") for path in found.tree_files
    }
    context = Context(purpose=found.purpose, recipient=found.recipient, keys=keys, texts=trees)
    numbers = [name for name, spec in found.columns.items() if spec.takes_numbers]
    table = tables.InputTable(file, numbers=numbers, encoding=encoding, delimiter=delimiter)
    return table, Pipeline(found, table.schema, context)


def _write(
    table: InputTable, pipeline: Pipeline, out: Path, report: Path | None, on_progress: console.OnProgress | None
) -> dict[str, Any] | None:
    """Write output and report; return what was measured. Both files appear at the end, or neither."""
    from protocols.desensitise.errors import DataError, IdentifierSurvives, Survivor
    from sandbox.cli import desensitise_report, tables
    from sandbox.model.decision import Finding

    measuring = desensitise_report.Measuring(pipeline.rules)
    survivors: tuple[Survivor, ...] = ()
    problem, reported, complete = "", False, False
    try:
        with tables.fresh_file(out) as file:
            sink = tables.writer(out, file, pipeline.output_schema)
            for batch in _batches(table, pipeline, on_progress):
                measuring.add(batch)
                sink.write_batch(batch)
            sink.close()
            figures = measuring.figures()
            if report is not None:
                text = desensitise_report.render(table.path.name, pipeline, table.rows, figures, measuring.why_not)
                with tables.fresh_file(report) as page:
                    page.write(text.encode("utf-8"))
                reported = True
        complete = True
    except IdentifierSurvives as error:
        survivors = error.survivors
    except DataError as error:
        problem = str(error)
    finally:
        if report is not None and reported and not complete:
            report.unlink(missing_ok=True)
    if survivors:
        raise Withheld(
            tuple(
                Finding(
                    check="identifiers",
                    verdict="fail",
                    subject=each.column,
                    message=f"column {each.column!r}: {each.count} × {each.kind}, first in row {each.first_row}; "
                    "redact, pseudonymise or drop it",
                )
                for each in survivors
            )
        )
    if problem:
        raise SourceError(problem)
    return None if figures is None else figures.document()


def _batches(table: InputTable, pipeline: Pipeline, on_progress: console.OnProgress | None) -> Iterator[pa.RecordBatch]:
    total, done, passes = table.rows * pipeline.passes, 0, 0

    def read() -> Iterator[pa.RecordBatch]:
        nonlocal done, passes
        passes += 1
        for batch in table.batches():
            yield batch
            done += len(batch)
            if on_progress:
                on_progress("rows", done, total)

    return pipeline.run(read)


def _column(report: Any) -> dict[str, Any]:
    return {name: getattr(report, name) for name in report.__slots__}


def _show(document: dict[str, Any]) -> None:
    rows = [(each["column"], each["rule"], each["family"], each["changed"], each["undone_by"]) for each in document["columns"]]
    console.table(("column", "rule", "family", "changed", "undone by"), rows, right=(3,))
    console.say()
    console.say(document["label"])
    risk = document["risk"]
    if risk is not None:
        console.say(
            f"smallest class {risk['k']} (asked for: {risk['k_wanted']}), {risk['uniqueness']:.2%} of rows unique, "
            f"{risk['classes']} classes"
        )
    console.say(f"{document['rows']} rows written to {document['out']}")
    if document["report"]:
        console.say(f"report: {document['report']}")
