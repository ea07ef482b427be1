"""Plan: a question, typed: what each provider computes locally, what is joined, which cells come out, which rules judge."""

from __future__ import annotations

from typing import Literal as OneOf
from typing import get_args

from sandbox.model.asset import KeyDomain
from sandbox.model.canonical import Document, digest
from sandbox.model.expression import AggregateRef, ColumnRef, ColumnType, Expression, GroupRef, IsNull, Literal
from sandbox.model.federation import Federation
from sandbox.model.fit import FitSpec, ModelRules
from sandbox.model.privacy import NoiseRules
from sandbox.model.release import ReleaseSpec, RiskRules

Protocol = OneOf["join/1", "keyed-join/1", "aggregation/1", "fit/1", "release/1"]
Use = OneOf["join_key", "group", "filter", "count", "sum", "mean", "variance", "moments", "train", "desensitise"]
Cipher = OneOf["chacha20", "aes256ctr"]
PairFunction = OneOf["covar_samp", "covar_pop", "corr", "regr_slope", "regr_intercept", "regr_r2"]
Function = (
    OneOf["count_rows", "count", "count_keys", "sum", "avg", "var_samp", "var_pop", "stddev_samp", "stddev_pop"] | PairFunction
)
PAIR_FUNCTIONS: frozenset[str] = frozenset(get_args(PairFunction))


class Measure(Document, frozen=True, kw_only=True):
    """A column whose aggregates are asked for. bound: |value · scale| ≤ bound, an integer.

    lowest and highest: the declared bounds in the column's unit, decimal text; none for a measure that is only counted.
    given: another column of the table; only rows in which it has a value too are counted. times: the measure is the product,
    row by row, of the column and of the column of measure number `times` of the same input.
    """

    column: str
    type: ColumnType
    needs_sum: bool
    needs_squares: bool
    scale: int = 1
    bound: int = 0
    lowest: str | None = None
    highest: str | None = None
    clip: bool = False
    given: str | None = None
    times: int | None = None


class LocalGroup(Document, frozen=True, kw_only=True):
    """A GROUP BY expression over one provider's columns, with the type of its labels."""

    expression: Expression
    type: ColumnType


class PlanInput(Document, frozen=True, kw_only=True):
    """One provider's part: which rows, which groups, which measures.

    carries: this provider's encrypted rows carry COUNT(*) (exactly one input does). opens_multiplicity: the operator learns
    how many rows each blinded key stands for here, since another provider's aggregates are weighted by it. padded_rows: the
    size that others see of its list, 0 for the true one.
    """

    provider: str
    asset: str
    asset_version: int
    asset_digest: str
    alias: str
    key: tuple[str, ...]
    unique: bool
    filters: tuple[Expression, ...]
    groups: tuple[LocalGroup, ...]
    measures: tuple[Measure, ...]
    carries: bool
    opens_multiplicity: bool
    padded_rows: int = 0

    @property
    def complete(self) -> tuple[Expression, ...]:
        """The filters, and that no column which is measured or grouped by lacks a value: the rows that a model is fitted on."""
        names = [measure.column for measure in self.measures]
        names += [group.expression.name for group in self.groups if isinstance(group.expression, ColumnRef)]
        present = (IsNull(operand=ColumnRef(name=name), negated=True) for name in names)
        return tuple(dict.fromkeys((*self.filters, *present)))


class Group(Document, frozen=True, kw_only=True):
    """A GROUP BY column of the question: groups[local] of inputs[input].

    domain: over a federated table, every label that the group can have, as the declarations say; NULL last where it can be.
    """

    name: str
    input: int
    local: int
    type: ColumnType
    domain: tuple[Literal, ...] | None = None


class Aggregate(Document, frozen=True, kw_only=True):
    """An aggregate of the question. input and measure are absent for count_rows and count_keys.

    For a function of two columns (y, x), as in CORR(y, x), they are y's, and other_input and other_measure are x's.
    """

    function: Function
    input: int | None = None
    measure: int | None = None
    other_input: int | None = None
    other_measure: int | None = None


class SelectItem(Document, frozen=True, kw_only=True):
    """An output column, in order."""

    name: str
    source: GroupRef | AggregateRef


