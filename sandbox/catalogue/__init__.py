"""Catalogue: what a provider declares about its tables, versioned; classification proposed; profiles from safe aggregates."""

from __future__ import annotations

from sandbox.catalogue.definition import TableDefinition, declare, table
from sandbox.catalogue.store import Catalogue, open_catalogue

__all__ = ["Catalogue", "TableDefinition", "declare", "open_catalogue", "table"]
