"""Cryptographic protocols: Paillier, blinded keys, encrypted joins, secure aggregation. Knows no sockets, files or clocks."""
