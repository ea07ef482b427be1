"""What a rule is: a frozen description (`Spec`), and the same bound to a column, with its key (`Rule`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.errors import DataError, RuleError
from protocols.errors import ParameterError
from protocols.primitives.rng import OsRng, Rng

Family = Literal["keep", "masking", "generalisation", "suppression", "pseudonymisation", "perturbation", "redaction"]
Property = Literal["value", "length", "order", "joinability", "distribution"]
Undo = Literal["nobody", "key holder", "not changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a rule file's reader gives to its rules. Holds keys: secret.

    purpose, recipient: what pseudonyms are bound to, so that two recipients cannot join. keys: by name, at least 32 bytes
    each. texts: hierarchies by the name that the rule file gives them.
    """

    purpose: str
    recipient: str
    keys: Mapping[str, bytes] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    rng: Rng = field(default_factory=OsRng)

    def __repr__(self) -> str:
        return f"Context(purpose={self.purpose!r}, recipient={self.recipient!r}, keys=<redacted>)"


Convert = Callable[[pa.Array, pa.RecordBatch], pa.Array]


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="rule"):
    """A rule as it stands in a rule file: its own parameters, nothing of the column. Subclasses fill in what follows.

    family: ISO/IEC 20889's technique. keeps: what an analyst may still rely on. undone_by: who can get the values back.
    whole_column: the rule sees all values before it changes the first (two passes; 8 bytes a value of memory).
    takes_numbers: text is no use to it, so whoever reads a CSV has to make numbers of the column.
    """

    family: ClassVar[Family]
    keeps: ClassVar[frozenset[Property]] = frozenset()
    undone_by: ClassVar[Undo] = "nobody"
    whole_column: ClassVar[bool] = False
    takes_numbers: ClassVar[bool] = False

    def check(self, kind: pa.DataType) -> str | None:
        """Return what columns this rule takes if this type is not one of them."""
        return None

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Return the type of the result; None if the column is left out."""
        return kind

    def bind(self, column: str, context: Context) -> Convert:
        """Return what converts a column of a batch. Raises RuleError for missing keys and unusable parameters."""
        return lambda values, _: values

    def needs(self) -> tuple[str, ...]:
        """Return the names of other columns that this rule reads."""
        return ()


class WholeColumn:
    """A converter that reads a column to its end first: `observe` for each batch, `settle` once, then the calls in order."""

    def observe(self, values: pa.Array) -> None:
        """Take one batch's values."""

    def settle(self) -> None:
        """All values have been seen."""

    def __call__(self, values: pa.Array, batch: pa.RecordBatch) -> pa.Array:
        """Return the next batch's new values."""
        return values


class Rule:
    """A rule for one column of a table."""

    def __init__(self, column: str, spec: Spec, context: Context) -> None:
        self.column = column
        self.spec = spec
        try:
            self.convert: Convert = spec.bind(column, context)
        except DataError:
            raise
        except ParameterError as error:
            raise RuleError(f"columns.{column}: {error}") from None

    def __repr__(self) -> str:
        return f"Rule({self.column!r}, {type(self.spec).__name__})"

    def accepts(self, schema: pa.Schema) -> None:
        """Raise RuleError unless the schema has the rule's column, of a type that it takes, and the columns that it reads."""
        for name in (self.column, *self.spec.needs()):
            if schema.get_field_index(name) < 0:
                raise RuleError(f"columns.{self.column}: the table has no column {name!r}")
        kind = schema.field(self.column).type
        wanted = self.spec.check(kind)
        if wanted is not None:
            raise RuleError(f"columns.{self.column}: the rule takes {wanted}, and the column is {kind}; choose another rule")

    def produces(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema after the rule."""
        at = schema.get_field_index(self.column)
        kind = self.spec.output(schema.field(at).type)
        return schema.remove(at) if kind is None else schema.set(at, pa.field(self.column, kind))

    def apply(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with this column changed. Raises DataError, naming the column and rows."""
        at = batch.schema.get_field_index(self.column)
        kind = self.spec.output(batch.schema.field(at).type)
        if kind is None:
            return batch.remove_column(at)
        return batch.set_column(at, pa.field(self.column, kind), self.values(batch))

    def values(self, batch: pa.RecordBatch) -> pa.Array:
        """Return this column's new values, from a batch as it came in."""
        given = batch.column(self.column)
        kind = self.spec.output(given.type)
        try:
            return self.convert(given, batch).cast(kind)
        except DataError:
            raise
        except ParameterError as error:
            raise DataError(
                str(error) if f"column {self.column!r}" in str(error) else f"column {self.column!r}: {error}"
            ) from None


def is_text(kind: pa.DataType) -> bool:
    """Text of either width."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def text_or_integer(kind: pa.DataType) -> str | None:
    """The check of rules over characters; whole numbers are spelled in decimal."""
    return None if is_text(kind) or pa.types.is_integer(kind) else "text or whole numbers"


def text_only(kind: pa.DataType) -> str | None:
    """The check of rules over text."""
    return None if is_text(kind) else "text"


def integer_only(kind: pa.DataType) -> str | None:
    """The check of rules over whole numbers."""
    return None if pa.types.is_integer(kind) else "whole numbers"


def number_only(kind: pa.DataType) -> str | None:
    """The check of rules over numbers."""
    return None if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "numbers"


def spelled(values: pa.Array) -> pa.Array:
    """Return text for text or whole numbers."""
    return values.cast(pa.large_string())


def by_value(values: pa.Array, convert: Callable[[list[object]], list[object]], kind: pa.DataType) -> pa.Array:
    """Apply a function to the distinct values of a column, each once; missing stays missing."""
    encoded = pc.dictionary_encode(values)
    fresh = pa.array(convert(encoded.dictionary.to_pylist()), kind)
    return pc.take(fresh, encoded.indices)
