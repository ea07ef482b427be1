"""Classification: roles and grades proposed from names, uniqueness and recognised forms of values. A person confirms them.

What is counted is generated SQL over `source`; only the counts come here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sandbox.catalogue.definition import MEASURE_TYPES, Schema
from sandbox.errors import UsageError
from sandbox.model.asset import Grade, Role
from sandbox.model.canonical import Document

RECOGNISED_SHARE = 0.8
NEARLY_UNIQUE = 0.98
MIN_ROWS = 20

_NAMES: tuple[tuple[Role, Grade, str, str], ...] = (
    (
        "direct_identifier",
        "important",
        "a name that identifies a person",
        r"(full|first|last|sur|family|given)?_?name|passport|ssn|national_?id|id_?(card|number|no)|phone|mobile|tel(ephone)?"
        r"|e?_?mail|address|addr|plate|bank_?(card|account)|iban|姓名|身份证.*|证件.*|护照.*|电话.*|手机.*|邮箱|住址|地址|车牌.*|银行卡.*",
    ),
    (
        "sensitive",
        "important",
        "a name of sensitive content",
        r".*(diagnos|disease|icd|diabetes|hiv|drug|religio|income|salary|wage|debt|crim|disabil|诊断|疾病|病种|收入|工资|宗教|犯罪|残疾).*",
    ),
    (
        "quasi_identifier",
        "general",
        "a name of a trait that others may know",
        r"sex|gender|male|female|age|birth.*|dob|zip|zip_?code|post_?code|postal.*|city|county|district|region|province|nation.*"
        r"|ethnic.*|race|marital.*|education|occupation|job|性别|年龄|出生.*|生日|邮编|民族|籍贯|婚姻.*|学历|职业|区县|城市|省份?",
    ),
    ("key", "general", "a name of a join key", r"id|.*_id|.*_no|.*_key|uuid|编号|.*编号|.*代码"),
)

_TEXT = "CAST({c} AS VARCHAR)"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_SUM = " + ".join(f"{weight} * TRY_CAST(substr({_TEXT}, {at}, 1) AS INTEGER)" for at, weight in enumerate(_WEIGHTS, start=1))
RECOGNISERS: tuple[tuple[str, str], ...] = (
    (
        "18-digit identity numbers with a right check digit (GB 11643)",
        f"regexp_full_match({_TEXT}, '[1-9][0-9]{{{{16}}}}[0-9Xx]') "
        f"AND substr('10X98765432', ({_SUM}) % 11 + 1, 1) = upper(substr({_TEXT}, 18, 1))",
    ),
    ("mobile numbers", f"regexp_full_match({_TEXT}, '(\\+?86)?1[3-9][0-9]{{{{9}}}}')"),
    ("e-mail addresses", f"regexp_full_match({_TEXT}, '[^@\\s]+@[^@\\s]+\\.[A-Za-z]{{{{2,}}}}')"),
)


class Proposal(Document, frozen=True, kw_only=True):
    """What a column seems to be, and why. Not in force until a person declares it."""

    column: str
    role: Role
    grade: Grade
    reason: str


def evidence_statement(schema: Schema) -> str:
    """Return one SELECT over `source`, of one row: rows; then per column values, distinct and recognised ones."""
    counts = ["count(*)"]
    for name, kind in schema:
        quoted = '"' + name.replace('"', '""') + '"'
        counts += [f"count({quoted})", f"count(DISTINCT {quoted})"]
        for _, condition in RECOGNISERS:
            counted = kind in ("text", "integer")
            counts.append(f"count(*) FILTER (WHERE {condition.format(c=quoted)})" if counted else "0")
    return f"SELECT {', '.join(counts)} FROM source"  # noqa: S608  (quoted names)


def classify(schema: Schema, evidence: Sequence[int] | None = None) -> tuple[Proposal, ...]:
    """Return one proposal per column. evidence: the row that `evidence_statement` gives; without it, names and types decide.

    The proposals of a small table (under 20 rows) rest on names alone. Raises UsageError for evidence of another schema.
    """
    width = 2 + len(RECOGNISERS)
    if evidence is not None and len(evidence) != 1 + width * len(schema):
        raise UsageError("the evidence is not of these columns; count it again")
    usable = evidence if evidence is not None and evidence[0] >= MIN_ROWS else None
    proposals = []
    for at, (name, kind) in enumerate(schema):
        found = None if usable is None else usable[1 + at * width : 1 + (at + 1) * width]
        proposals.append(_propose(name, kind, 0 if usable is None else usable[0], found))
    return tuple(proposals)


def _propose(name: str, kind: str, rows: int, found: Sequence[int] | None) -> Proposal:
    if found is not None and found[0]:
        for (what, _), count in zip(RECOGNISERS, found[2:], strict=True):
            if count >= RECOGNISED_SHARE * found[0]:
                return Proposal(column=name, role="direct_identifier", grade="important", reason=f"most values are {what}")
    for role, grade, reason, pattern in _NAMES:
        if re.fullmatch(pattern, name.strip(), re.IGNORECASE):
            return Proposal(column=name, role=role, grade=grade, reason=reason)
    if found is not None and kind in ("text", "integer") and found[0] and found[1] >= NEARLY_UNIQUE * rows:
        return Proposal(column=name, role="direct_identifier", grade="important", reason="nearly every row has its own value")
    if kind in MEASURE_TYPES:
        return Proposal(column=name, role="measure", grade="general", reason=f"{kind} values under no known name")
    return Proposal(column=name, role="unclassified", grade="unclassified", reason="nothing is known about it; classify it")
