"""Benchmarks of secure aggregation: what is measured, against whom, and the targets."""
