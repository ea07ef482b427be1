"""At the provider: its table under the plan's rules, in no order, with a keyed tag of each row, attacked before it leaves."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from protocols.party import Progress
from protocols.primitives import prf
from protocols.primitives.rng import OsRng, SeededRng, permutation
from sandbox.errors import SourceError
from sandbox.model.asset import Asset
from sandbox.model.decision import Finding
from sandbox.model.payload import arrow_file
from sandbox.model.plan import Plan
from sandbox.model.release import KAnonymity, ReleaseSpec
from sandbox.planning.release import arrow_type, bind, require_promised
from sandbox.sources import Source
from sandbox.sources.columns import quoted
from sandbox.tasks.fragments import LocalResult, require_columns
from sandbox.tasks.released.attacking import attacked
from sandbox.tasks.released.hierarchies import hierarchy_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from protocols.desensitise.rules import Context

TAG_BYTES = 8
BATCH_ROWS = 1 << 16
TagArray = npt.NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSecrets:
    """A provider's own secrets for releases. pseudonyms: by the name that rules give a key. rows: of tags and draws."""

    pseudonyms: Mapping[str, bytes]
    rows: bytes

    def __repr__(self) -> str:
        return "ReleaseSecrets(<redacted>)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalTable(LocalResult):
    """What a provider hands over: an Arrow file, a tag for each row, what its attacks found. No rows if one did not pass."""

    table: bytes
    tags: TagArray
    left_out: int
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        return f"LocalTable(<{len(self.tags)} rows>)"


def run_release(
    plan: Plan,
    asset: Asset,
    source: Source,
    secrets: ReleaseSecrets,
    *,
    root: str,
    is_cancelled: Callable[[], bool] | None = None,
) -> LocalTable:
    """Read the table in the source's worker, apply the rules, search, shuffle and attack.

    root: of the table's commitment; the same rules on the same table draw the same numbers, so that no average of several
    releases takes noise away and nobody tries until an attack happens to fail. Raises UsageError for a plan that promises
    something else than its rules, SourceError.
    """
    from protocols.desensitise.errors import DataError, IdentifierSurvives
    from protocols.desensitise.rules import Context

    spec, progress = require_promised(plan, asset), Progress(is_cancelled=is_cancelled)
    read = _read(spec, asset, source, is_cancelled)
    tags = _tags(asset, read, secrets.rows)
    problem = ""
    draws, attacks = (
        SeededRng(prf.derive_key(secrets.rows, f"release-{what}/1", spec.rules_digest().encode(), root.encode()))
        for what in ("draws", "attacks")
    )
    context = Context(
        purpose=plan.purpose,
        recipient=", ".join(sorted(plan.recipients)),
        keys=secrets.pseudonyms,
        texts={item.name: item.text for item in spec.trees},
        rng=draws,
    )
    try:
        made = _under_rules(spec, asset, read, context)
    except IdentifierSurvives as error:
        found = tuple(
            Finding(
                check="provider.identifiers",
                verdict="fail",
                subject=f"{asset.name}.{each.column}",
                message=f"column {each.column!r}: {each.count} × {each.kind} would be in the table; redact, replace or drop it",
            )
            for each in error.survivors
        )
        return _nothing(plan, spec, read, found)
    except DataError as error:
        problem = str(error)
    if problem:
        raise SourceError(f"{asset.name}: {problem}")
    kept = np.ones(read.num_rows, dtype=np.bool_)
    if spec.k_anonymity is not None:
        searched = _searched(plan, spec, spec.k_anonymity, made, progress)
        if isinstance(searched, Finding):
            return _nothing(plan, spec, read, (searched,))
        made, kept = searched
    rows = np.flatnonzero(kept)
    order = permutation(OsRng(), len(rows))
    table, original = made.take(rows), read.take(rows)
    progress.check()
    findings = attacked(plan, spec, table.to_pandas(), original.to_pandas(), rng=attacks)
    if any(item.verdict != "pass" for item in findings):
        return _nothing(plan, spec, read, findings)
    file, _ = arrow_file(labelled(plan, spec, table.take(order)))
    return LocalTable(
        counts={"rows_read": read.num_rows},
        table=file,
        tags=tags[rows][order],
        left_out=read.num_rows - len(rows),
        findings=findings,
    )


def released_schema(plan: Plan, spec: ReleaseSpec) -> pa.Schema:
    """Return the schema that a plan promises, with the label that travels with the table."""
    import pyarrow as pa

    label = {"label": spec.label, "plan": plan.digest(), "asset": spec.asset, "purpose": plan.purpose}
    fields = [pa.field(column.name, arrow_type(column.type)) for column in spec.released if column.type is not None]
    return pa.schema(fields, metadata=label)


def labelled(plan: Plan, spec: ReleaseSpec, table: pa.Table) -> pa.Table:
    """Return a table's columns in one batch under the promised schema."""
    import pyarrow as pa

    schema = released_schema(plan, spec)
    return pa.Table.from_arrays(
        [table.column(name).cast(schema.field(name).type) for name in schema.names], schema=schema
    ).combine_chunks()


