"""Small, complete runs of every protocol family, for the suite that all roles pass, and the pieces to vary them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support import join_oracle
from support.deterministic import DeterministicRng

from protocols import aggregation, handover, join, paillier, psi
from protocols.join.messages import SealedLabels
from protocols.message import Message
from protocols.party import Party, Send, Step
from protocols.psi import oprf
from protocols.psi.keys import KeyDomain, encode_keys
from protocols.wire import encode_frame

DOMAIN = KeyDomain(name="person", types=("integer",))
MEASURE = join.MeasureSpec(bound=100, sums=True, squares=True, signed=False, dominance=True)


@functools.cache
def insecure_key(seed: str = "families") -> paillier.PrivateKey:
    """One 512-bit key for all tests that only need some key."""
    return paillier.generate_insecure_keypair(key_bits=512, noise="djn", rng=DeterministicRng(seed))[1]


def join_params(providers: tuple[join.ProviderSpec, ...], **changes: Any) -> join.JoinParams:
    """Parameters of a small join under `insecure_key`; `changes` replace fields."""
    fields: dict[str, Any] = {
        "plan": "sha256:contract",
        "key_domain": DOMAIN,
        "providers": providers,
        "operator": "operator",
        "gate": "gate",
        "gate_key": insecure_key().public_key.fingerprint,
        "key_bits": 512,
        "noise": "djn",
        "min_keys": 2,
        "min_pattern": 1,
        "min_list": 1,
        "chunk_rows": 5,
    }
    return join.JoinParams(**(fields | changes))


def provider_spec(name: str, **changes: Any) -> join.ProviderSpec:
    """A list with repeating keys, opened multiplicities and no measures; `changes` replace fields."""
    fields: dict[str, Any] = {"unique": False, "carries": False, "opens_multiplicity": True, "measures": ()}
    return join.ProviderSpec(name=name, **(fields | changes))


def join_rows(
    raw: list[join_oracle.Row],
    measures: int,
    *,
    labels: tuple[bytes, ...] = (b"0", b"1", b"2"),
    domain: KeyDomain = DOMAIN,
) -> join.ProviderRows:
    """A provider's rows from raw ones (key, group, values)."""
    table = join_oracle.local_rows(raw, measures)
    flat = [(key, group, entry) for key, groups in table.items() for group, entry in groups.items()]
    keys: Any = [key for key, _, _ in flat]
    return join.ProviderRows.of(
        keys=encode_keys([np.array(keys, dtype=np.int64) if domain.types == ("integer",) else keys], domain).keys,
        groups=np.array([group for _, group, _ in flat], dtype=np.int64),
        labels=labels,
        multiplicities=np.array([entry["m"] for _, _, entry in flat], dtype=np.int64),
        measures=tuple(
            join.MeasureRows.of(
                counts=np.array([entry["c"][number] for _, _, entry in flat], dtype=np.int64),
                sums=[entry["s"][number] for _, _, entry in flat],
                squares=[entry["q"][number] for _, _, entry in flat],
            )
            for number in range(measures)
        ),
    )


def join_roles_of(
    params: join.JoinParams, rows: dict[str, join.ProviderRows], *, seed: Any = None, key: paillier.PrivateKey | None = None
) -> dict[str, Any]:
    """All roles of one join: a provider for each entry of `rows`, the operator and the gate."""
    common: dict[str, Any] = {"allow_insecure_key": True}
    if seed is not None:
        common["rng"] = DeterministicRng(seed)
    provider = join.JoinProvider if params.matching == "blinded" else join.KeyedProvider
    roles: dict[str, Any] = {name: provider(name, params, own, **common) for name, own in rows.items()}
    roles[params.operator] = join.JoinOperator(params.operator, params, **common)
    roles[params.gate] = join.JoinGate(params.gate, params, key or insecure_key(), **common)
    return roles


def join_roles(matching: str = "blinded") -> dict[str, Party]:
    """Two providers with a dozen keys, one measure."""
    params = join_params(
        (
            provider_spec("left", carries=True, opens_multiplicity=False, measures=(MEASURE,)),
            provider_spec("right"),
        ),
        matching=matching,
    )
    return join_roles_of(
        params,
        {
            "left": join_rows([(key, key % 2, (key,)) for key in range(12)], 1),
            "right": join_rows([(key, key % 2, ()) for key in range(4, 14)], 0),
        },
    )


def product_roles() -> dict[str, Party]:
    """Two providers with a dozen keys and a measure each, and the moments of both together."""
    params = join_params(
        (
            provider_spec("left", carries=True, measures=(MEASURE,)),
            provider_spec("right", unique=True, opens_multiplicity=False, measures=(MEASURE,)),
        ),
        products=(join.ProductSpec(left=(0, 0), right=(1, 0), nulls=True, dominance=True),),
    )
    return join_roles_of(
        params,
        {
            "left": join_rows([(key, 0, (key,)) for key in range(12)], 1),
            "right": join_rows([(key, 0, (key,)) for key in range(4, 14)], 1),
        },
    )


def intersecting_roles(reveal: psi.two_party.Reveal, receivers: tuple[str, ...]) -> dict[str, Party]:
    """Two lists with eight keys in common, in chunks."""
    terms = psi.Terms(domain=DOMAIN, parties=("left", "right"), receivers=receivers, reveal=reveal)

    def role(name: str, keys: range) -> Party:
        return psi.Intersecting(name, terms, encode_keys([np.array(keys)], DOMAIN), chunk_rows=5)

    return {"left": role("left", range(12)), "right": role("right", range(4, 14))}


