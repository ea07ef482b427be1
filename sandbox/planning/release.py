"""plan_release: from a rule file and a table's declaration to a Plan that says, column by column, what will leave.

Whoever acts on such a plan (its provider) makes it again from the rules and refuses any other: `require_promised`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sandbox.errors import NotFound, UsageError
from sandbox.model.asset import Asset, Column
from sandbox.model.canonical import digest
from sandbox.model.expression import ColumnType
from sandbox.model.plan import ColumnUse, GateRules, Parameters, Plan, PlanInput, Protocol
from sandbox.model.release import KAnonymity, ReleasedColumn, ReleaseRequest, ReleaseSpec

if TYPE_CHECKING:
    import pyarrow as pa

    from protocols.desensitise.pipeline import Pipeline
    from protocols.desensitise.rulefile import RuleFile
    from protocols.desensitise.rules import Context, Spec

RELEASE: Protocol = "release/1"
SEARCHED = "; then the coarsest needed, by search"


def plan_release(
    request: ReleaseRequest,
    *,
    assets: Mapping[str, Asset],
    title: str,
    purpose: str,
    recipients: Sequence[str],
    rules: GateRules,
    operator: str,
    gate: str,
) -> Plan:
    """Return the Plan of a table's release. Raises UsageError, NotFound, RuleError (with the line of the rule file)."""
    for what, text in (("title", title), ("purpose", purpose), *(("recipient", name) for name in recipients)):
        if not text or not text.isprintable():
            raise UsageError(f"the {what} is empty or has control characters")
    if not recipients or len(set(recipients)) != len(recipients):
        raise UsageError("a release needs at least one recipient, each named once")
    if rules.risk is None:
        raise UsageError(f"the profile {rules.profile} is for statistics; take one for rows, such as release-controlled")
    asset = assets.get(request.asset)
    if asset is None:
        raise NotFound(f"there is no table {request.asset!r}; tables are: {', '.join(sorted(assets)) or 'none yet'}")
    spec = release_spec(request, asset, purpose=purpose, recipients=recipients)
    _check_limit(spec, rules)
    entry = PlanInput(
        provider=asset.provider,
        asset=asset.name,
        asset_version=asset.version,
        asset_digest=digest(asset),
        alias=asset.table,
        key=asset.key,
        unique=asset.unique,
        filters=(),
        groups=(),
        measures=(),
        carries=False,
        opens_multiplicity=False,
    )
    return Plan(
        version=1,
        title=title,
        purpose=purpose,
        recipients=tuple(recipients),
        sql="",
        protocol=RELEASE,
        key_domain=asset.key_domain,
        inputs=(entry,),
        groups=(),
        aggregates=(),
        select=(),
        having=None,
        order_by=(),
        limit=None,
        uses=tuple(
            ColumnUse(asset=asset.name, column=column.name, uses=("desensitise",)) for column in spec.columns if column.used
        ),
        dropped=tuple(f"{asset.name}.{column.name}" for column in spec.columns if not column.used),
        rules=rules,
        parameters=Parameters(),
        operator=operator,
        gate=gate,
        release=spec,
    )


def release_spec(request: ReleaseRequest, asset: Asset, *, purpose: str, recipients: Sequence[str]) -> ReleaseSpec:
    """Return what rules make of a table, from its declaration alone. Raises UsageError, RuleError."""
    from protocols.desensitise import rulefile
    from protocols.desensitise.rules import Context

    if not asset.unique:
        raise UsageError(
            f"{asset.name} may have several rows a person, so classes of rows say nothing of people; declare its key unique"
        )
    found = rulefile.parse(request.rules)
    _check_head(found, purpose, recipients)
    texts = {item.name: item.text for item in request.trees}
    named = [*found.tree_files, *_search_trees(request.k_anonymity)]
    for name in named:
        if name not in texts:
            raise UsageError(f"the rules name the hierarchy {name!r}, which was not given")
    # No key is needed to know what becomes of the columns.
    stand_ins = dict.fromkeys(found.key_files, bytes(32))
    pipeline = bind(
        found, asset, Context(purpose=purpose, recipient=", ".join(sorted(recipients)), keys=stand_ins, texts=texts)
    )
    quasi = tuple(dict.fromkeys((*request.quasi, *found.quasi)))
    sensitive = tuple(dict.fromkeys((*request.sensitive, *found.sensitive)))
    if not quasi:
        raise UsageError("rows are judged by what an attacker may know of a person: name at least one column in quasi")
    columns = _columns(found, asset, pipeline, quasi if request.k_anonymity else ())
    _check_roles(asset, columns, quasi, sensitive)
    _check_search(request.k_anonymity, quasi)
    return ReleaseSpec(
        asset=asset.name,
        rules=request.rules,
        trees=tuple(item for item in request.trees if item.name in named),
        quasi=quasi,
        sensitive=sensitive,
        columns=columns,
        k_anonymity=request.k_anonymity,
        label=pipeline.label,
    )


