"""Messages: frozen records that validate themselves, and the registry of their tags."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from protocols.errors import ParameterError

M = TypeVar("M", bound="type[Message]")
ColumnKind = Literal["uint8", "uint32", "uint64", "int64"]

_REGISTRY: dict[str, type[Message]] = {}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Shape of an array field: (n,) of an integer kind, or (n, width) bytes when `width` is given.

    width 0 means: every row has the same width, which the message itself declares elsewhere and checks.
    """

    kind: ColumnKind
    width: int | None = None


def column(kind: ColumnKind, width: int | None = None) -> Any:
    """Declare an array field of a message. All array fields of one message have the same number of rows."""
    return dataclasses.field(metadata={"column": Column(kind=kind, width=width)})


class Message:
    """Base of all messages. Subclasses are frozen dataclasses of ints, strs, bools, bytes, tuples of these, and columns.

    Arrays are made read-only and checked against their declaration on construction; `validate` adds what one message
    can check by itself. Errors are ParameterError; the wire turns them into PeerError for the sender.
    """

    __slots__ = ()
    TAG: ClassVar[str] = ""

    def __post_init__(self) -> None:
        rows: int | None = None
        for name, declared in columns_of(type(self)).items():
            array = _checked(getattr(self, name), declared, f"{type(self).__name__}.{name}")
            object.__setattr__(self, name, array)
            if rows is not None and len(array) != rows:
                raise ParameterError(f"{type(self).__name__}.{name} has {len(array)} rows where the first column has {rows}")
            rows = len(array)
        self.validate()

    def validate(self) -> None:
        """Check what this message can check alone; raise ParameterError."""


def _checked(value: object, declared: Column, where: str) -> npt.NDArray[Any]:
    if not isinstance(value, np.ndarray) or value.dtype != np.dtype(declared.kind):
        raise ParameterError(f"{where} must be a {declared.kind} array")
    if value.ndim != (1 if declared.width is None else 2):
        raise ParameterError(f"{where} has {value.ndim} dimensions")
    if declared.width and value.shape[1] != declared.width:
        raise ParameterError(f"{where} rows are {value.shape[1]} bytes wide, not {declared.width}")
    array = np.ascontiguousarray(value).view()
    array.flags.writeable = False
    return array


def columns_of(kind: type[Message]) -> dict[str, Column]:
    """Return the array fields of a message class with their declarations."""
    fields: tuple[dataclasses.Field[Any], ...] = dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ()
    return {field.name: field.metadata["column"] for field in fields if "column" in field.metadata}


def register(*, tag: str) -> Callable[[M], M]:
    """Class decorator: give a message its tag (`family/version/name`) and make it known to the wire."""

    def accept(kind: M) -> M:
        if tag in _REGISTRY:
            raise ParameterError(f"message tag {tag!r} is taken by {_REGISTRY[tag].__name__}")
        kind.TAG = tag
        _REGISTRY[tag] = kind
        return kind

    return accept


def message_type(tag: str) -> type[Message] | None:
    """Return the class of a tag, or None if no imported protocol has registered it."""
    return _REGISTRY.get(tag)


def registered_tags() -> tuple[str, ...]:
    """Return all known tags, sorted."""
    return tuple(sorted(_REGISTRY))
