"""Line: one line of a plan in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf

Step = OneOf["read", "filter", "rule", "return", "drop", "join", "fit", "add", "cells", "gate", "answer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a description. subject: the provider, or the operator or gate, that does it."""

    step: Step
    subject: str
    text: str
