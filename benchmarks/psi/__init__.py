"""Benchmarks of blinded keys: what is measured, against whom, and the targets."""
