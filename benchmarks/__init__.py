"""Benchmarks against peers; run from a checkout, never installed."""
