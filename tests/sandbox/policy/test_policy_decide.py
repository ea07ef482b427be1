"""decide against an independent, naive judge, and case by case with the reasons that people read."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.policy_cases import DAY, DISCLOSURE, Question, party, question

from protocols.disclosure import Learned
from sandbox.model.canonical import digest
from sandbox.model.expression import ColumnRef, GroupRef, Not
from sandbox.model.plan import Aggregate, ColumnUse
from sandbox.model.policy import ColumnUses, Policy
from sandbox.policy import decide

EXAMPLES = int(os.environ.get("SANDBOX_POLICY_EXAMPLES", "300"))
replace = msgspec.structs.replace
Change = Callable[[Question, Callable[[st.SearchStrategy[Any]], Any]], Question]

USES = ["join_key", "group", "filter", "count", "sum", "mean", "variance", "moments", "train", "desensitise", "telepathy"]
ASSETS = ["registry.patients", "lab.measurements"]
COLUMNS = ["id", "male", "age", "name", "test", "value", "absent"]


def decided(asked: Question) -> set[str]:
    """Names of the constraints that do not pass."""
    decision = decide(asked.plan, asked.policies, asked.history, asked.now)
    failing = {finding.check for finding in decision.findings if finding.verdict != "pass"}
    assert decision.allowed == (not failing)
    return failing


def reasons(asked: Question) -> str:
    decision = decide(asked.plan, asked.policies, asked.history, asked.now)
    return "\n".join(finding.message for finding in decision.findings if finding.verdict != "pass")


# The naive judge: reads the documents as plain JSON values and walks them, sharing nothing with the product.


def columns_below(node: object) -> set[str]:
    if isinstance(node, dict):
        found = {node["name"]} if node.get("node") == "column" else set()
        return found.union(*(columns_below(value) for value in node.values()))
    if isinstance(node, list | tuple):
        return set().union(*(columns_below(value) for value in node))
    return set()


def naive_uses(plan: dict[str, Any]) -> set[tuple[str, str, str]]:
    word = {"count": "count", "sum": "sum", "avg": "mean"}
    found = {(item["asset"], item["column"], use) for item in plan["uses"] for use in item["uses"]}
    for number, source in enumerate(plan["inputs"]):
        found |= {(source["asset"], column, "join_key") for column in source["key"]}
        found |= {(source["asset"], column, "filter") for column in columns_below(source["filters"])}
        found |= {(source["asset"], column, "group") for column in columns_below(source["groups"])}
        for place, measure in enumerate(source["measures"]):
            named = [a["function"] for a in plan["aggregates"] if a["input"] == number and a["measure"] == place]
            found |= {(source["asset"], measure["column"], word.get(function, "variance")) for function in named}
            if not named:
                found.add((source["asset"], measure["column"], "variance" if measure["needs_squares"] else "sum"))
    return found


def naive(asked: Question) -> set[str]:
    plan: dict[str, Any] = msgspec.to_builtins(asked.plan)
    terms = {p.asset: msgspec.to_builtins(p) for p in asked.policies if [q.asset for q in asked.policies].count(p.asset) == 1}
    uses = naive_uses(plan)
    touched = {source["asset"] for source in plan["inputs"]} | {asset for asset, _, _ in uses}
    judged = [terms[asset] for asset in touched if asset in terms]
    failing: set[str] = set()
    if touched - set(terms):
        failing.add("asset_version")
    for source in plan["inputs"]:
        asset = asked.history.assets.get(source["asset"])
        if (
            asset is None
            or asset.lifecycle in ("draft", "submitted", "checked", "cancelled")
            or digest(asset) != source["asset_digest"]
        ):
            failing.add("asset_version")
    for asset_name, column_name, use in uses:
        asset = asked.history.assets.get(asset_name)
        column = [c for c in asset.columns if c.name == column_name][:1] if asset else []
        if (
            not column
            or column[0].grade in ("core", "secret", "unclassified")
            or column[0].role == "unclassified"
            or (column[0].role == "direct_identifier" and use not in ("join_key", "desensitise"))
        ):
            failing.add("classification")
        allowed = {c["column"]: c["uses"] for c in terms[asset_name]["columns"]} if asset_name in terms else {}
        if use not in allowed.get(column_name, ()):
            failing.add("column_use")
    simple = {
        "purpose": lambda t: plan["purpose"] in t["purposes"],
        "profile": lambda t: plan["rules"]["profile"] in t["profiles"],
        "minimum_cell": lambda t: (
            min(plan["rules"][f"min_{w}"] for w in ("keys", "contributors", "pattern", "difference")) >= t["min_cell"]
        ),
        "minimum_list": lambda t: plan["rules"]["min_list"] >= t["min_list"],
        "minimum_parties": lambda t: plan["federation"] is None,
        "matching_mode": lambda t: {"join/1": "blinded", "keyed-join/1": "keyed"}[plan["protocol"]] in t["matching"],
        "privacy_budget": lambda t: plan["rules"]["noise"] is None,
        "expiry": lambda t: asked.now.date().isoformat() <= t["expires"],
        "call_count": lambda t: 0 <= asked.history.calls.get(t["asset"], -1) < t["max_calls"],
    }
    failing |= {name for name, holds in simple.items() if not judged or not all(holds(t) for t in judged)}
    people = asked.history.parties
    for name in plan["recipients"]:
        if name not in people or people[name].status != "admitted":
            failing.add("recipient")
        roles = {f"role:{role}" for role in people[name].roles} if name in people else set()
        if not judged or not all({name, *roles} & set(t["recipients"]) for t in judged):
            failing.add("recipient")
    if not plan["recipients"]:
        failing.add("recipient")
    facts = asked.history.disclosure
    if facts is None or any(
        (f.fact == "key" and plan["protocol"] != "keyed-join/1")
        or (f.visibility == "by_design" and f.fact in ("row_value", "membership"))
        for f in facts.learned
    ):
        failing.add("disclosure")
    return failing


# Changes that hypothesis piles on the question that is allowed.


def on_plan(asked: Question, **fields: Any) -> Question:
    return dataclasses.replace(asked, plan=replace(asked.plan, **fields))


def on_policy(asked: Question, index: int, **fields: Any) -> Question:
    terms = list(asked.policies)
    if index < len(terms):
        terms[index] = replace(terms[index], **fields)
    return dataclasses.replace(asked, policies=tuple(terms))


def on_history(asked: Question, **fields: Any) -> Question:
    return dataclasses.replace(asked, history=dataclasses.replace(asked.history, **fields))


def on_rules(asked: Question, **fields: Any) -> Question:
    return on_plan(asked, rules=replace(asked.plan.rules, **fields))


def with_use(asked: Question, draw: Any) -> Question:
    use = ColumnUse(
        asset=draw(st.sampled_from([*ASSETS, "tax.income"])),
        column=draw(st.sampled_from(COLUMNS)),
        uses=(draw(st.sampled_from(USES)),),
    )
    return on_plan(asked, uses=(*asked.plan.uses, use))


def with_terms(asked: Question, draw: Any) -> Question:
    index, columns = draw(st.integers(0, 1)), draw(st.sets(st.sampled_from(COLUMNS)))
    uses = st.lists(st.sampled_from(USES[:-1]), unique=True).map(tuple)
    return on_policy(asked, index, columns=tuple(ColumnUses(column=name, uses=draw(uses)) for name in sorted(columns)))


def with_filter(asked: Question, draw: Any) -> Question:
    index = draw(st.integers(0, 1))
    sources = list(asked.plan.inputs)
    sources[index] = replace(sources[index], filters=(Not(operand=ColumnRef(name=draw(st.sampled_from(COLUMNS)))),))
    return on_plan(asked, inputs=tuple(sources))


def with_column(asked: Question, draw: Any) -> Question:
    """The catalogue's declaration changes, and the plan is made against the changed one or the old one."""
    index = draw(st.integers(0, 1))
    asset = asked.history.assets.get(ASSETS[index])
    if asset is None:
        return asked
    columns = list(asset.columns)
    place = draw(st.integers(0, len(columns) - 1))
    grade = draw(st.sampled_from(["general", "important", "core", "secret", "unclassified"]))
    role = draw(st.sampled_from(["direct_identifier", "measure", "key", "unclassified"]))
    columns[place] = replace(columns[place], grade=grade, role=role)
    changed = replace(
        asset, columns=tuple(columns), lifecycle=draw(st.sampled_from(["published", "coded", "draft", "cancelled"]))
    )
    asked = on_history(asked, assets={**asked.history.assets, asset.name: changed})
    if draw(st.booleans()):
        sources = tuple(replace(s, asset_digest=digest(changed)) if s.asset == asset.name else s for s in asked.plan.inputs)
        asked = on_plan(asked, inputs=sources)
    return asked


