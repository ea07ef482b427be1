"""Privacy models against the figures of their papers, and the second opinion against tampered tables."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from protocols import desensitise
from protocols.desensitise import models as privacy
from protocols.desensitise.verification import _JUDGES, NotAnonymous, verify, verify_labels
from protocols.errors import MisuseError, ParameterError

# Li, Li, Venkatasubramanian 2007, section 5: nine salaries in three classes of three (their table 3).
SALARIES = pd.DataFrame(
    {"zip": ["476", "476", "476", "4790", "4790", "4790", "4760", "4760", "4760"], "salary": [3, 4, 5, 6, 11, 8, 7, 9, 10]}
)
# Their table 3 and figure 1: diseases, and the tree over them, with respiratory infection and vascular lung disease apart.
DISEASES = desensitise.Tree(
    [
        ("flu", "respiratory infection", "respiratory", "*"),
        ("pneumonia", "respiratory infection", "respiratory", "*"),
        ("bronchitis", "respiratory infection", "respiratory", "*"),
        ("pulmonary edema", "vascular lung", "respiratory", "*"),
        ("pulmonary embolism", "vascular lung", "respiratory", "*"),
        ("gastric ulcer", "stomach", "digestive", "*"),
        ("stomach cancer", "stomach", "digestive", "*"),
        ("colitis", "colon", "digestive", "*"),
        ("colon cancer", "colon", "digestive", "*"),
    ]
)


def satisfied(model: privacy.Model, frame: pd.DataFrame, quasi: list[str]) -> bool:
    """By the search, with the only generalisation forbidden, and by the second opinion; they must agree."""
    try:
        desensitise.k_anonymise(
            frame, quasi=quasi, hierarchies={q: [(v, v + "'") for v in frame[q].unique()] for q in quasi}, k=1, models=[model]
        )
        by_search = True
    except ParameterError:
        by_search = False
    judge = _JUDGES[type(model)](model, frame[model.column])
    by_second = all(judge(Counter(part)) for _, part in frame.groupby(quasi)[model.column])
    assert by_search == by_second
    return by_search


def test_ordered_distance_of_the_papers_salaries() -> None:
    """D({3k, 4k, 5k}) = 0.375 and D({6k, 8k, 11k}) = 0.167 (section 5.1)."""
    first, second = SALARIES["zip"] == "476", SALARIES["zip"] == "4790"
    for part, distance in ((first, 0.375), (second, 1 / 6)):
        # The class beside all the others as one class, which is nearer to the table.
        frame = SALARIES.assign(zip=np.where(part, "x", "rest"))
        assert satisfied(privacy.OrderedCloseness(column="salary", t=distance + 1e-9), frame, ["zip"])
        assert not satisfied(privacy.OrderedCloseness(column="salary", t=distance - 1e-3), frame, ["zip"])


def test_hierarchical_distance_of_one_disease_moved() -> None:
    """Each node costs its height over the tree's: 1/3 within an infection, 2/3 within the respiratory ones, 1 across."""
    for other, cost in (("pneumonia", 1 / 3), ("pulmonary edema", 2 / 3), ("colitis", 1.0)):
        # Overall half and half, the class all flu: half the mass moves.
        frame = pd.DataFrame({"q": ["a", "a", "b", "b"], "s": ["flu", "flu", other, other]})
        assert satisfied(privacy.HierarchicalCloseness(column="s", t=cost / 2 + 1e-9, hierarchy=DISEASES), frame, ["q"])
        assert not satisfied(privacy.HierarchicalCloseness(column="s", t=cost / 2 - 1e-6, hierarchy=DISEASES), frame, ["q"])


@pytest.mark.parametrize(
    ("counts", "model", "holds"),
    [
        ("aab", privacy.DistinctDiversity(column="s", l=2), True),
        ("aab", privacy.DistinctDiversity(column="s", l=3), False),
        ("aabb", privacy.EntropyDiversity(column="s", l=2), True),
        ("aab", privacy.EntropyDiversity(column="s", l=2), False),
        ("aab", privacy.EntropyDiversity(column="s", l=1.88), True),  # exp(H) = 1.8899
        ("aabbc", privacy.RecursiveDiversity(column="s", c=1, l=2), True),  # 2 < 1 * 3
        ("aabbc", privacy.RecursiveDiversity(column="s", c=2, l=3), False),  # 2 < 2 * 1 does not hold
        ("aabbc", privacy.RecursiveDiversity(column="s", c=2.1, l=3), True),
    ],
)
def test_diversity(counts: str, model: privacy.Model, holds: bool) -> None:
    assert satisfied(model, pd.DataFrame({"q": ["x"] * len(counts), "s": list(counts)}), ["q"]) is holds