def _nothing(plan: Plan, spec: ReleaseSpec, read: pa.Table, findings: tuple[Finding, ...]) -> LocalTable:
    """What is sent where an attack, the scan or the search did not pass: the reasons, and no row."""
    file, _ = arrow_file(released_schema(plan, spec).empty_table())
    counts = {"rows_read": read.num_rows}
    return LocalTable(counts=counts, table=file, tags=np.zeros(0, dtype=np.uint64), left_out=read.num_rows, findings=findings)


def _read(spec: ReleaseSpec, asset: Asset, source: Source, is_cancelled: Callable[[], bool] | None) -> pa.Table:
    """Return the columns that take part, and the key, in the source's order and the types in which rules see them."""
    import pyarrow as pa

    from protocols.desensitise import rulefile

    wanted = {column.name for column in spec.columns if column.used} | set(rulefile.parse(spec.rules).identifiers)
    columns = [column for column in asset.columns if column.name in wanted]
    require_columns([column.name for column in columns], asset, source)
    text = f"SELECT {', '.join(quoted(column.name) for column in columns)} FROM source"  # noqa: S608  (quoted names)
    with contextlib.closing(source.batches([text], is_cancelled=is_cancelled)) as batches:
        table = pa.Table.from_batches([batch for _, batch in batches])
    made, wrong = [], ""
    for column in columns:
        try:
            made.append(table.column(column.name).cast(arrow_type(column.type)))
        except pa.ArrowInvalid:
            wrong = column.name
            break
    if wrong:
        raise SourceError(f"{asset.name}: column {wrong!r} has numbers beyond 64 bits, which no rule takes; drop it")
    return pa.table(made, names=[column.name for column in columns])


def _tags(asset: Asset, table: pa.Table, secret: bytes) -> TagArray:
    """Return a keyed hash of each row's key. Raises SourceError for keys that are missing or repeat."""
    keys = table.select(list(asset.key))
    missing = sum(column.null_count for column in keys.columns)
    if missing:
        raise SourceError(f"{asset.name}: {missing} values of the key are missing; a row without a key is nobody's")
    derived = prf.derive_key(secret, "release-tags/1", asset.name.encode())
    rows = zip(*(column.to_pylist() for column in keys.columns), strict=True)
    hashes = b"".join(
        hashlib.blake2b(json.dumps(row, default=str).encode(), key=derived, digest_size=TAG_BYTES).digest() for row in rows
    )
    tags = np.frombuffer(hashes, dtype="<u8").astype(np.uint64)
    repeated = len(tags) - len(np.unique(tags))
    if repeated:
        raise SourceError(f"{asset.name}: {repeated} rows repeat a key that is declared unique")
    return tags


def _under_rules(spec: ReleaseSpec, asset: Asset, read: pa.Table, context: Context) -> pa.Table:
    import pyarrow as pa

    from protocols.desensitise import rulefile

    pipeline = bind(rulefile.parse(spec.rules), asset, context)
    batches = read.select(pipeline.schema.names).combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
    return pa.Table.from_batches(list(pipeline.run(lambda: batches)), schema=pipeline.output_schema)


def _searched(
    plan: Plan, spec: ReleaseSpec, search: KAnonymity, made: pa.Table, progress: Progress
) -> tuple[pa.Table, npt.NDArray[np.bool_]] | Finding:
    """Return the table with its quasi-identifiers generalised, as text, and which rows stay; a finding if there is none."""
    import pyarrow as pa

    from protocols.desensitise import NotAnonymous, k_anonymise, models
    from protocols.errors import ParameterError

    risk = plan.rules.risk
    if risk is None:
        raise SourceError("the plan's profile asks for no k")
    frame = made.select([*spec.quasi, *spec.sensitive]).to_pandas()
    wanted: list[Any] = []
    for name in spec.sensitive:
        distance = models.OrderedCloseness if is_ordered(frame[name]) else models.EqualCloseness
        wanted += [models.DistinctDiversity(column=name, l=risk.l), distance(column=name, t=float(risk.t))]
    try:
        found = k_anonymise(
            frame,
            quasi=list(spec.quasi),
            hierarchies={item.column: hierarchy_of(item.hierarchy, spec) for item in search.hierarchies},
            k=risk.k,
            measure=search.measure,
            suppression_limit=search.suppression_limit,
            models=wanted,
            progress=progress,
        )
    except (ParameterError, NotAnonymous) as error:
        return Finding(check="provider.search", verdict="fail", subject=spec.asset, message=str(error))
    for name in spec.quasi:
        texts = [None if _is_missing(value) else str(value) for value in found.frame[name].tolist()]
        at = made.schema.get_field_index(name)
        made = made.set_column(at, pa.field(name, pa.large_string()), pa.array(texts, pa.large_string()))
    return made, ~found.suppressed


def is_ordered(column: pd.Series[Any]) -> bool:
    """Whether distances of a column's distribution follow an order: numbers and dates, none missing, not all alike."""
    import pandas as pd

    numbers = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    ordered = numbers or pd.api.types.is_datetime64_any_dtype(column)
    return bool(ordered and column.notna().all() and column.nunique() > 1)


def _is_missing(value: Any) -> bool:
    return value is None or value != value  # noqa: PLR0124  (NaN is not equal to itself)
