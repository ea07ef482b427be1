"""The report of `sandbox desensitise`: one HTML page without any outside resource, readable on paper."""

from __future__ import annotations

import html
import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from protocols.errors import ParameterError
from sandbox.cli import svg

if TYPE_CHECKING:
    from protocols.desensitise.pipeline import ColumnReport, Pipeline
    from protocols.desensitise.rulefile import RuleFile
    from protocols.risk import Finding, RiskReport

SIZES = ((1, 1), (2, 2), (3, 4), (5, 10), (11, 20), (21, 50), (51, 100), (101, None))
MAX_K = 50
ATTACKED = 100_000
STYLE = """
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
table { border-collapse: collapse; width: 100%; margin: 0.5em 0 1.5em; } th, td { text-align: left; padding: 0.25em 0.6em;
border-bottom: 1px solid #ccc; vertical-align: top; overflow-wrap: break-word; } .number { text-align: right; }
h1 { font-size: 1.5em; } h2 { font-size: 1.15em; margin-top: 2em; } h2, h2 + p { break-after: avoid; }
.bad { font-weight: bold; }
.label { border: 2px solid #111; padding: 0.5em 1em; } svg { max-width: 100%; height: auto; break-inside: avoid; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; } tr { break-inside: avoid; } }
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured on the output: risk by `protocols.risk`, class sizes ascending, attacks that need nothing else."""

    risk: RiskReport
    sizes: npt.NDArray[np.int64]
    attacks: tuple[Finding, ...]
    k_wanted: int

    def document(self) -> dict[str, Any]:
        """Return the figures for machines."""
        prosecutor = self.risk.prosecutor
        return {
            "quasi": list(self.risk.quasi),
            "k": self.risk.k,
            "k_wanted": self.k_wanted,
            "classes": self.risk.classes,
            "uniqueness": self.risk.uniqueness,
            "prosecutor": {
                "highest": prosecutor.highest,
                "mean": prosecutor.mean,
                "above": prosecutor.above,
                "tau": self.risk.tau,
            },
            "l": self.risk.l,
            "t": self.risk.t,
            "attacks": [{"attack": each.attack, "verdict": each.verdict, "message": each.message} for each in self.attacks],
        }


