"""Writing a synthetic twin: a file that says what it is, and a document beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cli import console
from sandbox.errors import StateError, UsageError

if TYPE_CHECKING:
    from sandbox.node.twins import AssetTwin

WORD = "synthetic"
PARQUET = (".parquet", ".pq")


def check_name(out: Path) -> Path:
    """Return where the document beside a twin goes. Raises UsageError, StateError before anything is read.

    A CSV has no place for a label inside, so its name bears the word.
    """
    if out.suffix.lower() not in (".csv", ".tsv", *PARQUET):
        raise UsageError(f"the kind of {out.name!r} is not known; end it in .csv, .tsv or .parquet")
    if out.suffix.lower() not in PARQUET and WORD not in out.name.lower():
        better = f"{out.stem}.{WORD}{out.suffix}"
        raise UsageError(f"a {out.suffix} file cannot say inside that it is {WORD}; call it {better!r}, for instance")
    beside = out.with_name(out.name + ".twin.json")
    for path in (out, beside):
        if path.exists() or path.is_symlink():
            raise StateError(f"{str(path)!r} exists and stays as it is; name a new file")
    return beside


def write(twin: AssetTwin, out: Path, beside: Path) -> dict[str, Any]:
    """Write a twin and the document beside it, and return what there is to say. Raises StateError."""
    from sandbox.cli import tables

    table = twin.to_arrow()
    with tables.fresh_file(beside) as page, tables.fresh_file(out) as file:
        page.write((json.dumps(_document(twin, out), ensure_ascii=False, indent=1) + "\n").encode())
        sink = tables.writer(out, file, table.schema)
        sink.write_table(table)
        sink.close()
    one, two = twin.utility.mean
    return {
        "asset": twin.asset.name,
        "out": str(out),
        "beside": str(beside),
        "rows": table.num_rows,
        "aggregates": twin.aggregates.digest,
        "guarantee": twin.aggregates.guarantee(),
        "left_out": twin.left_out,
        "findings": [{"attack": item.attack, "verdict": item.verdict, "message": item.message} for item in twin.findings.items],
        "total_variation": {"columns": round(one, 4), "pairs": round(two, 4)},
    }


def show(said: dict[str, Any]) -> None:
    """Print what a twin is and how it passed."""
    rows = [(item["verdict"], item["attack"], item["message"]) for item in said["findings"]]
    console.table(("verdict", "attack", "what was found"), rows)
    console.say()
    for name, why in said["left_out"].items():
        console.say(f"left out: {name} {why}")
    far = said["total_variation"]
    console.say(said["guarantee"])
    console.say(
        f"shares lie {far['columns']:.3f} of columns and {far['pairs']:.3f} of pairs from the table's, on average (0 to 1)"
    )
    console.say(f"{said['rows']} {WORD} rows written to {said['out']}; what they are made from: {said['beside']}")


def _document(twin: AssetTwin, out: Path) -> dict[str, Any]:
    """What goes with the file: nothing but safe aggregates and verdicts, so that it may go wherever the file goes."""
    return {
        WORD: True,
        "file": out.name,
        "asset": twin.asset.name,
        "version": twin.asset.version,
        "rows": twin.to_arrow().num_rows,
        "seed": twin.seed,
        "guarantee": twin.aggregates.guarantee(),
        "digest": twin.aggregates.digest,
        "verdicts": {item.attack: item.verdict for item in twin.findings.items},
        "left_out": twin.left_out,
        "aggregates": json.loads(twin.aggregates.to_bytes()),
    }
