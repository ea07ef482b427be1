"""Synthetic twins of assets, made at their provider's node from what the catalogue declares."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sandbox.errors import SourceError, UsageError, Withheld
from sandbox.model.asset import Asset, Column
from sandbox.model.decision import Finding
from sandbox.model.expression import Literal
from sandbox.sources import Source
from sandbox.sources.columns import quoted

if TYPE_CHECKING:
    import pyarrow as pa

    from protocols.desensitise import Twin
    from protocols.desensitise.synthesis.counting import Options
    from protocols.desensitise.synthesis.fields import Form
    from protocols.risk import Findings
    from sandbox.node.session import OnProgress

_FORMS: dict[Form, str] = {
    "cn_id": r"id_?card.*|identity.*|national_?id|身份证.*|证件.*",
    "cn_mobile": r"phone.*|mobile.*|tel(ephone)?|手机.*|电话.*|联系电话",
    "email": r"e_?mail.*|邮箱.*|电子邮件.*",
    "name": r"(full|first|last|sur|family|given)?_?name|姓名.*",
}


class AssetTwin:
    """A synthetic twin of an asset, that passed its attacks.

    findings: of each attack. aggregates: everything that it was made from. utility, closeness: for the owner's report.
    left_out: the asset's columns that took no part, and why.
    """

    def __init__(self, twin: Twin, asset: Asset, left_out: dict[str, str], seed: int | None) -> None:
        self._twin = twin
        self.asset = asset
        self.left_out = left_out
        self.seed = seed
        self.aggregates = twin.aggregates
        self.findings = twin.findings
        self.utility = twin.utility
        self.closeness = twin.closeness

    def to_arrow(self) -> pa.Table:
        """Return the synthetic rows; the schema's metadata say `synthetic`."""
        return self._twin.to_arrow()

    def to_pandas(self) -> Any:
        """Return the synthetic rows as a DataFrame; its `attrs` say `synthetic`."""
        return self._twin.to_pandas()

    def __repr__(self) -> str:
        return f"<AssetTwin of {self.asset.name}: {self.to_arrow().num_rows} synthetic rows>"

    def _repr_html_(self) -> str:
        return self._twin._repr_html_()


def make_twin(
    asset: Asset,
    source: Source,
    *,
    rows: int | None,
    epsilon: Fraction | int | None,
    contribution: int,
    seed: int | None,
    on_progress: OnProgress | None,
) -> AssetTwin:
    """Return a twin of an asset. Its rows are read by a worker, and stay in this process, which is its provider's.

    Raises Withheld with the findings if an attack does not pass or the table is too small; SourceError if the data are not
    as declared; UsageError, ParameterError if no column can take part or a parameter is wrong.
    """
    from protocols import desensitise

    left_out = {column.name: why for column in asset.columns if (why := _why_not(column, asset))}
    taken = [column for column in asset.columns if column.name not in left_out]
    lost = [name for name in asset.key if name in left_out]
    if lost:
        raise UsageError(f"key column {lost[0]!r} {left_out[lost[0]]}; without its key, {asset.name} has no twin")
    options = _options(asset, taken)
    options |= {"epsilon": epsilon, "contribution": contribution}
    names = ", ".join(quoted(column.name) for column in taken)
    (table,) = source.query([f"SELECT {names} FROM source"])  # noqa: S608  (quoted names of declared columns)
    sensitive = [column.name for column in taken if column.role == "sensitive"]
    refused: tuple[Finding, ...] = ()
    wrong = ""
    try:
        made = desensitise.synthesise(table, rows=rows, sensitive=sensitive, seed=seed, on_progress=on_progress, **options)
    except desensitise.TwinRefused as error:
        refused = _findings(error.findings, asset)
    except desensitise.TooFewRows as error:
        refused = (Finding(check="rows", verdict="inconclusive", subject=asset.name, message=str(error)),)
    except desensitise.DataError as error:
        wrong = str(error)
    if refused:
        raise Withheld(refused)
    if wrong:
        raise SourceError(f"{asset.name}: {wrong}")
    return AssetTwin(made, asset, left_out, seed)


def _why_not(column: Column, asset: Asset) -> str:
    """Return why a column takes no part, or nothing."""
    if column.grade in ("core", "secret"):
        return f"is of grade {column.grade}"
    if "unclassified" in (column.role, column.grade):
        return "is unclassified"
    if column.name in asset.key:
        return ""
    if column.role == "direct_identifier":
        return "" if column.type in ("text", "integer") else f"is a direct identifier of type {column.type}"
    if column.type in ("integer", "decimal", "float") and column.codes is None and column.bounds is None:
        return "is a number without declared bounds or codes"
    return ""


def _options(asset: Asset, taken: list[Column]) -> Options:
    made = {column.name for column in taken if column.role == "direct_identifier"} | set(asset.key)
    counted = [column for column in taken if column.name not in made]
    return {
        "bounds": {column.name: column.bounds for column in counted if column.bounds and column.codes is None},
        "codes": {column.name: [_value(code) for code in column.codes] for column in counted if column.codes is not None},
        "scales": {column.name: column.scale for column in counted if column.bounds and column.codes is None},
        "clip": [column.name for column in counted if column.clip],
        "key": asset.key,
        "unique": asset.unique,
        "identifiers": {name: _form(asset, name) for name in sorted(made - set(asset.key))},
    }


def _form(asset: Asset, name: str) -> Form:
    """Return the form that a direct identifier's name tells; its values are not looked at."""
    column = asset.column(name)
    if column is not None and column.type == "text":
        for form, pattern in _FORMS.items():
            if re.fullmatch(pattern, name.strip(), re.IGNORECASE):
                return form
    return "token"


def _value(code: Literal) -> Any:
    kinds: dict[str, Any] = {
        "integer": int,
        "decimal": Decimal,
        "boolean": "true".__eq__,
        "date": datetime.date.fromisoformat,
        "timestamp": datetime.datetime.fromisoformat,
    }
    return kinds.get(code.type, str)(code.value)


def _findings(found: Findings, asset: Asset) -> tuple[Finding, ...]:
    verdicts: dict[str, Any] = {"PASS": "pass", "FAIL": "fail", "INCONCLUSIVE": "inconclusive"}
    return tuple(
        Finding(check=item.attack, verdict=verdicts[item.verdict], subject=asset.name, message=f"{item.attack}: {item.message}")
        for item in found.items
    )