class Measuring:
    """Keeps the columns that are to be measured, a number a row and column, while the output passes."""

    def __init__(self, rules: RuleFile) -> None:
        self._rules = rules
        self._names = list(dict.fromkeys((*rules.quasi, *rules.sensitive)))
        self._parts: list[pa.RecordBatch] = []
        self.why_not = "the rule file names no quasi-identifiers"

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the measured columns of one batch of the output."""
        if self._rules.quasi:
            columns = [batch.column(name).dictionary_encode() for name in self._names]
            self._parts.append(pa.RecordBatch.from_arrays(columns, names=self._names))

    def figures(self) -> Figures | None:
        """Return what can be said; None where nothing can be, and `why_not` says why."""
        if not self._parts:
            return None
        from protocols import risk

        table = pa.Table.from_batches(self._parts).unify_dictionaries()
        frame = table.cast(pa.schema([(field.name, field.type.value_type) for field in table.schema])).to_pandas()
        quasi = list(self._rules.quasi)
        try:
            measured = risk.measure(frame, quasi, list(self._rules.sensitive))
            # Somebody who knows everyone's quasi-identifiers, in the terms of the output: the worst that linkage can do.
            people = np.linspace(0, len(frame) - 1, min(len(frame), ATTACKED)).astype(np.int64)
            linked = risk.linkage(frame, frame.iloc[people].reset_index(drop=True), quasi, people.tolist())
            attacks = (linked, *(risk.homogeneity(frame, quasi, name) for name in self._rules.sensitive))
        except ParameterError as error:
            self.why_not = str(error)
            return None
        sizes = np.sort(frame.groupby(quasi, dropna=False, observed=True).size().to_numpy(dtype=np.int64))
        return Figures(risk=measured, sizes=sizes, attacks=attacks, k_wanted=self._rules.k)


def render(name: str, pipeline: Pipeline, rows: int, figures: Figures | None, why_not: str) -> str:
    """Return the page. why_not: why there are no figures. Everything that came from a file is escaped."""
    rules = pipeline.rules
    facts = [
        ("file", name),
        ("rows", f"{rows:,}"),
        ("purpose", rules.purpose),
        ("recipient", rules.recipient),
        ("made by", f"public-data-sandbox {importlib.metadata.version('public-data-sandbox')}"),
    ]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>Desensitisation of {_text(name)}</title><style>{STYLE}</style></head><body>",
        f"<h1>Desensitisation of {_text(name)}</h1>",
        _table((), facts),
        f"<p class='label'>{_text(pipeline.label)}</p>",
        "<h2>What was done</h2>",
        _columns(pipeline.reports()),
        "<p>The final scan, which knows the recognisers and not the rules, found no identifier in the output.</p>",
        _permissions(rules),
        "<h2>Utility</h2>",
        _utility(pipeline.reports()),
        *(_measured(figures) if figures else [f"<h2>Risk</h2><p>Not measured: {_text(why_not)}.</p>"]),
        "</body></html>",
    ]
    return "\n".join(parts)


def _columns(reports: Sequence[ColumnReport]) -> str:
    rows = [
        (
            each.column,
            each.rule if each.in_output else f"{each.rule}: not in the output",
            each.family,
            ", ".join(each.keeps) or "nothing",
            each.undone_by,
        )
        for each in reports
    ]
    return _table(("column", "rule", "family", "keeps", "can be undone by"), rows)


def _permissions(rules: RuleFile) -> str:
    allowed = [(column, ", ".join(kinds)) for column, kinds in rules.may_hold.items()]
    return _table(("column", "may hold, by permission of the rule file"), allowed) if allowed else ""


def _utility(reports: Sequence[ColumnReport]) -> str:
    rows = [
        (
            each.column,
            f"{each.changed / max(1, each.rows):.1%}",
            f"{each.missing_before:,}",
            f"{each.missing_after:,}",
            "" if each.mean_before is None else f"{each.mean_before:.6g}",
            "" if each.mean_after is None else f"{each.mean_after:.6g}",
        )
        for each in reports
        if each.in_output
    ]
    return _table(("column", "rows changed", "missing before", "after", "mean before", "after"), rows)


def _measured(figures: Figures) -> list[str]:
    risk, sizes = figures.risk, figures.sizes
    chance = 1 / figures.k_wanted
    rows = [
        ("smallest class (k)", f"{risk.k:,}", f"at least {figures.k_wanted}", risk.k >= figures.k_wanted),
        (
            "highest chance of a right guess (prosecutor)",
            f"{risk.prosecutor.highest:.3f}",
            f"at most {chance:.3f}",
            risk.prosecutor.highest <= chance,
        ),
        ("mean chance", f"{risk.prosecutor.mean:.4f}", "", None),
        (f"rows with a chance above {risk.tau:g}", f"{risk.prosecutor.above:.2%}", "", None),
        ("rows alone in their class", f"{risk.uniqueness:.2%}", "0.00%", risk.uniqueness == 0),
        *((f"different values of {name} in a class", f"{value}", "at least 2", value >= 2) for name, value in risk.l.items()),
        *(
            (f"distance of a class from all, {name} (t)", f"{value:.3f}", "at most 0.2", value <= 0.2)
            for name, value in risk.t.items()
        ),
    ]
    shown = [(what, value, wanted, "" if met is None else "met" if met else "NOT MET") for what, value, wanted, met in rows]
    attacks = [(each.attack, each.verdict, *_interval(each), each.message) for each in figures.attacks]
    rows_in = [int(sizes[(sizes >= low) & (sizes <= (high or sizes[-1]))].sum()) for low, high in SIZES]
    labels = [str(low) if low == high else f"{low}+" if high is None else f"{low}-{high}" for low, high in SIZES]
    ks = list(range(1, MAX_K + 1))
    lost = [float(sizes[sizes < k].sum() / sizes.sum()) for k in ks]
    return [
        f"<h2>Risk over {_text(', '.join(risk.quasi))}</h2>",
        _table(("measure", "found", "threshold", ""), shown),
        "<h2>Sizes of classes</h2><p>Rows by the number of rows that share their quasi-identifiers.</p>",
        svg.bars(labels, rows_in, across="rows in the class", up="rows"),
        "<h2>Attacks</h2><p>Linkage is by somebody who knows everyone's quasi-identifiers, in the terms of the output.",
        "Singling out and inference need a control group, people who are not in the file: "
        "<code>sandbox risk --original --control</code>.</p>",
        _table(("attack", "verdict", "risk, 95 % interval", "threshold", "what was found"), attacks),
        "<h2>Privacy against utility</h2><p>Rows that would have to go for every class to have k rows, under these rules.</p>",
        svg.line(ks, lost, across="k", up="rows to suppress", mark=figures.k_wanted),
    ]


def _interval(finding: Finding) -> tuple[str, str]:
    if finding.risk is None:
        return "certain", "none"
    return f"{finding.risk.value:.2%} ({finding.risk.low:.2%} to {finding.risk.high:.2%})", f"{finding.threshold:.0%}"


def _table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table. A column with a header whose cells are numbers is set to the right."""
    lines = [[str(cell) for cell in row] for row in rows]
    numeric = [bool(lines) and all(_is_number(line[at]) for line in lines) for at in range(len(headers))]
    head = "".join(_cell("th", header, right) for header, right in zip(headers, numeric, strict=True))
    numeric = numeric or [False] * max(map(len, lines), default=0)
    body = ("".join(_cell("td", *cell) for cell in zip(line, numeric, strict=True)) for line in lines)
    return f"<table>{f'<tr>{head}</tr>' if head else ''}{''.join(f'<tr>{line}</tr>' for line in body)}</table>"


def _is_number(text: str) -> bool:
    return text.strip("0123456789.,%e+-") == ""


def _cell(tag: str, text: str, right: bool) -> str:
    kind = " class='bad'" if text in ("NOT MET", "FAIL", "INCONCLUSIVE") else " class='number'" if right else ""
    return f"<{tag}{kind}>{_text(text)}</{tag}>"


def _text(value: object) -> str:
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in str(value))
    return html.escape(shown)
