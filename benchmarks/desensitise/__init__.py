"""Benchmarks of desensitisation: what is measured, against whom, and the targets."""
