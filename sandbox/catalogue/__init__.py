"""Catalogue: what a provider declares about its tables, versioned; classification proposed; profiles from safe aggregates."""

from __future__ import annotations

from sandbox.catalogue.classify import Proposal, classify, evidence_statement
from sandbox.catalogue.definition import TableDefinition, declare, table
from sandbox.catalogue.federation import FederationDefinition, declare_federation, federation
from sandbox.catalogue.profile import Profile, profile_statement, read_profile
from sandbox.catalogue.store import Catalogue, open_catalogue

__all__ = [
    "Catalogue",
    "FederationDefinition",
    "Profile",
    "Proposal",
    "TableDefinition",
    "classify",
    "declare",
    "declare_federation",
    "evidence_statement",
    "federation",
    "open_catalogue",
    "profile_statement",
    "read_profile",
    "table",
]