def with_disclosure(asked: Question, draw: Any) -> Question:
    fact = draw(st.sampled_from(["list_size", "membership", "row_value", "key"]))
    item = Learned(who="operator", fact=fact, about="…", visibility=draw(st.sampled_from(["by_design", "under_collusion"])))
    return on_history(asked, disclosure=dataclasses.replace(DISCLOSURE, learned=(*DISCLOSURE.learned, item)))


def with_person(asked: Question, draw: Any) -> Question:
    status = draw(st.sampled_from(["admitted", "suspended", "exited"]))
    return on_history(asked, parties={**asked.history.parties, "operator": party("operator", "operator", status=status)})


NAMES = st.sets(st.sampled_from(["operator", "buyer", "stranger", "lab"])).map(lambda names: tuple(sorted(names)))
SMALL = st.integers(5, 15)
CHANGES: list[Change] = [
    with_use,
    with_terms,
    with_filter,
    with_column,
    with_disclosure,
    with_person,
    lambda q, draw: on_plan(q, uses=q.plan.uses[: draw(st.integers(0, 6))]),
    lambda q, draw: on_plan(q, purpose=draw(st.sampled_from(["statistics", "research", "marketing", ""]))),
    lambda q, draw: on_plan(q, recipients=draw(NAMES)),
    lambda q, draw: on_plan(
        q, aggregates=(Aggregate(function=draw(st.sampled_from(["sum", "count", "var_pop"])), input=1, measure=0),)
    ),
    lambda q, draw: on_rules(q, profile=draw(st.sampled_from(["statistics-controlled", "open"]))),
    lambda q, draw: on_rules(
        q, min_keys=draw(SMALL), min_contributors=draw(SMALL), min_pattern=draw(SMALL), min_difference=draw(SMALL)
    ),
    lambda q, draw: on_rules(q, min_list=draw(st.integers(90, 110))),
    lambda q, draw: on_policy(q, draw(st.integers(0, 1)), min_cell=draw(SMALL), min_list=draw(st.integers(90, 110))),
    lambda q, draw: on_policy(q, draw(st.integers(0, 1)), max_calls=draw(st.integers(0, 6))),
    lambda q, draw: on_policy(q, draw(st.integers(0, 1)), matching=draw(st.sampled_from([("blinded",), ("keyed",), ()]))),
    lambda q, draw: on_policy(q, draw(st.integers(0, 1)), expires=datetime.date(2026, 6, draw(st.integers(1, 3)))),
    lambda q, draw: dataclasses.replace(q, now=q.now + draw(st.integers(-2, 40)) * DAY),
    lambda q, draw: dataclasses.replace(
        q, policies=draw(st.lists(st.sampled_from(q.policies or (None,)), max_size=3).map(lambda p: tuple(x for x in p if x)))
    ),
    lambda q, draw: on_history(q, calls={name: draw(st.integers(-1, 6)) for name in draw(st.sets(st.sampled_from(ASSETS)))}),
    lambda q, draw: on_history(q, assets={k: v for k, v in q.history.assets.items() if draw(st.booleans())}),
]


