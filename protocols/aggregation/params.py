"""Parameters of one round of secure aggregation, agreed by everyone before anything is sent."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from protocols.aggregation.thresholds import MIN_PARTIES, choose
from protocols.errors import EncodingOverflow, ParameterError
from protocols.primitives.keystream import CipherName, max_stream_bytes
from protocols.primitives.signing import PUBLIC_BYTES

SESSION_BYTES = 16
MAX_PARTIES = 10_000
MAX_LENGTH = 1 << 32
# Words of one frame: one or two mebibytes.
CHUNK_WORDS = 1 << 18


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One party or the gate: its name, and its Ed25519 public key in hex, which the caller vouches for."""

    name: str
    key: str

    @property
    def key_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return bytes.fromhex(self.key)


class SumParams(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that all roles must agree on; its digest stands in every signature and every derived key.

    session: 16 fresh bytes, hex. round: number within the session. plan: digest of the question. inputs: names what is
    summed; the gate refuses a second sum of the same inputs over other survivors. parties: the roster, in order. length:
    elements of a vector. bound: every element is within ±bound. ring_bits: 32 or 64. threshold: T. neighbours: k. shares: t.
    colluding: c, see `thresholds`. min_parties: fewest parties in a sum. chunk_words: elements of one frame, a multiple of 16.
    cipher: whose keystreams the masks are, see `primitives/keystream.py`.
    state: SHA-256, in hex, of what the vectors depend on and the gate tells everyone first; empty where they do not.
    """

    session: str
    plan: str
    inputs: str
    parties: tuple[Member, ...]
    operator: str
    gate: Member
    length: int
    bound: int
    ring_bits: int
    threshold: int
    neighbours: int
    shares: int
    colluding: int
    round: int = 0
    min_parties: int = MIN_PARTIES
    chunk_words: int = CHUNK_WORDS
    cipher: CipherName = "chacha20"
    state: str = ""

    def __post_init__(self) -> None:
        self._check_names()
        self._check_thresholds()
        if not 1 <= self.length <= MAX_LENGTH:
            raise ParameterError(f"a vector has 1 to {MAX_LENGTH} elements, not {self.length}")
        if self.ring_bits not in (32, 64):
            raise ParameterError(f"the ring has 32 or 64 bits, not {self.ring_bits}")
        if self.bound < 0 or not has_headroom(len(self.parties), self.bound, self.ring_bits):
            raise EncodingOverflow(
                f"a sum of {len(self.parties)} numbers within ±{self.bound} can leave the ring of 2^{self.ring_bits}"
            )
        if self.length * self.ring_bits // 8 > max_stream_bytes(self.cipher):
            raise ParameterError(
                f"masks by {self.cipher} end after {max_stream_bytes(self.cipher)} bytes, before these {self.length} elements"
            )
        if self.chunk_words < 16 or self.chunk_words % 16:
            raise ParameterError("chunk_words must be a positive multiple of 16: a keystream is entered at whole blocks")
        if self.state and not _is_hex(self.state, 32):
            raise ParameterError("state is the SHA-256 of a public state in lower-case hex, or empty")

    def _check_names(self) -> None:
        names = [*self.names, self.operator, self.gate.name]
        if len(set(names)) != len(names) or not all(names):
            raise ParameterError("every party of a sum, the operator and the gate need names of their own")
        if not max(2, self.min_parties) <= len(self.parties) <= MAX_PARTIES:
            raise ParameterError(f"a sum takes {max(2, self.min_parties)} to {MAX_PARTIES} parties, not {len(self.parties)}")
        keys = [member.key for member in (*self.parties, self.gate)]
        if len(set(keys)) != len(keys) or not all(_is_hex(key, PUBLIC_BYTES) for key in keys):
            raise ParameterError("every party and the gate need an Ed25519 key of their own, 32 bytes in lower-case hex")
        if not _is_hex(self.session, SESSION_BYTES) or self.round < 0:
            raise ParameterError(f"a session is {SESSION_BYTES} bytes in lower-case hex, and rounds count from 0")

    def _check_thresholds(self) -> None:
        n = len(self.parties)
        if not (n + self.colluding < 2 * self.threshold <= 2 * n and self.threshold >= self.min_parties):
            raise ParameterError(
                f"{self.threshold} signatures of {n} parties with {self.colluding} colluding do not make a survivor set unique"
            )
        is_even_ring = self.neighbours % 2 == 0 and 2 <= self.neighbours < n - 1
        if not (is_even_ring or self.neighbours == n - 1) or not 1 <= self.shares <= self.neighbours:
            raise ParameterError(f"{self.shares} shares of {self.neighbours} neighbours among {n} parties are no sharing")
        if self.colluding < 0 or (self.is_complete and self.colluding >= self.shares):
            raise ParameterError(f"{self.colluding} colluding parties hold the {self.shares} shares that open a secret")

    @property
    def names(self) -> tuple[str, ...]:
        """The parties' names in roster order."""
        return tuple(member.name for member in self.parties)

    @property
    def is_complete(self) -> bool:
        """Whether everyone is everyone's neighbour."""
        return self.neighbours == len(self.parties) - 1

    def index(self, name: str) -> int:
        """Return a party's place in the roster. Raises ParameterError for a stranger."""
        for index, member in enumerate(self.parties):
            if member.name == name:
                return index
        raise ParameterError(f"{name} is no party of this sum")

    def digest(self) -> bytes:
        """Return SHA-256 over the canonical encoding of all parameters, 32 bytes."""
        return hashlib.sha256(b"public-data-sandbox/aggregation/1/params" + msgspec.json.encode(self, order="sorted")).digest()


def plan_sum(
    parties: Mapping[str, bytes],
    *,
    operator: str,
    gate: str,
    gate_key: bytes,
    length: int,
    bound: int,
    session: bytes,
    plan: str,
    inputs: str,
    threshold: int | None = None,
    dropout: float | None = None,
    corruption: float | None = None,
    round_number: int = 0,
    min_parties: int = MIN_PARTIES,
    chunk_words: int = CHUNK_WORDS,
    cipher: CipherName = "chacha20",
    state: bytes = b"",
) -> SumParams:
    """Return the parameters of one round: thresholds by `thresholds.choose`, the smaller ring that has room for the sum.

    parties: name -> Ed25519 public key, 32 bytes, in roster order. bound: declared by the plan, not taken from the data,
    since it is public. cipher: README, Masks. state: what the vectors depend on, told to every party by the gate. Raises
    ParameterError; EncodingOverflow where no ring has room.
    """
    if len(parties) < min_parties:
        raise ParameterError(f"a sum over {len(parties)} parties is below the minimum of {min_parties}")
    chosen = choose(len(parties), threshold=threshold, dropout=dropout, corruption=corruption)
    return SumParams(
        session=session.hex(),
        plan=plan,
        inputs=inputs,
        parties=tuple(Member(name=name, key=key.hex()) for name, key in parties.items()),
        operator=operator,
        gate=Member(name=gate, key=gate_key.hex()),
        length=length,
        bound=bound,
        ring_bits=32 if has_headroom(len(parties), bound, 32) else 64,
        threshold=chosen.signatures,
        neighbours=chosen.neighbours,
        shares=chosen.shares,
        colluding=chosen.colluding,
        round=round_number,
        min_parties=min_parties,
        chunk_words=chunk_words,
        cipher=cipher,
        state=hashlib.sha256(state).hexdigest() if state else "",
    )


def has_headroom(parties: int, bound: int, ring_bits: int) -> bool:
    """Tell whether every sum of `parties` numbers within ±bound has a centred representative of its own in the ring."""
    return parties * bound <= (1 << (ring_bits - 1)) - 1


def _is_hex(text: str, size: int) -> bool:
    try:
        return bytes.fromhex(text).hex() == text and len(text) == 2 * size
    except ValueError:
        return False
