"""Pure mathematics under the protocols: big integers, ristretto255, key derivation, fixed point, randomness."""
