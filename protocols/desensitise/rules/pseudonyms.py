"""Pseudonymisation: keyed hashes, format-preserving encryption, tokens; bound to a purpose and a recipient."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from protocols.desensitise import ff1, identities
from protocols.desensitise.rules.base import Context, Convert, Family, Property, Spec, Undo, by_value, spelled, text_or_integer
from protocols.errors import ParameterError
from protocols.primitives.prf import derive_key
from protocols.primitives.rng import Rng

MIN_KEY_BYTES = 32
MIN_LETTERS = 16


def letters(data: bytes, count: int) -> str:
    """Return bytes as letters a to p, 4 bits each: no pseudonym has a digit, so none looks like a number of somebody."""
    return data.hex().translate(_TO_LETTERS)[:count]


_TO_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


class Keyed(Spec, frozen=True):
    """A rule under a key. key: its name in [keys]. domain: columns with the same one, and key, join; else the column's name."""

    family: ClassVar[Family] = "pseudonymisation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"joinability"})
    undone_by: ClassVar[Undo] = "key holder"
    key: str
    domain: str | None = None

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_or_integer(kind)

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Text."""
        return pa.large_string()

    def derived(self, column: str, context: Context) -> bytes:
        """Return the key for this rule, purpose, recipient and domain alone. Raises ParameterError: missing, too short."""
        secret = context.keys.get(self.key)
        if secret is None:
            raise ParameterError(f"there is no key {self.key!r}; name its file under [keys]")
        if len(secret) < MIN_KEY_BYTES:
            raise ParameterError(f"key {self.key!r} has {len(secret)} bytes; {MIN_KEY_BYTES} random ones are needed")
        parts = (type(self).__struct_config__.tag, context.purpose, context.recipient, self.domain or column)
        return derive_key(secret, "desensitise/1", *(str(part).encode() for part in parts))


class Pseudonym(Keyed, tag="pseudonym", frozen=True):
    """HMAC-SHA-256 of the text as letters a to p. The key holder undoes it by trying values, others cannot.

    letters: how many, 4 bits each; 26 give 104 bits. Texts are taken as they are: normalise before.
    """

    letters: int = 26

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        if not MIN_LETTERS <= self.letters <= 64:
            raise ParameterError(f"letters is {MIN_LETTERS} to 64")
        key = self.derived(column, context)

        def pseudonyms(values: list[Any]) -> list[Any]:
            return [letters(hmac.digest(key, value.encode(), "sha256"), self.letters) for value in values]

        return lambda values, _: by_value(spelled(values), pseudonyms, pa.large_string())


class Encrypt(Keyed, tag="encrypt", frozen=True):
    """FF1: the same length and alphabet. Other characters, or too short a text, are refused or suppressed."""

    keeps: ClassVar[frozenset[Property]] = frozenset({"length", "joinability"})
    alphabet: str = ff1.DIGITS
    invalid: Literal["refuse", "suppress"] = "refuse"

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        key = self.derived(column, context)
        usable = f"^[{''.join(_escaped(char) for char in self.alphabet)}]{{{_least(self.alphabet)},}}$"

        def convert(values: pa.Array, _: pa.RecordBatch) -> pa.Array:
            text = spelled(values)
            if self.invalid == "suppress":
                text = _where_matches(text, usable)
            return ff1.encrypt(text, key=key, alphabet=self.alphabet)

        return convert


class EncryptId(Keyed, tag="encrypt_id", frozen=True):
    """A 身份证 as another one that is nobody's, with a right check digit."""

    keeps: ClassVar[frozenset[Property]] = frozenset({"length", "joinability"})
    invalid: identities.Invalid = "refuse"

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        return _identity(identities.encrypt_id_numbers, self.derived(column, context), self.invalid)


class EncryptMobile(Keyed, tag="encrypt_mobile", frozen=True):
    """A mobile number as eleven digits that are nobody's number."""

    keeps: ClassVar[frozenset[Property]] = frozenset({"length", "joinability"})
    invalid: identities.Invalid = "refuse"

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        return _identity(identities.encrypt_mobiles, self.derived(column, context), self.invalid)


class Token(Spec, tag="token", frozen=True):
    """Random letters for each distinct value of this run; the list of pairs is forgotten with it.

    Joins within the output only. Memory grows with the number of distinct values.
    """

    family: ClassVar[Family] = "pseudonymisation"
    keeps: ClassVar[frozenset[Property]] = frozenset({"joinability"})

    def check(self, kind: pa.DataType) -> str | None:
        """See Spec."""
        return text_or_integer(kind)

    def output(self, kind: pa.DataType) -> pa.DataType | None:
        """Text."""
        return pa.large_string()

    def bind(self, column: str, context: Context) -> Convert:
        """See Spec."""
        return _Tokens(context.rng)


class _Tokens:
    """The pairs of one run: secret, and never written anywhere."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._known: dict[Any, str] = {}

    def __repr__(self) -> str:
        return "_Tokens(<redacted>)"

    def __call__(self, values: pa.Array, _: pa.RecordBatch) -> pa.Array:
        def tokens(distinct: list[Any]) -> list[Any]:
            fresh = [value for value in distinct if value not in self._known]
            data = self._rng.bytes(13 * len(fresh))
            for at, value in enumerate(fresh):
                self._known[value] = letters(data[13 * at : 13 * at + 13], 26)
            return [self._known[value] for value in distinct]

        return by_value(spelled(values), tokens, pa.large_string())


def _identity(convert: Callable[..., Any], key: bytes, invalid: identities.Invalid) -> Convert:
    return lambda values, _: convert(spelled(values), key=key, invalid=invalid)


def _least(alphabet: str) -> int:
    if len(alphabet) < 2:
        raise ParameterError("an alphabet has at least 2 characters")
    return int(np.ceil(6 / np.log10(len(alphabet)) - 1e-12)) if len(alphabet) < 1000 else 2


def _escaped(char: str) -> str:
    return f"\\x{{{ord(char):x}}}"


def _where_matches(text: pa.Array, pattern: str) -> pa.Array:
    return pc.if_else(pc.match_substring_regex(text, pattern), text, pa.scalar(None, text.type))
