"""`sandbox catalogue`: the providers' tables."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from sandbox.cli import console
from sandbox.cli.console import JsonOption
from sandbox.cli.place import WorkspaceOption, opened
from sandbox.errors import UsageError

if TYPE_CHECKING:
    from sandbox.embedded import Embedded
    from sandbox.model.asset import Asset, Column
    from sandbox.node.registration import Registration

app = console.group("Tables: add, list, show, profile, twin, publish, federate.")
AssetArgument = Annotated[str, typer.Argument(metavar="ASSET", help="provider.table")]
Pairs = list[str]


@app.command("add")
def add_asset(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A CSV, Parquet or DuckDB file; it is read in place.")],
    *,
    name: Annotated[str, typer.Option("--as", metavar="ASSET", help="provider.table")],
    key: Annotated[Pairs, typer.Option("--key", help="A column of the join key; repeat it for a key of several.")],
    domain: Annotated[str | None, typer.Option("--domain", help="What the keys mean; tables of one domain join.")] = None,
    unique: Annotated[bool, typer.Option("--unique", help="No key repeats; checked when a job runs.")] = False,
    padded_rows: Annotated[int, typer.Option("--pad-to", help="Rows that others see of every list joined from it.")] = 0,
    bounds: Annotated[Pairs | None, typer.Option("--bounds", help="COLUMN=LOW:HIGH, inclusive: a measure.")] = None,
    codes: Annotated[Pairs | None, typer.Option("--codes", help="COLUMN=a,b,c: all its values, to group by.")] = None,
    scale: Annotated[Pairs | None, typer.Option("--scale", help="COLUMN=N: a measure counts in steps of 1/N.")] = None,
    clip: Annotated[Pairs | None, typer.Option("--clip", help="COLUMN: values beyond its bounds move to them.")] = None,
    role: Annotated[Pairs | None, typer.Option("--role", help="COLUMN=ROLE, such as sensitive.")] = None,
    grade: Annotated[Pairs | None, typer.Option("--grade", help="COLUMN=GRADE, such as important.")] = None,
    type_: Annotated[Pairs | None, typer.Option("--type", help="COLUMN=TYPE, where the file's own is not meant.")] = None,
    encoding: Annotated[str | None, typer.Option("--encoding", help="Of a CSV file.")] = None,
    delimiter: Annotated[str | None, typer.Option("--delimiter", help="Of a CSV file.")] = None,
    table: Annotated[str | None, typer.Option("--table", help="The table inside a DuckDB file.")] = None,
    publish: Annotated[bool, typer.Option("--publish", help="Publish it at once; else it is a draft.")] = False,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a table at its provider's node.

    The rows stay where they are. Columns that nothing names stay unclassified and take no part.
    """
    from sandbox.catalogue import table as define

    provider, dot, short = name.partition(".")
    if not dot or not provider or not short:
        raise UsageError(f"--as {name[:80]!r} names no asset; write provider.table")
    definition = define(
        source,
        key=key,
        key_domain=domain,
        unique=unique,
        padded_rows=padded_rows,
        bounds={column: _range(column, text) for column, text in _pairs("--bounds", bounds)},
        codes={column: _codes(text) for column, text in _pairs("--codes", codes)},
        scales={column: _scale(column, text) for column, text in _pairs("--scale", scale)},
        clip=clip or (),
        roles=cast(Any, dict(_pairs("--role", role))),
        grades=cast(Any, dict(_pairs("--grade", grade))),
        types=cast(Any, dict(_pairs("--type", type_))),
        encoding=encoding,
        delimiter=delimiter,
        table=table,
    )
    with opened(workspace) as network:
        registration = _registration(network)
        asset = registration.register(provider, short, definition)
        if publish:
            asset = registration.publish(asset.name)
    _print_moved(asset, as_json=as_json)
    if not as_json:
        idle = [column.name for column in asset.columns if column.role == "unclassified"]
        if idle:
            console.say(f"unclassified, so they take no part: {', '.join(idle)}; see `sandbox catalogue classify {asset.name}`")


