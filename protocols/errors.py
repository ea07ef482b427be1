"""Errors that every protocol raises: wrong parameters, wrong use, or a peer that misbehaved."""

from __future__ import annotations

from collections.abc import Sequence


class ProtocolError(Exception):
    """Base of every error that a protocol raises. Messages name places and counts, never a secret or a raw value."""


class ParameterError(ProtocolError):
    """A parameter or an input of our own is unusable: what, where, and what to do instead."""


class EncodingOverflow(ParameterError):  # noqa: N818  (the name that interfaces promise)
    """A number, or a result that an operation could reach, does not fit its declared bound; nothing was computed."""


class ListTooShort(ParameterError):  # noqa: N818  (a condition, like the ones below)
    """Our own list has fewer rows than its protocol asks for: that it has tells something of it. `name` is the provider."""

    def __init__(self, name: str, least: int) -> None:
        self.name = name
        super().__init__(f"{name}'s list is shorter than the minimum of {least} rows; widen the filter")


class MisuseError(ProtocolError):
    """An object was used in a way that would break its guarantees (twice, out of order, after an error)."""


class NotFresh(MisuseError):  # noqa: N818  (the name that interfaces promise)
    """A ciphertext was about to be sent whose noise shows how it was computed; call `rerandomise()` first."""


class Cancelled(ProtocolError):  # noqa: N818  (a request, not a fault)
    """The caller asked a running step to stop; the role is dead and has sent nothing more."""


class PeerError(ProtocolError):
    """A peer sent something that the protocol does not allow; `culprit` is its name on the authenticated link."""

    def __init__(self, culprit: str, problem: str) -> None:
        super().__init__(f"{culprit}: {problem}")
        self.culprit = culprit
        self.problem = problem


class PartiesLost(PeerError):  # noqa: N818  (silence is not always a fault)
    """Peers fell silent, and the run cannot go on without them; `names` are all of them, `culprit` the first."""

    def __init__(self, names: Sequence[str], problem: str) -> None:
        self.names = tuple(names)
        super().__init__(", ".join(self.names) or "nobody", problem)
        self.culprit = self.names[0] if self.names else ""