class Order(Document, frozen=True, kw_only=True):
    """One ORDER BY term."""

    by: GroupRef | AggregateRef
    descending: bool = False
    nulls_first: bool = False


class ColumnUse(Document, frozen=True, kw_only=True):
    """What a plan does with one column: what a policy judges."""

    asset: str
    column: str
    uses: tuple[Use, ...]


class GateRules(Document, frozen=True, kw_only=True):
    """A scenario profile's rules, fixed in the plan before data is read.

    min_keys: distinct keys behind a cell. min_contributors: keys with a value behind an aggregate.
    min_pattern: keys that share a per-key pattern at a provider, before blinding. min_list: rows of a provider's list.
    min_freedom: contributors beyond the parameters of a function of two columns.
    dominance: shares in per cent of the largest one and two contributors, and p of the p % rule; None where not judged.
    noise: what is added to every number before anything else is judged; None for exact numbers.
    model: when a model may be fitted; None where none may. A profile judges models or tables.
    risk: what a released table of rows must satisfy; None for statistics.
    """

    profile: str
    version: int
    min_keys: int
    min_contributors: int
    min_pattern: int
    min_list: int
    dominance_1: int | None = 50
    dominance_2: int | None = 67
    p_percent: int | None = 10
    min_difference: int = 10
    min_freedom: int = 10
    noise: NoiseRules | None = None
    model: ModelRules | None = None
    risk: RiskRules | None = None


class Parameters(Document, frozen=True, kw_only=True):
    """Cryptographic parameters of a job: the gate's Paillier key and its noise for joins, the masks' cipher for secure sums."""

    key_bits: int = 3072
    noise: OneOf["full", "djn", "subgroup"] = "djn"
    cipher: Cipher = "chacha20"


class Plan(Document, frozen=True, kw_only=True):
    """A question, ready to be judged, approved and run. Its digest is what grants sign.

    protocol: `join/1`, an encrypted join of the inputs over their keys, blinded, or `keyed-join/1`, the same over keys under a
    secret that the providers share; or `aggregation/1`, secure aggregation over the parts of a federated table: then the inputs
    are its parts, all computing the same, and the aggregates' input 0 stands for each. Or `fit/1`, a model fitted by sums over
    such parts, round by round (`fit`); sql then says whose rows are fitted on, and nobody gets them. Or `release/1`, the
    desensitised rows of one table: then `release` says how, and there is no question in SQL.
    """

    version: OneOf[1]
    title: str
    purpose: str
    recipients: tuple[str, ...]
    sql: str
    protocol: Protocol
    key_domain: KeyDomain
    inputs: tuple[PlanInput, ...]
    groups: tuple[Group, ...]
    aggregates: tuple[Aggregate, ...]
    select: tuple[SelectItem, ...]
    having: Expression | None
    order_by: tuple[Order, ...]
    limit: int | None
    uses: tuple[ColumnUse, ...]
    dropped: tuple[str, ...]
    rules: GateRules
    parameters: Parameters
    operator: str
    gate: str
    federation: Federation | None = None
    fit: FitSpec | None = None
    release: ReleaseSpec | None = None

    @property
    def joins(self) -> bool:
        """Whether the inputs are joined, in whatever way keys are matched."""
        return self.protocol in ("join/1", "keyed-join/1")

    @property
    def has_separate_parties(self) -> bool:
        """Whether operator, gate and providers have names of their own, without which no protocol runs between them."""
        names = [self.operator, self.gate, *(entry.provider for entry in self.inputs)]
        return len(set(names)) == len(names)

    def rows_told(self, part: PlanInput, number: int) -> str:
        """Return a number of faulty rows as an error may say it: below the smallest cell only if the question chose no rows."""
        is_small = bool(part.filters) and 0 < number < self.rules.min_keys
        return f"fewer than {self.rules.min_keys}" if is_small else str(number)

    def overlap(self, parts: int) -> int:
        """Return among how many of `parts` parts' rows one person may stand: one, unless a federated table says otherwise."""
        return 1 if self.federation is None or self.federation.disjoint else parts

    def digest(self) -> str:
        """Return `sha256:<hex>` over the plan's canonical bytes."""
        return digest(self)