def request_of(spec: ReleaseSpec) -> ReleaseRequest:
    """Return the request that a release was made from."""
    return ReleaseRequest(
        asset=spec.asset,
        rules=spec.rules,
        trees=spec.trees,
        quasi=spec.quasi,
        sensitive=spec.sensitive,
        k_anonymity=spec.k_anonymity,
    )


def require_promised(plan: Plan, asset: Asset) -> ReleaseSpec:
    """Return a plan's release if it, its uses and its input are what its rules make of this table. Raises UsageError."""
    spec = plan.release
    if spec is None or plan.protocol != RELEASE:
        raise UsageError("the plan releases no table of rows")
    again = plan_release(
        request_of(spec),
        assets={asset.name: asset},
        title=plan.title,
        purpose=plan.purpose,
        recipients=plan.recipients,
        rules=plan.rules,
        operator=plan.operator,
        gate=plan.gate,
    )
    if again != plan:
        raise UsageError("the plan promises something else than its rules make of this table; explain the job again")
    return spec


def bind(found: RuleFile, asset: Asset, context: Context) -> Pipeline:
    """Return the rules, bound to the columns of a table that they read: `read_schema` of it. Raises RuleError."""
    from protocols.desensitise.pipeline import Pipeline

    declared = [column.name for column in asset.columns]
    strange = [name for name in found.columns if name not in declared]
    without = [name for name in declared if name not in found.columns]
    if strange:
        raise UsageError(f"{asset.name} has no column {strange[0]!r}, which has a rule; it has {', '.join(declared)}")
    if without:
        raise UsageError(f'{asset.name}: {", ".join(without)} have no rule; give each one, if only {{ rule = "drop" }}')
    schema = read_schema(found, asset)
    kept = {name: found.columns[name] for name in schema.names}
    # What is measured is the job's to say; a column that is not read has no value that could survive.
    reduced = dataclasses.replace(
        found, columns=kept, quasi=(), sensitive=(), identifiers=tuple(name for name in found.identifiers if name in kept)
    )
    return Pipeline(reduced, schema, context)


def read_schema(found: RuleFile, asset: Asset) -> pa.Schema:
    """Return the columns that rules read of a table, in its order: those that stay, and those that rules look for in others."""
    import pyarrow as pa

    wanted = _read(found)
    return pa.schema([pa.field(column.name, arrow_type(column.type)) for column in asset.columns if column.name in wanted])


