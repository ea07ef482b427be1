"""From an operator's SQL to a typed Plan, and from a Plan to the SQL that each provider runs."""

from sandbox.planning.again import plan_again
from sandbox.planning.compiler import compile_question
from sandbox.planning.describe import describe, show_expression
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
from sandbox.planning.lines import Line
from sandbox.planning.profiles import Profile, profiles, rules_for
from sandbox.planning.release import plan_release

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
    "plan_again",
    "plan_release",
    "profiles",
    "require_sound",
    "require_types",
    "rules_for",
    "show_expression",
]
