"""A pipeline of rules over a table that passes batch by batch, checked before the first row is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.errors import DataError, IdentifierSurvives, RuleError
from protocols.desensitise.recognisers import KINDS
from protocols.desensitise.rulefile import RuleFile
from protocols.desensitise.rules import Context, Rule, Spec, WholeColumn
from protocols.desensitise.rules.base import is_text
from protocols.desensitise.rules.pseudonyms import Encrypt, EncryptId, EncryptMobile, Keyed
from protocols.desensitise.rules.simple import Drop
from protocols.desensitise.survivors import FinalScan

LIVE_KEY = "de-identified: whoever has the key can undo it, so that this is personal data still"
NO_KEY = "desensitised: no key undoes it; whether it is anonymous is for measured risk to say"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReport:
    """What was done to a column. changed: rows whose value is another one; missing: before, after."""

    column: str
    rule: str
    family: str
    keeps: tuple[str, ...]
    undone_by: str
    in_output: bool
    rows: int
    changed: int
    missing_before: int
    missing_after: int
    mean_before: float | None = None
    mean_after: float | None = None


class Pipeline:
    """Rules for every column of one table, bound to keys. Used once.

    Raises RuleError for a column without a rule, a rule without its column, and a rule on a type that it does not take.
    """

    def __init__(self, rules: RuleFile, schema: pa.Schema, context: Context) -> None:
        self.rules = rules
        self.schema = schema
        _check_columns(rules, schema)
        self._rules = [Rule(name, rules.columns[name], context) for name in schema.names]
        for rule in self._rules:
            rule.accepts(schema)
        output = schema.remove_metadata()  # whoever wrote the file may have named somebody there
        for rule in self._rules:
            output = rule.produces(output)
        if not output.names:
            raise RuleError("every column is dropped; nothing would be written")
        for name in (*rules.quasi, *rules.sensitive):
            if name not in output.names:
                raise RuleError(f"column {name!r} is to be measured, and its rule drops it")
        self.output_schema = output
        self._tallies = {rule.column: _Tally() for rule in self._rules}
        permuted = {name for name, spec in rules.columns.items() if isinstance(spec, Encrypt | EncryptId | EncryptMobile)}
        keyed = [name for name, spec in rules.columns.items() if spec.family == "pseudonymisation"]
        self._scan = FinalScan(
            skip={name: KINDS if name in permuted else rules.may_hold.get(name, ()) for name in schema.names},
            identifiers=tuple(dict.fromkeys((*rules.identifiers, *keyed))),
            permuted=permuted,
        )

    @property
    def label(self) -> str:
        """What the output may be called: never anonymous where a key lives."""
        return LIVE_KEY if any(isinstance(spec, Keyed) for spec in self.rules.columns.values()) else NO_KEY

    @property
    def passes(self) -> int:
        """How often the input is read: twice if a rule has to see a whole column first."""
        return 2 if any(rule.spec.whole_column for rule in self._rules) else 1

    def run(self, read: Callable[[], Iterable[pa.RecordBatch]]) -> Iterator[pa.RecordBatch]:
        """Yield the output's batches. read: gives the input from its start, each time it is called, always in the same order.

        At the end the final scan judges all of it and raises IdentifierSurvives: keep nothing of what was yielded then.
        Raises DataError where a rule cannot take a value.
        """
        whole = [(rule.column, rule.convert) for rule in self._rules if isinstance(rule.convert, WholeColumn)]
        if whole:
            for batch in read():
                for name, convert in whole:
                    convert.observe(self._batch(batch).column(name))
            for _, convert in whole:
                convert.settle()
        start = 0
        for batch in read():
            try:
                output = self._changed(self._batch(batch))
            except DataError as error:
                problem = str(error)
            else:
                start += len(batch)
                yield output
                continue
            raise DataError(f"{problem} (rows are counted from row {start + 1} of the table)")
        survivors = self._scan.survivors()
        if survivors:
            raise IdentifierSurvives(survivors)

    def reports(self) -> list[ColumnReport]:
        """Return what was done, column by column."""
        return [self._tallies[rule.column].report(rule, rule.column in self.output_schema.names) for rule in self._rules]

    def _batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if not batch.schema.equals(self.schema):
            raise RuleError("a batch has another schema than the pipeline was made for")
        return batch

    def _changed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        for rule in self._rules:
            given = batch.column(rule.column)
            made = rule.values(batch) if rule.column in self.output_schema.names else None
            self._tallies[rule.column].add(given, made)
            if made is not None:
                columns.append(made)
        output = pa.RecordBatch.from_arrays(columns, schema=self.output_schema)
        self._scan.look(batch, output)
        return output


def plain(schema: pa.Schema) -> pa.Schema:
    """Return the schema with dictionary columns as what they stand for: what a pipeline takes."""
    fields = [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type) for field in schema
    ]
    return pa.schema(fields)


def describe(spec: Spec) -> str:
    """Return a rule as one line: its name and the parameters that are not secret (keys by their name)."""
    given = {name: getattr(spec, name) for name in spec.__struct_fields__ if name != "kinds"}
    spelled = {name: " and ".join(value) if isinstance(value, tuple) else f"{value}" for name, value in given.items() if value}
    shown = ", ".join(f"{name} {value}" for name, value in spelled.items())
    return f"{spec.__struct_config__.tag}" + (f" ({shown})" if shown else "")


def _check_columns(rules: RuleFile, schema: pa.Schema) -> None:
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise RuleError(f"the table has more than one column named {twice[0]!r}; rename one")
    without = [name for name in schema.names if name not in rules.columns]
    if without:
        shown = ", ".join(repr(name) for name in without[:10])
        raise RuleError(f'{len(without)} columns have no rule: {shown}; give each one, if only {{ rule = "drop" }}')
    strange = [field for field in schema if not _is_plain(field.type) and not isinstance(rules.columns[field.name], Drop)]
    if strange:
        raise RuleError(
            f"column {strange[0].name!r} is {strange[0].type}, which no rule or scan can read; drop it or unpack it"
        )
    missing = [name for name in rules.columns if name not in schema.names]
    if missing:
        raise RuleError(f"the table has no column {missing[0]!r}, which has a rule; is this the right file?")


def _is_plain(kind: pa.DataType) -> bool:
    """Whether the final scan, or a person, could tell what stands in the column: no lists, structures, blobs, extensions."""
    if isinstance(kind, pa.BaseExtensionType):
        return False
    return bool(
        is_text(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_null(kind)
    )


class _Tally:
    """Counts about one column, added up over batches."""

    def __init__(self) -> None:
        self.rows = self.changed = self.missing_before = self.missing_after = 0
        self._sums: list[float] = [0.0, 0.0]
        self._is_number = True

    def add(self, given: pa.Array, made: pa.Array | None) -> None:
        self.rows += len(given)
        self.missing_before += given.null_count
        self.missing_after += len(given) if made is None else made.null_count
        if made is None:
            self.changed += len(given) - given.null_count
            return
        text = pa.large_string()
        as_is = given.type.equals(made.type) and not pa.types.is_null(given.type)
        same = pc.equal(given, made) if as_is else pc.equal(given.cast(text), made.cast(text))
        kept = pc.fill_null(same, pc.and_(pc.is_null(given), pc.is_null(made)))
        self.changed += len(given) - int(pc.sum(kept.cast(pa.int64())).as_py() or 0)
        for at, column in enumerate((given, made)):
            if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                self._sums[at] += float(pc.sum(column.cast(pa.float64(), safe=False)).as_py() or 0)
            else:
                self._is_number = False

    def report(self, rule: Rule, in_output: bool) -> ColumnReport:
        counts = (self.rows - self.missing_before, self.rows - self.missing_after)
        means = [
            total / count if self._is_number and in_output and count else None
            for total, count in zip(self._sums, counts, strict=True)
        ]
        return ColumnReport(
            column=rule.column,
            rule=describe(rule.spec),
            family=rule.spec.family,
            keeps=tuple(sorted(rule.spec.keeps)),
            undone_by=rule.spec.undone_by,
            in_output=in_output,
            rows=self.rows,
            changed=self.changed,
            missing_before=self.missing_before,
            missing_after=self.missing_after,
            mean_before=means[0],
            mean_after=means[1],
        )
