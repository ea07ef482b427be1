"""Who an attack found: a file for the auditor alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cli import tables

if TYPE_CHECKING:
    from protocols.risk import Finding, Findings

LINKED_IN = {"linkage": "original", "inference": "original", "homogeneity": "released", "singling out": "predicates"}
"""What an attack's exposed numbers count: rows of which table, from 0; or predicates that are true of one person."""


def write_exposed(path: Path, findings: Findings, *, of: Mapping[str, str] = LINKED_IN) -> None:
    """Write what each attack exposed, as JSON that only its owner may read. Raises StateError if the file exists.

    of: by attack, what its exposed numbers count.
    """
    document = [_document(item, of.get(item.attack, "released")) for item in findings.items]
    with tables.fresh_file(path, private=True) as file:
        file.write(json.dumps(document, ensure_ascii=False, indent=1, default=str).encode("utf-8"))


def _document(item: Finding, of: str) -> dict[str, Any]:
    return {"attack": item.attack, "message": item.message, "of": of, "exposed": [_plain(each) for each in item.exposed]}


def _plain(each: object) -> object:
    """A predicate of singling out as its conditions; rows as they are."""
    return [f"{part.column} {part.sign} {part.value}" for part in each] if isinstance(each, tuple) else each