@app.command("list")
def list_assets(workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """List every asset, drafts included."""
    with opened(workspace) as network:
        assets, federations = _registration(network).assets(), network.manager.federations()
    if as_json:
        console.emit({"assets": [_summary(asset) for asset in assets], "federations": list(federations.values())})
    elif not assets:
        console.say("no table has been registered yet")
    else:
        rows = [
            (asset.name, asset.version, asset.lifecycle, len(asset.columns), asset.key_domain.name, ", ".join(asset.key))
            for asset in assets
        ]
        console.table(("asset", "version", "state", "columns", "key domain", "key"), rows, right=(1, 3))
        if federations:
            console.say()
            lines = [
                (item.name, item.version, len(item.parts), "yes" if item.disjoint else "no", item.min_parties)
                for item in federations.values()
            ]
            console.table(("federated table", "version", "parts", "disjoint", "fewest parts"), lines, right=(1, 2, 4))


@app.command("show")
def show_asset(asset: AssetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Show what a provider declares about a table."""
    with opened(workspace) as network:
        found = _registration(network).asset(asset)
    if as_json:
        console.emit({"asset": found})
        return
    repeats = "no key repeats" if found.unique else "keys may repeat"
    console.say(f"{found.name}, version {found.version}, {found.lifecycle}; key domain {found.key_domain.name}, {repeats}")
    rows = [(column.name, column.type, column.role, column.grade, _range_text(column)) for column in found.columns]
    console.table(("column", "type", "role", "grade", "declared values"), rows)


@app.command("profile")
def profile_asset(asset: AssetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Count a table's rows in declared bins.

    Also missing and different values per column. Small counts are suppressed.
    """
    with opened(workspace) as network:
        found = _registration(network).profile(asset)
    if as_json:
        console.emit({"profile": found})
        return
    console.say(
        f"{found.asset}, version {found.version}: {_count(found.rows)} rows; counts below {found.min_count} are not shown"
    )
    rows: list[tuple[object, ...]] = []
    for column in found.columns:
        rows.append((column.name, column.type, _count(column.missing), _count(column.distinct), "", ""))
        rows += [("", "", "", "", item.label, _count(item.rows)) for item in column.bins]
    console.table(("column", "type", "missing", "distinct", "bin", "rows"), rows, right=(2, 3, 5))


@app.command("twin")
def twin_asset(
    asset: AssetArgument,
    *,
    out: Annotated[Path, typer.Option("--out", help="A new .csv, .tsv or .parquet; a text file's name says synthetic.")],
    rows: Annotated[int | None, typer.Option("--rows", help="Rows to make; by default about as many as there are.")] = None,
    epsilon: Annotated[str | None, typer.Option("--epsilon", help="Noise for that ε, such as 1 or 0.5.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Makes the same twin again, unless there is noise.")] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a synthetic twin of a table, for development.

    It is made from safe aggregates alone, and not written unless every attack on it passes.
    """
    from sandbox.cli import twin

    beside = twin.check_name(out)
    budget = None if epsilon is None else _fraction(epsilon)
    with opened(workspace) as network, console.progress(as_json=as_json) as on_progress:
        made = network.twin(asset, rows=rows, epsilon=budget, seed=seed, on_progress=on_progress)
    said = twin.write(made, out, beside)
    if as_json:
        console.emit({"twin": said})
    else:
        twin.show(said)


@app.command("classify")
def classify_asset(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A file, or a registered provider.table.")],
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Propose roles and grades of columns.

    Nothing is in force before a person declares it: `catalogue add --role --grade`.
    """
    from sandbox.node.registration import proposals_for

    if Path(source).is_file():
        found = proposals_for(Path(source))
    else:
        with opened(workspace) as network:
            found = _registration(network).proposals(source)
    if as_json:
        console.emit({"proposals": found})
    else:
        console.table(("column", "role", "grade", "why"), [(item.column, item.role, item.grade, item.reason) for item in found])


@app.command("publish")
def publish_asset(asset: AssetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Let questions name a table.

    What they may do with it is a matter of its owner's terms.
    """
    with opened(workspace) as network:
        found = _registration(network).publish(asset)
    _print_moved(found, as_json=as_json)


@app.command("cancel")
def cancel_asset(asset: AssetArgument, workspace: WorkspaceOption = None, as_json: JsonOption = False) -> None:
    """Cancel a table for ever. Its rows are not touched."""
    with opened(workspace) as network:
        found = _registration(network).cancel(asset)
    _print_moved(found, as_json=as_json)


@app.command("federate")
def federate_assets(
    name: Annotated[str, typer.Argument(metavar="NAME", help="group.table, as questions will name it.")],
    *,
    part: Annotated[Pairs, typer.Option("--part", help="A published provider.table; repeat it for each part.")],
    disjoint: Annotated[bool, typer.Option("--disjoint", help="Nobody has rows in two parts.")] = False,
    min_parties: Annotated[int, typer.Option("--min-parties", help="Parts that must be left when others fall silent.")] = 3,
    title: Annotated[str, typer.Option("--title", help="What it holds.")] = "",
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let questions ask parts of one schema, at several providers, as one table.

    Their totals are added up under masks; declared again with other parts, it is the next version.
    """
    from sandbox.catalogue import federation

    definition = federation(part, disjoint=disjoint, min_parties=min_parties, title=title)
    with opened(workspace) as network:
        found = network.federate(name, definition)
    if as_json:
        console.emit({"federation": found})
    else:
        people = "nobody is in two of them" if found.disjoint else "one person may be in all of them"
        console.say(
            f"{found.name}, version {found.version}: {len(found.parts)} parts, {people}; at least {found.min_parties} in a sum"
        )


def _registration(network: Embedded) -> Registration:
    from sandbox.node.registration import Registration

    return Registration(network.workspace, network.manager)


def _print_moved(asset: Asset, *, as_json: bool) -> None:
    if as_json:
        console.emit({"asset": asset})
    else:
        console.say(f"{asset.name}, version {asset.version}, is {asset.lifecycle}")


def _summary(asset: Asset) -> dict[str, object]:
    return {
        "name": asset.name,
        "version": asset.version,
        "lifecycle": asset.lifecycle,
        "columns": [column.name for column in asset.columns],
        "key": asset.key,
        "key_domain": asset.key_domain.name,
    }


def _range_text(column: Column) -> str:
    if column.codes is not None:
        return ", ".join(code.value for code in column.codes)
    if column.bounds is None:
        return ""
    return f"{column.bounds[0]} to {column.bounds[1]}, scale {column.scale}" + (", clipped" if column.clip else "")


def _count(count: int | None) -> str:
    return "·" if count is None else str(count)


def _pairs(option: str, texts: Pairs | None) -> list[tuple[str, str]]:
    found: dict[str, str] = {}
    for text in texts or ():
        column, equals, value = text.partition("=")
        if not equals or not column or not value:
            raise UsageError(f"{option} {text[:80]!r} is not of the form COLUMN=VALUE")
        if column in found:
            raise UsageError(f"{option} names {column[:80]!r} twice")
        found[column] = value
    return list(found.items())


def _range(column: str, text: str) -> tuple[str, str]:
    low, colon, high = text.partition(":")
    if not colon or not low or not high:
        raise UsageError(f"--bounds {column[:80]!r}: write LOW:HIGH, such as 0:120")
    return low, high


def _codes(text: str) -> tuple[str, ...]:
    """A code that holds a comma stands in double quotes, as in a CSV line."""
    return tuple(next(csv.reader([text])))


def _fraction(text: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--epsilon {text[:80]!r} is no number; write 1, 0.5 or 1/3") from None


def _scale(column: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"--scale {column[:80]!r}: write a whole number, such as 10") from None
