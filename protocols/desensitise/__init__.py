"""Desensitisation: rules over columns of personal data, with what each keeps and who can undo it."""

from __future__ import annotations

from protocols.desensitise import ff1

__all__ = ["ff1"]