@pytest.mark.parametrize(
    ("model", "holds"),
    [
        # a: 3/4 in class x, 1/2 overall; b: 1/4.
        (privacy.EqualCloseness(column="s", t=0.25), True),
        (privacy.EqualCloseness(column="s", t=0.24), False),
        (privacy.BasicLikeness(column="s", beta=0.5), True),
        (privacy.BasicLikeness(column="s", beta=0.49), False),
        (privacy.EnhancedLikeness(column="s", beta=5), True),  # −ln 0.5 = 0.693 binds, the gain is 0.5
        (privacy.DeltaDisclosure(column="s", delta=1.0), False),  # |log2(0.5)| = 1 is not below 1
        (privacy.DeltaDisclosure(column="s", delta=1.01), True),
    ],
)
def test_closeness_likeness_and_disclosure(model: privacy.Model, holds: bool) -> None:
    frame = pd.DataFrame({"q": list("xxxxyyyy"), "s": list("aaabbbba")})
    assert satisfied(model, frame, ["q"]) is holds


def test_enhanced_likeness_guards_frequent_values() -> None:
    frame = pd.DataFrame({"q": ["x"] * 2 + ["y"] * 6, "s": list("aa") + list("aaabbb")})  # a: 1 in x, 0.625 overall
    assert satisfied(privacy.BasicLikeness(column="s", beta=0.7), frame, ["q"])
    assert not satisfied(privacy.EnhancedLikeness(column="s", beta=0.7), frame, ["q"])  # −ln 0.625 = 0.47 < 0.6


def test_a_value_absent_from_a_class_breaks_delta_disclosure() -> None:
    assert not satisfied(
        privacy.DeltaDisclosure(column="s", delta=50), pd.DataFrame({"q": list("xxyy"), "s": list("aaab")}), ["q"]
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: privacy.KAnonymity(k=0),
        lambda: privacy.DistinctDiversity(column="s", l=0),
        lambda: privacy.EntropyDiversity(column="s", l=0.5),
        lambda: privacy.RecursiveDiversity(column="s", c=0, l=2),
        lambda: privacy.EqualCloseness(column="s", t=1.1),
        lambda: privacy.BasicLikeness(column="s", beta=0),
        lambda: privacy.DeltaDisclosure(column="s", delta=0),
    ],
)
def test_meaningless_parameters_are_refused(make: object) -> None:
    with pytest.raises(ParameterError):
        make()  # type: ignore[operator]


BEFORE = pd.DataFrame({"q": list("aabbcc"), "s": list("xyxyxy")})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda after: after.iloc[:5], "rows are missing"),
        (lambda after: after.assign(s=list("xyxyxx")), "another column was changed"),
        (lambda after: after.assign(q=list("aabbcd")), "2 classes violate KAnonymity"),
        (lambda after: after.assign(q=list("aabb*c")), "a suppressed row still tells"),
    ],
)
def test_the_second_opinion_notices(change: object, words: str) -> None:
    models = [privacy.KAnonymity(k=2), privacy.DistinctDiversity(column="s", l=2)]
    hidden = np.array([False] * 4 + [True] * 2) if "suppressed" in words else None
    verify(BEFORE, BEFORE, ["q"], models)
    with pytest.raises(NotAnonymous, match=words):
        verify(BEFORE, change(BEFORE), ["q"], models, suppressed=hidden)  # type: ignore[operator]


def test_the_second_opinion_counts_suppressed_rows_and_labels() -> None:
    after = BEFORE.assign(q=["a", "a", "b", "b", "*", "*"])
    hidden = np.array([False] * 4 + [True] * 2)
    verify(BEFORE, after, ["q"], [privacy.KAnonymity(k=2)], suppressed=hidden, suppressible=2)
    with pytest.raises(NotAnonymous, match="more rows"):
        verify(BEFORE, after, ["q"], [privacy.KAnonymity(k=2)], suppressed=hidden, suppressible=1)
    with pytest.raises(NotAnonymous, match="two labels"):
        verify_labels(BEFORE, BEFORE.assign(q=list("aaabcc")), ["q"], np.zeros(6, dtype=bool))
    with pytest.raises(NotAnonymous, match="population is missing"):
        verify(BEFORE, BEFORE, ["q"], [privacy.KMap(k=1, population=BEFORE)])


def test_an_unbound_model_does_not_judge() -> None:
    with pytest.raises(MisuseError):
        privacy.OrderedCloseness(column="s", t=0.1).judge(None, None)  # type: ignore[arg-type]
