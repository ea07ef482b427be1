"""The oblivious function against RFC 9497's vectors, as roles, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest
from support import ristretto_oracle as oracle
from support.deterministic import DeterministicRng
from support.vectors import load_vectors

from protocols import psi
from protocols.errors import ParameterError, PeerError
from protocols.local import run_local
from protocols.primitives import ristretto255
from protocols.psi import oprf
from protocols.psi.messages import BlindedPoints, ListOffer, RaisedPoints

DOMAIN = psi.KeyDomain(name="people", types=("text",))
KEY = oprf.derive_key(bytes(32), b"test")
NAMES = ["ada", "grace", "x" * 10_240, "ada"]


def client(keys: list[str | None], **options: object) -> psi.OprfClient:
    encoded = psi.encode_keys([keys], DOMAIN)
    return psi.OprfClient("client", "server", DOMAIN, encoded, rng=DeterministicRng("client"), **options)


def server(max_rows: int = 10, **options: object) -> psi.OprfServer:
    return psi.OprfServer("server", "client", DOMAIN, KEY, max_rows=max_rows, **options)


def test_rfc_9497_vectors() -> None:
    (suite,) = [item for item in load_vectors("voprf/ristretto255_sha512.json") if item["mode"] == 0]
    key = oprf.derive_key(bytes.fromhex(suite["seed"]), bytes.fromhex(suite["keyInfo"]))
    assert key.scalar.hex() == suite["skSm"]
    assert suite["vectors"]
    for vector in suite["vectors"]:
        inputs = [bytes.fromhex(vector["Input"])]
        blinds = np.frombuffer(bytes.fromhex(vector["Blind"]), dtype=np.uint8).reshape(1, 32)
        blinded = oprf.blind(inputs, blinds)
        evaluated = oprf.evaluate(key, blinded)
        assert blinded.tobytes().hex() == vector["BlindedElement"]
        assert evaluated.tobytes().hex() == vector["EvaluationElement"]
        assert oprf.finalise(inputs, blinds, evaluated).tobytes().hex() == vector["Output"]
        assert oprf.evaluate_directly(key, inputs).tobytes().hex() == vector["Output"]


@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_roles_agree_with_direct_evaluation(chunk_rows: int) -> None:
    outputs = run_local({"client": client([*NAMES, None], chunk_rows=chunk_rows), "server": server(chunk_rows=2)})
    inputs = oprf.domain_inputs(b"people", psi.encode_keys([NAMES], DOMAIN).keys)
    assert (outputs["client"] == oprf.evaluate_directly(KEY, inputs)).all()
    assert outputs["client"].shape == (4, 64)
    assert outputs["server"] == 4


def test_no_inputs() -> None:
    outputs = run_local({"client": client([None]), "server": server()})
    assert outputs["client"].shape == (0, 64)
    assert outputs["server"] == 0


def test_equal_inputs_look_different_to_the_server() -> None:
    chunk = next(send.message for send in client(["ada", "ada"]).start().sends if isinstance(send.message, BlindedPoints))
    assert (chunk.points[0] != chunk.points[1]).any()


def test_the_server_limits_and_compares() -> None:
    with pytest.raises(PeerError, match="4 inputs where at most 3"):
        run_local({"client": client(NAMES), "server": server(max_rows=3)})
    with pytest.raises(PeerError, match="other terms"):
        run_local({"client": client(NAMES, context=b"a"), "server": server(context=b"b")})


def test_the_server_refuses_bad_points() -> None:
    party = server()
    party.start()
    (offer, _) = client(["a"]).start().sends
    party.receive("client", offer.message)
    with pytest.raises(PeerError, match="client: points: row 0 is the identity"):
        party.receive("client", BlindedPoints(first_row=0, points=np.zeros((1, 32), dtype=np.uint8)))


def test_the_client_refuses_bad_points() -> None:
    good = ristretto255.hash_to_group([b"a", b"b"], b"test/points")
    for points, problem in ((np.full((2, 32), 255, np.uint8), "row 0 is not"), (np.repeat(good, 2, axis=0), "4 rows more")):
        party = client(["a", "b"])
        party.start()
        with pytest.raises(PeerError, match=problem):
            party.receive("server", RaisedPoints(first_row=0, points=points))


def test_strangers_are_refused() -> None:
    party = client(["a"])
    party.start()
    with pytest.raises(PeerError, match="stranger: is not the server"):
        party.receive("stranger", RaisedPoints(first_row=0, points=ristretto255.hash_to_group([b"a"], b"t")))
    other = server()
    other.start()
    with pytest.raises(PeerError, match="stranger: is not the client"):
        other.receive("stranger", ListOffer(parameters=bytes(32), rows=1))


def test_limits_of_inputs_and_seeds() -> None:
    blinds = ristretto255.random_scalars(DeterministicRng(0), 1)
    with pytest.raises(ParameterError, match="input 0 has 65536 bytes"):
        oprf.blind([bytes(65_536)], blinds)
    with pytest.raises(ParameterError, match="seed"):
        oprf.derive_key(bytes(31), b"")
    with pytest.raises(ParameterError, match="seed"):
        oprf.derive_key(bytes(32), bytes(65_536))


def test_keys_are_not_shown_or_serialised() -> None:
    assert repr(KEY) == "OprfKey(<redacted>)"
    with pytest.raises(TypeError, match="not serialised"):
        KEY.__reduce__()


def test_scalars_from_hashes_are_those_of_the_oracle() -> None:
    expected = int.from_bytes(oracle.expand_message_xmd(b"m", b"dst", 64), "little") % oracle.ORDER
    assert int.from_bytes(ristretto255.hash_to_scalar(b"m", b"dst"), "little") == expected
