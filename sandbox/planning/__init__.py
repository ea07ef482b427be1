"""From an operator's SQL to a typed Plan, and from a Plan to the SQL that each provider runs."""

from sandbox.planning.compiler import compile_question
from sandbox.planning.describe import Line, describe, show_expression
from sandbox.planning.fitting import compile_fit
from sandbox.planning.fragment import (
    MAX_PART_ROWS,
    MAX_TOTAL,
    Check,
    Fragment,
    Output,
    Statement,
    fragment,
    require_sound,
    require_types,
)
from sandbox.planning.profiles import Profile, profiles, rules_for

__all__ = [
    "MAX_PART_ROWS",
    "MAX_TOTAL",
    "Check",
    "Fragment",
    "Line",
    "Output",
    "Profile",
    "Statement",
    "compile_fit",
    "compile_question",
    "describe",
    "fragment",
    "profiles",
    "require_sound",
    "require_types",
    "rules_for",
    "show_expression",
]
