"""Keeping, masking and suppression: rules that need no key, no draw and no second look."""

from __future__ import annotations

from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise.rules.base import Context, Convert, Family, Property, Spec, Undo, spelled, text_or_integer
from protocols.errors import ParameterError


class Keep(Spec, tag="keep", frozen=True):
    """The column as it is. It still has to be named: what nobody judged is refused."""

    family: ClassVar[Family] = "keep"
    keeps: ClassVar[frozenset[Property]] = frozenset({"value", "length", "order", "joinability", "distribution"})
    undone_by: ClassVar[Undo] = "not changed"


class Drop(Spec, tag="drop", frozen=True):
    """No such column in the output."""

    family: ClassVar[Family] = "suppression"

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """No column."""
        return None


class Suppress(Spec, tag="suppress", frozen=True):
    """The column stays, all of it missing; or only certain values of it.

    values: these become missing, others stay; without it, all do.
    """

    family: ClassVar[Family] = "suppression"
    values: tuple[str, ...] | None = None

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            if self.values is None:
                return pa.nulls(len(values), values.type)
            listed = pc.is_in(values.cast(pa.large_string()), value_set=pa.array(self.values, pa.large_string()))
            return pc.if_else(listed, pa.scalar(None, values.type), values)

        return convert


class Mask(Spec, tag="mask", frozen=True):
    """Characters replaced by a mask, but for so many at the start and the end; all of them by default.

    A text that is not longer than what would be kept is masked whole. fixed_length: that many masks in the middle, so that the
    length is hidden.
    """

    family: ClassVar[Family] = "masking"
    keep_start: int = 0
    keep_end: int = 0
    mask: str = "*"
    fixed_length: int | None = None

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_or_integer(kind)

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Text."""
        return pa.large_string()

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if min(self.keep_start, self.keep_end) < 0 or len(self.mask) != 1:
            raise ParameterError("keep_start and keep_end are 0 or more, and mask is one character")
        if self.fixed_length is not None and not 1 <= self.fixed_length <= 100:
            raise ParameterError("fixed_length is 1 to 100")

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            text = spelled(values)
            length = pc.utf8_length(text)
            kept = self.keep_start + self.keep_end
            short = pc.less_equal(length, kept)
            start = pc.utf8_slice_codeunits(text, 0, self.keep_start) if self.keep_start else ""
            end = pc.utf8_slice_codeunits(text, -self.keep_end, None) if self.keep_end else ""
            hidden = pc.if_else(short, length, pc.subtract(length, kept))
            if self.fixed_length is not None:
                hidden = pc.if_else(pc.is_valid(text), pa.scalar(self.fixed_length, hidden.type), hidden)
            masks = pc.binary_repeat(pa.scalar(self.mask, pa.large_string()), hidden)
            whole = pc.binary_join_element_wise(_as(start, text), masks, _as(end, text), pa.scalar("", pa.large_string()))
            return pc.if_else(short, masks, whole)

        return convert


def _as(part: object, text: pa.Array) -> object:
    return pa.scalar("", text.type) if part == "" else part


class MaskPattern(Spec, tag="mask_pattern", frozen=True):
    """Characters kept or masked by place: `#` in the pattern keeps, `*` masks; another length is masked whole."""

    family: ClassVar[Family] = "masking"
    keeps: ClassVar[frozenset[Property]] = frozenset({"length"})
    pattern: str

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_or_integer(kind)

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Text."""
        return pa.large_string()

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if not self.pattern or set(self.pattern) - {"#", "*"} or "*" not in self.pattern:
            raise ParameterError("pattern is made of # (kept) and * (masked), such as ###****####")

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            text = spelled(values)
            parts = [
                pc.utf8_slice_codeunits(text, at, at + 1) if char == "#" else pa.scalar("*", text.type)
                for at, char in enumerate(self.pattern)
            ]
            whole = pc.binary_join_element_wise(*parts, pa.scalar("", text.type))
            length = pc.utf8_length(text)
            fits = pc.equal(length, len(self.pattern))
            return pc.if_else(fits, whole, pc.binary_repeat(pa.scalar("*", text.type), length))

        return convert