@settings(max_examples=EXAMPLES, deadline=None)
@given(changes=st.lists(st.sampled_from(CHANGES), max_size=3), data=st.data())
def test_decide_agrees_with_a_naive_judge(changes: list[Change], data: st.DataObject) -> None:
    asked = question()
    for change in changes:
        asked = change(asked, data.draw)
    assert decided(asked) == naive(asked)


@settings(max_examples=EXAMPLES // 4, deadline=None)
@given(order=st.permutations(question().policies))
def test_the_order_of_terms_does_not_matter(order: list[Policy]) -> None:
    asked = question()
    assert decide(asked.plan, order, asked.history, asked.now) == decide(asked.plan, asked.policies, asked.history, asked.now)


def with_source(**fields: Any) -> Question:
    first, second = question().plan.inputs
    return on_plan(question(), inputs=(first, replace(second, **fields)))


REFUSED: dict[str, tuple[Question, str]] = {
    "unlisted column": (
        on_plan(question(), uses=(*question().plan.uses, ColumnUse(asset="lab.measurements", column="test", uses=("group",)))),
        "lab.measurements.test may not be used for group; its owner allows filter",
    ),
    "understated use": (
        on_plan(question(), uses=(), aggregates=(Aggregate(function="var_pop", input=1, measure=0),)),
        "lab.measurements.value may not be used for variance; its owner allows count, mean, sum",
    ),
    "understated moments": (
        on_plan(
            question(),
            uses=(),
            aggregates=(Aggregate(function="corr", input=1, measure=0, other_input=1, other_measure=0),),
        ),
        "lab.measurements.value may not be used for moments; its owner allows count, mean, sum",
    ),
    "a measure that leans on a hidden column": (
        with_source(measures=(replace(question().plan.inputs[1].measures[0], given="test"),)),
        "lab.measurements.test may not be used for moments; its owner allows filter",
    ),
    "a product of nothing": (
        with_source(measures=(replace(question().plan.inputs[1].measures[0], given="test", times=5),)),
        "a product points at no measure",
    ),
    "half a pair": (
        on_plan(question(), aggregates=(Aggregate(function="corr", input=1, measure=0),)),
        "points at no measure",
    ),
    "a pair where one column is asked": (
        on_plan(question(), aggregates=(Aggregate(function="sum", input=1, measure=0, other_input=1, other_measure=0),)),
        "names a measure that it cannot have",
    ),
    "unknown use": (
        on_plan(question(), uses=(ColumnUse(asset="lab.measurements", column="value", uses=("telepathy",)),)),  # type: ignore[arg-type]
        "telepathy is no known use",
    ),
    "unknown function": (
        on_plan(question(), aggregates=(Aggregate(function="maximum", input=1, measure=0),)),  # type: ignore[arg-type]
        "maximum is no known use",
    ),
    "aggregate of nothing": (
        on_plan(question(), aggregates=(Aggregate(function="sum", input=7, measure=0),)),
        "points at no measure",
    ),
    "group of nothing": (on_plan(question(), groups=(replace(question().plan.groups[0], local=-1),)), "points at no group"),
    "filter of unknown kind": (with_source(filters=(GroupRef(index=0),)), "a filter has a part of unknown kind, GroupRef"),
    "a count that hides a measure": (
        on_plan(question(), aggregates=(Aggregate(function="count_rows", input=1, measure=0),)),
        "names a measure that it cannot have",
    ),
    "other purpose": (
        on_plan(question(), purpose="marketing"),
        "may not serve marketing; its owner allows research, statistics",
    ),
    "other recipient": (on_plan(question(), recipients=("stranger",)), "stranger is no known party"),
    "other profile": (on_rules(question(), profile="open"), "may not be released under the profile open"),
    "cells too small": (on_rules(question(), min_contributors=9), "the gate would accept 9 contributors; the owner of"),
    "lists too short": (
        on_rules(question(), min_list=5),
        "have at least 5 rows, and the owner of lab.measurements asks for 100",
    ),
    "unknown protocol": (on_plan(question(), protocol="join/9"), "the protocol join/9 matches keys in no known way"),
    "expired": (dataclasses.replace(question(), now=question().now + 30 * DAY), "ended on 2026-06-30; its owner must renew"),
    "used up": (
        on_history(question(), calls={"registry.patients": 5, "lab.measurements": 0}),
        "all 5 calls on registry.patients",
    ),
    "unknown count": (on_history(question(), calls={}), "so far were not given"),
    "no terms": (dataclasses.replace(question(), policies=question().policies[:1]), "lab.measurements has no terms in force"),
    "two sets of terms": (dataclasses.replace(question(), policies=question().policies * 2), "or more than one set"),
    "another provider's table": (with_source(provider="registry"), "takes lab.measurements from registry"),
    "an older version": (with_source(asset_version=0), "was made for version 0 of lab.measurements; version 1 is current"),
    "disclosure not given": (on_history(question(), disclosure=None), "what the protocol discloses was not given"),
    "disclosure of another protocol": (
        on_history(question(), disclosure=dataclasses.replace(DISCLOSURE, protocol="psi/1")),
        "the disclosure is that of psi/1",
    ),
    "unknown fact": (
        on_history(
            question(), disclosure=dataclasses.replace(DISCLOSURE, learned=(Learned(who="gate", fact="smell", about="all"),))
        ),  # type: ignore[arg-type]
        "gate would learn smell by design (all); no terms allow that",
    ),
    "unknown node": (
        on_history(
            question(),
            disclosure=dataclasses.replace(DISCLOSURE, learned=(Learned(who="press", fact="list_size", about="all"),)),
        ),
        "nobody that terms know",
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refusals_say_what_and_what_instead(case: tuple[Question, str]) -> None:
    asked, reason = case
    assert reason in reasons(asked)


def test_what_everybody_allows_is_allowed() -> None:
    asked = question()
    decision = decide(asked.plan, asked.policies, asked.history, asked.now)
    assert decision.allowed
    assert {finding.subject for finding in decision.findings} >= {"lab.measurements.value", "lab.measurements", "operator"}


def test_the_last_day_counts_in_full() -> None:
    last = datetime.datetime(2026, 6, 30, 23, 59, 59, tzinfo=datetime.UTC)
    assert decided(dataclasses.replace(question(), now=last)) == set()
    abroad = datetime.datetime(2026, 7, 1, 7, 59, tzinfo=datetime.timezone(datetime.timedelta(hours=8)))
    assert decided(dataclasses.replace(question(), now=abroad)) == set()
    assert decided(dataclasses.replace(question(), now=last + datetime.timedelta(seconds=1))) == {"expiry"}


def test_a_term_that_nothing_judges_denies() -> None:
    class Stricter(Policy, frozen=True, kw_only=True):
        moon_phase: str = "full"

    fields = {name: getattr(question().policies[0], name) for name in Policy.__struct_fields__}
    asked = dataclasses.replace(question(), policies=(Stricter(**fields), question().policies[1]))
    assert decided(asked) == {"terms"}
    assert "no constraint judges the term moon_phase" in reasons(asked)


def test_findings_cannot_break_a_terminal() -> None:
    asked = on_plan(question(), purpose="a\x1b[31m\r\nb\u202e", recipients=("x\n",))
    assert reasons(asked).replace("\n", "").isprintable()
    assert "a?[31m??b?" in reasons(asked)


def test_role_recipients() -> None:
    assert decided(on_plan(question(), recipients=("buyer",))) == set()
    assert decided(on_plan(question(), recipients=("auditor",))) == {"recipient"}


def test_everything_deep_is_read_without_overflow() -> None:
    expression: Any = ColumnRef(name="name")
    for _ in range(20_000):
        expression = Not(operand=expression)
    assert decided(with_source(filters=(expression,))) >= {"column_use"}
