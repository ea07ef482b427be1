"""Paillier over arrays: sums, weighted sums and packed statistics on numbers that only the key's owner can read."""

from protocols.paillier.array import EncryptedArray, concatenate
from protocols.paillier.generation import ShortKeyWarning, generate_insecure_keypair, generate_keypair
from protocols.paillier.keys import PublicKey
from protocols.paillier.layout import Layout, Numbers, Packed
from protocols.paillier.noise import NoisePool
from protocols.paillier.packing import Packing, Slot
from protocols.paillier.private import PrivateKey

__all__ = [
    "EncryptedArray",
    "Layout",
    "NoisePool",
    "Numbers",
    "Packed",
    "Packing",
    "PrivateKey",
    "PublicKey",
    "ShortKeyWarning",
    "Slot",
    "concatenate",
    "generate_insecure_keypair",
    "generate_keypair",
]
