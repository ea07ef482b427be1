"""From what a person gives for a release (rule file, hierarchy files, names of columns) to a request with their texts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sandbox.errors import DocumentError
from sandbox.model.release import JobKAnonymity, JobRelease, NamedText, ReleaseRequest
from sandbox.tasks.textfile import read_document

MAX_TEXT_BYTES = 8 << 20
"""Of a rule or hierarchy file: it stands in the plan, which everyone signs."""


def release_request(
    asset: str,
    rules: str | os.PathLike[str],
    quasi: Sequence[str],
    sensitive: Sequence[str] = (),
    k_anonymity: Mapping[str, Any] | JobKAnonymity | None = None,
) -> ReleaseRequest:
    """Return the request. rules: the path of a rule file, or its text if it has a line break; hierarchies lie beside the file.

    Raises NotFound, UsageError, DocumentError, RuleError with the line of the rule file.
    """
    from protocols.desensitise import rulefile

    directory, text = Path(), os.fspath(rules)
    if isinstance(rules, os.PathLike) or "\n" not in text:
        directory, text = Path(text).parent, read_document(Path(text), limit=MAX_TEXT_BYTES)
    search = _search(k_anonymity)
    named = [] if search is None else [item.tree for _, item in sorted(search.hierarchies.items()) if item.tree]
    trees = dict.fromkeys((*rulefile.parse(text).tree_files, *named))
    job = JobRelease(asset=asset, rules="given", quasi=tuple(quasi), sensitive=tuple(sensitive), k_anonymity=search)
    return ReleaseRequest(
        asset=job.asset,
        rules=text,
        trees=tuple(NamedText(name=name, text=read_document(directory / name, limit=MAX_TEXT_BYTES)) for name in trees),
        quasi=job.quasi,
        sensitive=job.sensitive,
        k_anonymity=None if search is None else search.settled(),
    )


def _search(given: Mapping[str, Any] | JobKAnonymity | None) -> JobKAnonymity | None:
    if given is None or isinstance(given, JobKAnonymity):
        return given
    try:
        return msgspec.convert(dict(given), JobKAnonymity)
    except msgspec.ValidationError as error:
        raise DocumentError(f"k_anonymity: {error}") from None
