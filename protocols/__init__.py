"""Cryptographic protocols over arrays: Paillier, blinded keys, encrypted joins. Knows no sockets, files or clocks."""
