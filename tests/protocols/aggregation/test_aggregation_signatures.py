"""Whose signature is wrong among many is named, whatever verifies them: rows of signatures are not roster indices."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from support import families

from protocols import aggregation
from protocols.aggregation import context as rounds
from protocols.errors import ParameterError
from protocols.message import Message
from protocols.primitives import signing

PARTIES = 60
# Some have dropped.
SIGNERS = [index for index in range(PARTIES) if index % 7]

each_engine = pytest.mark.parametrize("engine", ["auto", "portable"])


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> None:
    signing._accepted.clear()


def changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def one_round() -> tuple[aggregation.SumParams, rounds.RoundContext]:
    params = families.sum_params(PARTIES)
    return params, rounds.RoundContext(params, bytes(32), advertised={}, nonces={})  # type: ignore[arg-type]


@each_engine
def test_survivor_signatures(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    params, context = one_round()
    assert params.threshold <= len(SIGNERS)
    statement = context.survivor_statement(range(PARTIES), SIGNERS)
    signatures = [families.identity(f"p{index}").sign(statement) for index in SIGNERS]

    def check(signers: list[int], signatures: list[bytes], allowed: Any = SIGNERS) -> None:
        rounds.check_survivor_signatures(context, statement, signers, signatures, set(allowed))

    check(SIGNERS, signatures)
    for row in (0, 7, 8, 33, len(SIGNERS) - 1):
        forged = [changed(each, 10 if row % 2 else 40) if at == row else each for at, each in enumerate(signatures)]
        with pytest.raises(ParameterError, match=f"shows a signature of p{SIGNERS[row]} on another survivor set"):
            check(SIGNERS, forged)
        swapped = [*signatures[:row], signatures[row - 1], *signatures[row + 1 :]]
        with pytest.raises(ParameterError, match=f"shows a signature of p{SIGNERS[row]} on another survivor set"):
            check(SIGNERS, swapped)
    with pytest.raises(ParameterError, match="not in the survivor set"):
        check(SIGNERS, signatures, allowed=SIGNERS[1:])
    too_few = params.threshold - 1
    with pytest.raises(ParameterError, match=f"shows {too_few} signatures on the survivor set where {params.threshold}"):
        check(SIGNERS[:too_few], signatures[:too_few])


def test_the_survivor_statement_tells_rounds_and_sets_apart() -> None:
    _, context = one_round()
    other = dataclasses.replace(context, digest=bytes([1]) * 32)
    sets = [(range(5), range(5)), (range(5), range(4)), (range(6), range(5)), (range(5), [0, 1, 2, 4]), ([], range(5))]
    statements = [each.survivor_statement(*pair) for each in (context, other) for pair in sets]
    assert len(set(statements)) == len(statements)
    assert context.survivor_statement([2, 1, 0], [1, 0]) == context.survivor_statement(range(3), (0, 1))


def advertised(params: aggregation.SumParams, index: int) -> Any:
    role = aggregation.SumParty(
        f"p{index}", params, np.zeros(params.length, dtype=np.int64), families.identity(f"p{index}").sign
    )
    message: Message = next(iter(role.start().sends)).message
    return message


@each_engine
def test_advertisements(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_ENGINE", engine)
    params = families.sum_params(PARTIES)
    messages = {index: advertised(params, index) for index in SIGNERS[:20]}
    rounds.check_advertised(params, messages)
    for index in (SIGNERS[0], SIGNERS[9], SIGNERS[19]):
        for field in ("mask_key", "channel_key", "seed_commitment", "nonce_commitment", "signature"):
            forged = dataclasses.replace(messages[index], **{field: changed(getattr(messages[index], field), 31)})
            with pytest.raises(ParameterError, match=f"the keys of p{index} are not signed with its identity"):
                rounds.check_advertised(params, messages | {index: forged})