def oprf_roles() -> dict[str, Party]:
    """A client with a dozen keys, in chunks."""
    key = oprf.derive_key(bytes(range(32)), b"contract")
    return {
        "client": psi.OprfClient("client", "server", DOMAIN, encode_keys([np.arange(12)], DOMAIN), chunk_rows=5),
        "server": psi.OprfServer("server", "client", DOMAIN, key, max_rows=12, chunk_rows=5),
    }


def lookup_roles() -> dict[str, Party]:
    """A client that looks a dozen keys up in a prepared list, in chunks."""
    prepared = psi.PreparedList(encode_keys([np.arange(4, 30)], DOMAIN), DOMAIN)
    return {
        "client": psi.LookupClient("client", "server", DOMAIN, encode_keys([np.arange(12)], DOMAIN), chunk_rows=5),
        "server": psi.LookupServer("server", "client", prepared, max_rows=12, chunk_rows=5),
    }


def identity(name: str) -> Ed25519PrivateKey:
    """A signing key that belongs to a name, for tests."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def sum_params(parties: int, **changes: Any) -> aggregation.SumParams:
    """Parameters of a small sum over p0, p1, …; `changes` are arguments of plan_sum."""
    public = {name: identity(name).public_key().public_bytes_raw() for name in (*(f"p{i}" for i in range(parties)), "gate")}
    gate_key = public.pop("gate")
    fields: dict[str, Any] = {
        "session": bytes(16),
        "plan": "sha256:contract",
        "inputs": "contract",
        "length": 40,
        "bound": 1000,
    }
    fields |= {"chunk_words": 16, "operator": "operator", "gate": "gate", "gate_key": gate_key}
    return aggregation.plan_sum(public, **(fields | changes))


def sum_roles(
    params: aggregation.SumParams,
    vectors: dict[str, Any],
    *,
    seed: Any = None,
    history: aggregation.SumHistory | None = None,
    state: bytes = b"",
) -> dict[str, Any]:
    """All roles of one sum: a party for each vector, the operator and the gate."""

    def rng(name: str) -> Any:
        return None if seed is None else DeterministicRng(f"{seed}/{name}")

    roles: dict[str, Any] = {
        name: aggregation.SumParty(name, params, vector, identity(name).sign, rng=rng(name)) for name, vector in vectors.items()
    }
    roles["operator"] = aggregation.SumOperator("operator", params)
    roles["gate"] = aggregation.SumGate("gate", params, identity("gate").sign, history=history, state=state, rng=rng("gate"))
    return roles


def small_sum() -> dict[str, Party]:
    """Three parties, 40 elements in chunks of 16."""
    return sum_roles(sum_params(3), {f"p{i}": np.arange(40, dtype=np.int64) * (i - 1) for i in range(3)})


def told_sum() -> dict[str, Party]:
    """Three parties whose vectors follow from what the gate tells them."""
    state = b"7"
    vectors = {f"p{i}": lambda told, i=i: np.arange(40, dtype=np.int64) * (i - int(told)) for i in range(3)}
    return sum_roles(sum_params(3, state=state), vectors, state=state)


def handover_roles(rows: int = 12) -> dict[str, Party]:
    """A table of 40 bytes in chunks of 16, a dozen tags in chunks of 5."""
    params = handover.HandoverParams(
        plan="sha256:contract", provider="provider", operator="operator", gate="gate", chunk_bytes=16, chunk_rows=5
    )
    tags = np.arange(rows, dtype=np.uint64)
    return {
        "provider": handover.TableProvider("provider", params, document=b"signed", table=bytes(range(40)), tags=tags),
        "operator": handover.Opener("operator", params),
        "gate": handover.TableGate("gate", params),
    }


FAMILIES: dict[str, Callable[[], dict[str, Party]]] = {
    "aggregation": small_sum,
    "aggregation-told": told_sum,
    "handover": handover_roles,
    "join": join_roles,
    "join-keyed": lambda: join_roles("keyed"),
    "join-products": product_roles,
    "psi-rows": lambda: intersecting_roles("rows", ("left", "right")),
    "psi-count": lambda: intersecting_roles("count", ("left",)),
    "psi-oprf": oprf_roles,
    "psi-lookup": lookup_roles,
}


def some_frame_without_columns() -> bytes:
    """A frame whose message has no columns."""
    return encode_frame(SealedLabels(box=b"box"), session="00" * 16, sender="a", recipient="b", sequence=0, nonce="11" * 16)


class Altered:
    """A role whose messages are changed on their way out: what a peer sees of a party that does not follow the protocol.

    change(recipient, message) returns what is sent instead, in order.
    """

    def __init__(self, role: Party, change: Callable[[str, Message], Iterable[Message]]) -> None:
        self._role = role
        self._change = change
        self.name = role.name

    @property
    def state(self) -> str:
        """The inner role's state."""
        return self._role.state

    def start(self) -> Step:
        """Begin as the inner role does."""
        return self._altered(self._role.start())

    def receive(self, sender: str, message: Message) -> Step:
        """Take a message as the inner role does."""
        return self._altered(self._role.receive(sender, message))

    def _altered(self, step: Step) -> Step:
        return dataclasses.replace(step, sends=self._sends(step.sends))

    def _sends(self, sends: Iterable[Send]) -> Iterator[Send]:
        for send in sends:
            for message in self._change(send.recipient, send.message):
                yield Send(recipient=send.recipient, message=message)
