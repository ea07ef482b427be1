"""Synthesis: a synthetic twin of a table, made from safe aggregates only, and attacked before it is shown."""
