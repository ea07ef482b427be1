"""Blinded keys: who has the same keys, told without telling the keys. Start with README.md."""

from protocols.psi.disclosure import LOOKUP_DISCLOSURE, OPRF_DISCLOSURE, intersection_disclosure
from protocols.psi.keycolumn import KeyColumn
from protocols.psi.keys import EncodedKeys, KeyDomain, encode_keys
from protocols.psi.local import cardinality, intersect, isin
from protocols.psi.oblivious import OprfClient, OprfServer
from protocols.psi.prepared import LookupClient, LookupServer, PreparedList
from protocols.psi.two_party import Intersecting, Terms

__all__ = [
    "LOOKUP_DISCLOSURE",
    "OPRF_DISCLOSURE",
    "EncodedKeys",
    "Intersecting",
    "KeyColumn",
    "KeyDomain",
    "LookupClient",
    "LookupServer",
    "OprfClient",
    "OprfServer",
    "PreparedList",
    "Terms",
    "cardinality",
    "encode_keys",
    "intersect",
    "intersection_disclosure",
    "isin",
]
