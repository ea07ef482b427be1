"""Encrypted join over n providers: aggregates per cell that only the gate can read, and only for large cells."""

from protocols.join.disclosure import disclosure
from protocols.join.gate import Cell, JoinGate, JoinResult
from protocols.join.integers import Integers
from protocols.join.keyed import KeyedProvider
from protocols.join.layout import packs
from protocols.join.moments import Moments, ProductMoments
from protocols.join.operator import JoinOperator, OperatorReport
from protocols.join.own import LabelBook, ProviderReport
from protocols.join.params import JoinParams, MeasureSpec, ProductSpec, ProviderSpec
from protocols.join.patterns import Merged, Removed
from protocols.join.prepare import MeasureRows, ProviderRows
from protocols.join.products import pair_plans
from protocols.join.provider import JoinProvider

__all__ = [
    "Cell",
    "Integers",
    "JoinGate",
    "JoinOperator",
    "JoinParams",
    "JoinProvider",
    "JoinResult",
    "KeyedProvider",
    "LabelBook",
    "MeasureRows",
    "MeasureSpec",
    "Merged",
    "Moments",
    "OperatorReport",
    "ProductMoments",
    "ProductSpec",
    "ProviderReport",
    "ProviderRows",
    "ProviderSpec",
    "Removed",
    "disclosure",
    "packs",
    "pair_plans",
]
