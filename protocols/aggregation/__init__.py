"""Secure aggregation: the sum of parties' vectors, through a gate, with dropouts. Start with README.md."""

from protocols.aggregation.disclosure import disclosure
from protocols.aggregation.gate import SumGate, SumResult
from protocols.aggregation.history import SumHistory
from protocols.aggregation.local import secure_sum
from protocols.aggregation.noise import Block, LaplacePlan, NoisePlan, plan_laplace, plan_noise
from protocols.aggregation.operator import SumOperator, SumOutcome
from protocols.aggregation.params import Member, SumParams, plan_sum
from protocols.aggregation.party import Participation, SumParty
from protocols.aggregation.thresholds import Thresholds, choose

__all__ = [
    "Block",
    "LaplacePlan",
    "Member",
    "NoisePlan",
    "Participation",
    "SumGate",
    "SumHistory",
    "SumOperator",
    "SumOutcome",
    "SumParams",
    "SumParty",
    "SumResult",
    "Thresholds",
    "choose",
    "disclosure",
    "plan_laplace",
    "plan_noise",
    "plan_sum",
    "secure_sum",
]
