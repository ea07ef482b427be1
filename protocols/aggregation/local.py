"""secure_sum: all roles of one round in one process, every message through bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocols.aggregation.gate import SumGate, SumResult
from protocols.aggregation.messages import Consistency, MaskedInput, Opening, Shares
from protocols.aggregation.operator import SumOperator
from protocols.aggregation.params import SumParams, plan_sum
from protocols.aggregation.party import SumParty
from protocols.errors import ParameterError
from protocols.local import run_local
from protocols.message import Message
from protocols.party import Mapper, Party
from protocols.primitives.keystream import CipherName
from protocols.primitives.rng import OsRng, Rng

StepName = Literal["advertise", "share", "masked_input", "consistency"]
_INT64_MAX = int(np.iinfo(np.int64).max)


def secure_sum(
    vectors: Mapping[str, npt.NDArray[np.int64]],
    threshold: int | None = None,
    dropped_after: Mapping[str, StepName] | None = None,
    *,
    bound: int | None = None,
    cipher: CipherName = "chacha20",
    rng: Rng | None = None,
    mapper: Mapper = map,
) -> SumResult:
    """Return the exact sum of the parties' vectors, through all roles of one round; `.values` int64, `.survivors` names.

    vectors: party -> (length,) int64. threshold: parties that must stay to the end, ⌊2n/3⌋ + 1 unless given.
    dropped_after: party -> the step that it finishes, after which it is not heard again: `advertise`, `share`,
    `masked_input`, `consistency`. bound: largest absolute value, public; as large as the ring allows unless given.
    cipher: of the masks. Raises PartiesLost, which names the silent, when too few remain; EncodingOverflow beyond the bound;
    ParameterError.
    """
    dropped_after = dropped_after or {}
    _check_drops(vectors, dropped_after)
    source = rng or OsRng()
    operator, gate = _service_names(vectors)
    identities = {name: Ed25519PrivateKey.from_private_bytes(source.bytes(32)) for name in (*vectors, gate)}
    public = {name: key.public_key().public_bytes_raw() for name, key in identities.items()}
    params = plan_sum(
        {name: public[name] for name in vectors},
        operator=operator,
        gate=gate,
        gate_key=public[gate],
        length=_common_length(vectors),
        bound=_INT64_MAX // max(1, len(vectors)) if bound is None else bound,
        session=source.bytes(16),
        plan="local",
        inputs="local",
        threshold=threshold,
        cipher=cipher,
    )
    roles: dict[str, Party] = {
        name: SumParty(name, params, vector, identities[name].sign, rng=source) for name, vector in vectors.items()
    }
    roles[operator] = SumOperator(operator, params, mapper=mapper)
    roles[gate] = SumGate(gate, params, identities[gate].sign, rng=source)

    def is_last(sender: str, message: Message) -> bool:
        return sender in dropped_after and finishes(params, dropped_after[sender], message)

    outputs = run_local(roles, rng=source, falls_silent=is_last)
    result: SumResult = outputs[gate]
    return result


def finishes(params: SumParams, step: StepName, message: Message) -> bool:
    """Tell whether a party that sends this message has finished a step."""
    if isinstance(message, MaskedInput):
        return step == "masked_input" and message.first + len(message.words) == params.length
    last = {"advertise": Opening, "share": Shares, "consistency": Consistency}
    return step in last and isinstance(message, last[step])


def _check_drops(vectors: Mapping[str, object], dropped_after: Mapping[str, str]) -> None:
    strangers = sorted(set(dropped_after) - set(vectors))
    if strangers:
        raise ParameterError(f"dropped_after names {', '.join(strangers)}, who has no vector")
    unknown = [step for step in dropped_after.values() if step not in get_args(StepName)]
    if unknown:
        raise ParameterError(f"dropped_after knows the steps {', '.join(get_args(StepName))}, not {unknown[0]!r}")


def _common_length(vectors: Mapping[str, npt.NDArray[np.int64]]) -> int:
    for name, vector in vectors.items():
        if not isinstance(vector, np.ndarray) or vector.ndim != 1 or vector.dtype != np.int64:
            raise ParameterError(f"the vector of {name} is no one-dimensional int64 array; scale and round floats first")
    lengths = {len(vector) for vector in vectors.values()}
    if len(lengths) != 1:
        raise ParameterError(f"vectors of one length are summed; these have {', '.join(map(str, sorted(lengths))) or 'none'}")
    return lengths.pop()


def _service_names(vectors: Mapping[str, object]) -> tuple[str, str]:
    """Return names for the operator and the gate that no party has."""
    suffix = ""
    while {f"operator{suffix}", f"gate{suffix}"} & set(vectors):
        suffix += "'"
    return f"operator{suffix}", f"gate{suffix}"
