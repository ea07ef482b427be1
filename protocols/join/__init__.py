"""Encrypted join over n providers: aggregates per cell that only the gate can read, and only for large cells."""

from protocols.join.disclosure import disclosure
from protocols.join.gate import Cell, JoinGate, JoinResult
from protocols.join.layout import packs
from protocols.join.moments import Moments, ProductMoments
from protocols.join.operator import JoinOperator, OperatorReport
from protocols.join.params import JoinParams, MeasureSpec, ProductSpec, ProviderSpec
from protocols.join.prepare import MeasureRows, ProviderRows, Removed
from protocols.join.provider import JoinProvider, LabelBook, ProviderReport

__all__ = [
    "Cell",
    "JoinGate",
    "JoinOperator",
    "JoinParams",
    "JoinProvider",
    "JoinResult",
    "LabelBook",
    "MeasureRows",
    "MeasureSpec",
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
]
