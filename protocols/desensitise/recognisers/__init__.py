"""Recognisers of identifiers in text, Chinese and international; by form, check digits and context."""

from __future__ import annotations

from protocols.desensitise.recognisers.scan import KINDS, Found, find, narrowed, scan, whole_names

__all__ = ["KINDS", "Found", "find", "narrowed", "scan", "whole_names"]