def arrow_type(kind: ColumnType) -> pa.DataType:
    """Return the type in which rules see a column. Decimals are read as floats, since rules take numbers of these two kinds."""
    import pyarrow as pa

    return {
        "integer": pa.int64(),
        "decimal": pa.float64(),
        "float": pa.float64(),
        "text": pa.large_string(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }[kind]


def released_type(kind: pa.DataType) -> ColumnType:
    """Return how a plan names the type of a released column. Raises UsageError for one that it has no name for."""
    names: tuple[ColumnType, ...] = ("integer", "float", "text", "boolean", "date", "timestamp")
    for name in names:
        if kind.equals(arrow_type(name)):
            return name
    if str(kind) in ("string", "int32"):
        return "text" if str(kind) == "string" else "integer"
    raise UsageError(f"a rule makes a column of type {kind}, which a released table has not")


def _read(found: RuleFile) -> frozenset[str]:
    stays = {name for name, spec in found.columns.items() if not _is_dropped(spec)}
    also = {name for spec in found.columns.values() for name in spec.needs()}
    return frozenset(stays | also | set(found.identifiers))


def _is_dropped(spec: Spec) -> bool:
    from protocols.desensitise.rules.simple import Drop

    return isinstance(spec, Drop)


def _columns(found: RuleFile, asset: Asset, pipeline: Pipeline, searched: Collection[str]) -> tuple[ReleasedColumn, ...]:
    from protocols.desensitise.pipeline import describe
    from protocols.desensitise.rules.perturbing import Noise, RankSwap
    from protocols.desensitise.rules.pseudonyms import Encrypt, EncryptId, EncryptMobile

    also = {name for spec in found.columns.values() for name in spec.needs()}
    made = []
    for column in asset.columns:
        spec, output = found.columns[column.name], pipeline.output_schema
        stays = column.name in output.names
        is_searched = stays and column.name in searched
        kind: ColumnType | None = "text" if is_searched else None
        if stays and not is_searched:
            kind = released_type(output.field(column.name).type)
        made.append(
            ReleasedColumn(
                name=column.name,
                source=column.type,
                rule=describe(spec) + (SEARCHED if is_searched else ""),
                family="generalisation" if is_searched and spec.family == "keep" else spec.family,
                undone_by="nobody" if is_searched and spec.undone_by == "not changed" else spec.undone_by,
                type=kind,
                used=stays or column.name in also or column.name in asset.key,
                draws=stays and isinstance(spec, Noise | RankSwap),
                keeps_form=stays and isinstance(spec, Encrypt | EncryptId | EncryptMobile),
                may_hold=tuple(found.may_hold.get(column.name, ())),
            )
        )
    return tuple(made)


def _check_head(found: RuleFile, purpose: str, recipients: Sequence[str]) -> None:
    if found.purpose != purpose:
        raise UsageError(
            f"the rules are for the purpose {found.purpose!r}, and the job is for {purpose!r}; write rules for this one"
        )
    if found.recipient not in recipients:
        raise UsageError(
            f"the rules are for {found.recipient!r}, who receives nothing here; recipients are {', '.join(recipients)}"
        )


def _check_roles(asset: Asset, columns: Sequence[ReleasedColumn], quasi: Sequence[str], sensitive: Sequence[str]) -> None:
    """What is measured is in the table and left out nothing that the catalogue declares; no identifier leaves as it is."""
    by_name = {column.name: column for column in columns}
    for what, names in (("quasi", quasi), ("sensitive", sensitive)):
        for name in names:
            if name not in by_name:
                raise UsageError(f"{what} names {name!r}, which is no column of {asset.name}")
            if by_name[name].type is None:
                raise UsageError(f"{what} names {name!r}, which its rule drops; name what stays in the table")
    both = [name for name in quasi if name in sensitive]
    if both:
        raise UsageError(f"{both[0]!r} is named as quasi-identifier and as sensitive; it is one of them")
    for column in asset.columns:
        made = by_name[column.name]
        if made.type is None:
            continue
        if column.role == "quasi_identifier" and column.name not in quasi:
            raise UsageError(
                f"the catalogue declares {asset.name}.{column.name} a quasi-identifier; name it in quasi, or drop it"
            )
        if column.role == "sensitive" and column.name not in sensitive:
            raise UsageError(f"the catalogue declares {asset.name}.{column.name} sensitive; name it in sensitive, or drop it")
        if is_identifier(asset, column) and not hides(made):
            raise UsageError(
                f"{asset.name}.{column.name} names people, and its rule ({made.rule}) leaves it readable; drop it, suppress it "
                "or put a pseudonym in its place"
            )


def is_identifier(asset: Asset, column: Column) -> bool:
    """Return whether a column says by itself who a row is about."""
    return column.role == "direct_identifier" or column.name in asset.key


def hides(made: ReleasedColumn) -> bool:
    """Return whether nobody without a key can read a column: it is left out, emptied or under a pseudonym."""
    return made.type is None or made.family == "pseudonymisation" or made.rule == "suppress"


def _search_trees(search: KAnonymity | None) -> tuple[str, ...]:
    return () if search is None else tuple(item.hierarchy.tree for item in search.hierarchies if item.hierarchy.tree)


def _check_search(search: KAnonymity | None, quasi: Sequence[str]) -> None:
    for item in () if search is None else search.hierarchies:
        item.hierarchy.check()
        if item.column not in quasi:
            raise UsageError(f"k_anonymity has a hierarchy for {item.column!r}, which is not named in quasi")


def _check_limit(spec: ReleaseSpec, rules: GateRules) -> None:
    risk, search = rules.risk, spec.k_anonymity
    if risk is not None and search is not None and not 0 <= search.suppression_limit <= float(risk.suppression):
        raise UsageError(f"suppression_limit is not within 0 and the {risk.suppression} of the profile {rules.profile}")
