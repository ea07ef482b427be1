"""Small keys for the Paillier tests, one of each noise mode, made once."""

from __future__ import annotations

import functools
from typing import cast

import pytest
from support.deterministic import DeterministicRng

from protocols.paillier import PrivateKey, PublicKey, generate_insecure_keypair
from protocols.paillier.checks import NOISE_MODES, NoiseMode


@functools.cache
def _keypair(noise: NoiseMode, key_bits: int, seed: int) -> tuple[PublicKey, PrivateKey]:
    return generate_insecure_keypair(key_bits, noise, DeterministicRng(f"{noise} {key_bits} {seed}"))


@pytest.fixture(params=NOISE_MODES)
def keypair(request: pytest.FixtureRequest) -> tuple[PublicKey, PrivateKey]:
    """A 512-bit key pair of each noise mode."""
    return _keypair(cast("NoiseMode", request.param), 512, 0)


@pytest.fixture
def djn() -> tuple[PublicKey, PrivateKey]:
    """A 512-bit key pair with djn noise."""
    return _keypair("djn", 512, 0)


@pytest.fixture
def other() -> tuple[PublicKey, PrivateKey]:
    """Another 512-bit key pair with djn noise."""
    return _keypair("djn", 512, 1)


@pytest.fixture
def full() -> tuple[PublicKey, PrivateKey]:
    """A 512-bit key pair with full noise."""
    return _keypair("full", 512, 0)
