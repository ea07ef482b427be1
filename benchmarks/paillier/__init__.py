"""Benchmarks of Paillier: what is measured, against whom, and the targets."""
