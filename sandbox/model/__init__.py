"""Frozen documents that every room of the sandbox speaks. Light: msgspec and rfc8785 only."""
