"""Models fitted over a federated table: a method of its own, and what its product measures."""
