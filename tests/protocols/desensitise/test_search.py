"""The search finds the optimum: on Adult the known one, on small tables what trying every node finds."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.full_domain_oracle import best_loss

from protocols import desensitise
from protocols.desensitise import models as privacy
from protocols.desensitise.verification import _JUDGES
from protocols.errors import Cancelled, ParameterError
from protocols.party import Progress

ADULT = Path(os.environ.get("SANDBOX_VECTORS", "/nonexistent")) / "adult"
needs_adult = pytest.mark.skipif(not ADULT.is_dir(), reason="SANDBOX_VECTORS is not set")
KNOWN_LOSS = 407289.5388925293
KNOWN_LEVELS = {
    "sex": 1,
    "age": 2,
    "race": 1,
    "marital-status": 1,
    "education": 3,
    "native-country": 2,
    "workclass": 2,
    "occupation": 1,
    "salary-class": 1,
}


def adult() -> tuple[pd.DataFrame, dict[str, desensitise.Tree]]:
    frame = pd.read_csv(ADULT / "adult.csv", sep=";")
    trees = {name: desensitise.Tree.from_text((ADULT / f"adult_hierarchy_{name}.csv").read_text()) for name in frame}
    return frame, trees


@needs_adult
def test_adult_has_the_known_optimum_without_counting_every_node() -> None:
    frame, trees = adult()
    found = desensitise.k_anonymise(frame, quasi=list(frame), hierarchies=trees, k=5)
    assert found.levels == KNOWN_LEVELS
    assert found.loss == pytest.approx(KNOWN_LOSS, abs=1e-6)
    assert not found.suppressed.any()
    assert found.smallest == found.frame.groupby(list(frame)).size().min() >= 5
    assert found.nodes == 12960
    assert found.checked < found.nodes / 10


@needs_adult
@pytest.mark.parametrize("limit", [0.0, 0.03])
@pytest.mark.parametrize("measure", ["entropy", "loss", "discernibility", "average_class_size"])
def test_five_columns_of_adult_agree_with_trying_every_node(measure: str, limit: float) -> None:
    frame, trees = adult()
    quasi = ["sex", "race", "marital-status", "workclass", "occupation"]
    sample = frame.iloc[::60].reset_index(drop=True)
    chains = [
        {
            row[0]: row
            for row in pd.read_csv(ADULT / f"adult_hierarchy_{name}.csv", sep=";", header=None).itertuples(index=False)
        }
        for name in quasi
    ]
    chains = [{value: tuple(row) for value, row in chain.items()} for chain in chains]
    found = desensitise.k_anonymise(sample, quasi=quasi, hierarchies=trees, k=4, measure=measure, suppression_limit=limit)
    rows = sample[quasi].values.tolist()
    best, _ = best_loss(
        rows,
        chains,
        violates=lambda members: len(members) < 4,
        measure=measure,
        suppressible=int(limit * len(rows)),
        domains=[len(chain) for chain in chains],
    )
    assert found.loss == pytest.approx(best, rel=1e-9)


@needs_adult
@pytest.mark.skipif("SANDBOX_EXHAUSTIVE" not in os.environ, reason="half a minute: set SANDBOX_EXHAUSTIVE")
def test_all_of_adults_lattice_agrees_with_the_search() -> None:
    """Every one of the 12,960 nodes, counted from distinct rows with numpy; two k, three limits, three measures."""
    frame, trees = adult()
    chains = {name: pd.read_csv(ADULT / f"adult_hierarchy_{name}.csv", sep=";", header=None, dtype=str) for name in frame}
    labels, lost = {}, {}
    for name, chain in chains.items():
        for level in range(chain.shape[1]):
            shown = frame[name].astype(str).map(dict(zip(chain[0], chain[level], strict=True)))
            labels[name, level] = pd.factorize(shown)[0]
            lost[name, level] = np.log2(shown.map(shown.value_counts()) / frame[name].map(frame[name].value_counts())).sum()
    rows = np.stack([labels[name, 0] for name in frame], axis=1)
    _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
    parts = {key: codes[first] for key, codes in labels.items()}
    best: dict[tuple[int, float, str], float] = {}
    for node in itertools.product(*(range(chain.shape[1]) for chain in chains.values())):
        key = np.zeros(len(first), dtype=np.int64)
        for place in zip(frame, node, strict=True):
            key = key * (parts[place].max() + 1) + parts[place]
        classes = np.unique(key, return_inverse=True)[1]
        sizes = np.bincount(classes, weights=counts)
        for k, limit in itertools.product((5, 20), (0.0, 0.02, 0.1)):
            bad = sizes < k
            hidden = sizes[bad].sum()
            if hidden > int(limit * len(frame)):
                continue
            entropy = sum(lost[place] for place in zip(frame, node, strict=True))
            for place in zip(frame, node, strict=True) if hidden else ():
                among = np.bincount(parts[place][bad[classes]], weights=counts[bad[classes]])
                entropy -= (among[among > 0] * np.log2(among[among > 0] / hidden)).sum()
            found = {
                "entropy": entropy,
                "discernibility": np.where(bad, sizes * len(frame), sizes**2).sum(),
                "average_class_size": len(frame) / ((~bad).sum() + bool(hidden)),
            }
            for measure, value in found.items():
                best[k, limit, measure] = min(best.get((k, limit, measure), np.inf), value)
    assert len(best) == 18
    for (k, limit, measure), value in best.items():
        result = desensitise.k_anonymise(
            frame, quasi=list(frame), hierarchies=trees, k=k, measure=measure, suppression_limit=limit
        )
        assert result.loss == pytest.approx(value, rel=1e-12)


def random_tree(rng: np.random.Generator, values: list[str]) -> dict[str, tuple[str, ...]]:
    """A random hierarchy of 1 to 3 levels, `*` on top, each level a merger of the one below."""
    chains = {value: [value] for value in values}
    groups = {value: value for value in values}
    for level in range(int(rng.integers(0, 3))):
        names = sorted(set(groups.values()))
        merged = {name: f"{level}/{rng.integers(0, max(1, len(names) - 1))}" for name in names}
        groups = {value: merged[group] for value, group in groups.items()}
        for value in values:
            chains[value].append(groups[value])
    return {value: (*chain, "*") for value, chain in chains.items()}


MODELS = {
    "none": lambda _tree: (),
    "distinct": lambda _tree: (privacy.DistinctDiversity(column="s", l=2),),
    "entropy": lambda _tree: (privacy.EntropyDiversity(column="s", l=1.7),),
    "recursive": lambda _tree: (privacy.RecursiveDiversity(column="s", c=2.5, l=2),),
    "equal": lambda _tree: (privacy.EqualCloseness(column="s", t=0.3),),
    "ordered": lambda _tree: (privacy.OrderedCloseness(column="s", t=0.2, order=("a", "b", "c", "d")),),
    "hierarchical": lambda tree: (privacy.HierarchicalCloseness(column="s", t=0.25, hierarchy=tree),),
    "basic": lambda _tree: (privacy.BasicLikeness(column="s", beta=0.8),),
    "enhanced": lambda _tree: (privacy.EnhancedLikeness(column="s", beta=1.5),),
    "delta": lambda _tree: (privacy.DeltaDisclosure(column="s", delta=1.5),),
    "two": lambda _tree: (privacy.DistinctDiversity(column="s", l=2), privacy.EqualCloseness(column="t", t=0.4)),
}


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    model=st.sampled_from(sorted(MODELS)),
    measure=st.sampled_from(["entropy", "loss", "discernibility", "average_class_size"]),
    limit=st.sampled_from([0.0, 0.1, 0.4, 1.0]),
    k=st.integers(1, 6),
)
def test_the_search_agrees_with_trying_every_node(seed: int, model: str, measure: str, limit: float, k: int) -> None:
    rng = np.random.default_rng(seed)
    number = int(rng.integers(1, 40))
    columns = {f"q{at}": [f"v{n}" for n in range(int(rng.integers(1, 6)))] for at in range(int(rng.integers(1, 4)))}
    trees = {name: random_tree(rng, values) for name, values in columns.items()}
    frame = pd.DataFrame({name: rng.choice(values, number) for name, values in columns.items()})
    frame["s"] = rng.choice(["a", "b", "c"], number, p=[0.5, 0.3, 0.2])
    frame["t"] = rng.choice(["x", "y"], number)
    diseases = desensitise.Tree([("a", "ab", "*"), ("b", "ab", "*"), ("c", "c", "*")])
    models = MODELS[model](diseases)
    judges = [(frame[item.column].tolist(), _JUDGES[type(item)](item, frame[item.column])) for item in models]

    def violates(members: list[int]) -> bool:
        return len(members) < k or not all(judge(Counter(values[at] for at in members)) for values, judge in judges)

    best, solutions = best_loss(
        frame[list(columns)].values.tolist(),
        list(trees.values()),
        violates=violates,
        measure=measure,
        suppressible=int(limit * number + 1e-9),
        domains=[len(tree) for tree in trees.values()],
    )
    hierarchies = {name: [(value, *chain[1:]) for value, chain in tree.items()] for name, tree in trees.items()}
    arguments = {
        "quasi": list(columns),
        "hierarchies": hierarchies,
        "k": k,
        "measure": measure,
        "suppression_limit": limit,
        "models": models,
    }
    if not solutions:
        with pytest.raises(ParameterError, match="no generalisation satisfies"):
            desensitise.k_anonymise(frame, **arguments)
        return
    found = desensitise.k_anonymise(frame, **arguments)
    assert found.loss == pytest.approx(best, rel=1e-9, abs=1e-9)
    assert found.suppressed.sum() <= limit * number + 1e-9
    for name, level in found.levels.items():
        labels = [trees[name][value][level] for value in frame[name]]
        assert [shown for shown, hidden in zip(found.frame[name], found.suppressed, strict=True) if not hidden] == [
            label for label, hidden in zip(labels, found.suppressed, strict=True) if not hidden
        ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), limit=st.sampled_from([0.0, 0.2]))
def test_k_map_counts_the_population(seed: int, k: int, limit: float) -> None:
    rng = np.random.default_rng(seed)
    tree = {value: (value, "low" if value in "ab" else "high", "*") for value in "abcd"}
    people = pd.DataFrame({"q": rng.choice(list("abcd"), 40), "r": rng.choice(list("abcd"), 40)})
    frame = people.iloc[: int(rng.integers(1, 20))].reset_index(drop=True)

    def violates_at(members: list[int], labels: list[tuple[str, ...]], crowd: Counter[tuple[str, ...]]) -> bool:
        return crowd[labels[members[0]]] < k

    best = None
    for i in range(3):
        for j in range(3):
            crowd = Counter((tree[a][i], tree[b][j]) for a, b in people.values.tolist())
            labels = [(tree[a][i], tree[b][j]) for a, b in frame.values.tolist()]
            hidden = sum(crowd[label] < k for label in labels)
            if hidden <= limit * len(frame):
                sizes = Counter(labels)
                cost = sum(len(frame) if crowd[label] < k else sizes[label] for label in labels)
                best = cost if best is None else min(best, cost)
    rows = [(value, *chain[1:]) for value, chain in tree.items()]
    model = privacy.KMap(k=k, population=people)
    found = desensitise.k_anonymise(
        frame,
        quasi=["q", "r"],
        hierarchies={"q": rows, "r": rows},
        k=1,
        measure="discernibility",
        suppression_limit=limit,
        models=[model],
    )
    assert found.loss == best


def test_many_columns_do_not_overflow_the_class_codes() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({f"q{at}": rng.integers(0, 200, 400) for at in range(12)})
    frame = pd.concat([frame] * 3, ignore_index=True)
    found = desensitise.k_anonymise(frame, quasi=list(frame), k=3)
    assert (found.loss, set(found.levels.values())) == (0.0, {0})
    assert found.classes == len(frame.drop_duplicates())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quasi": ["nothing"]}, "no column 'nothing'"),
        ({"quasi": []}, "at least one"),
        ({"quasi": ["q", "q"]}, "twice"),
        ({"k": 0}, "from 1 on"),
        ({"k": 30}, "no generalisation satisfies"),
        ({"measure": "beauty"}, "there is no measure 'beauty'"),
        ({"suppression_limit": 1.5}, "from 0 to 1"),
        ({"hierarchies": {"other": [("a", "*")]}}, "no columns of the table"),
        ({"hierarchies": {"q": [("a", "*")]}}, "2 of 3 distinct values have no row"),
        ({"hierarchies": {"q": 7}}, "a hierarchy is needed"),
        ({"models": [privacy.DistinctDiversity(column="q", l=2)]}, "both sensitive and a quasi-identifier"),
        ({"models": [privacy.OrderedCloseness(column="s", t=0.1, order=("x",))]}, "without a place"),
    ],
)
def test_unusable_input_is_refused_in_words(change: dict[str, object], words: str) -> None:
    frame = pd.DataFrame({"q": list("abcabc"), "s": list("xyxyxy")})
    with pytest.raises(ParameterError, match=words):
        desensitise.k_anonymise(frame, **({"quasi": ["q"], "k": 2} | change))


def test_empty_tables_are_refused() -> None:
    with pytest.raises(ParameterError, match="no rows"):
        desensitise.k_anonymise(pd.DataFrame({"q": []}), quasi=["q"])


def test_missing_values_are_a_value_of_their_own_until_all_is_one() -> None:
    frame = pd.DataFrame({"q": [1.0, 2.0, None, None, 7.0, 8.0]})
    found = desensitise.k_anonymise(frame, quasi=["q"], hierarchies={"q": desensitise.Interval(widths=(5,))}, k=2)
    assert found.frame["q"].tolist() == ["[0, 5)", "[0, 5)", None, None, "[5, 10)", "[5, 10)"]
    assert (
        desensitise.k_anonymise(frame, quasi=["q"], hierarchies={"q": desensitise.Interval(widths=(5,))}, k=3)
        .frame["q"]
        .tolist()
        == ["*"] * 6
    )


def test_a_search_can_be_stopped() -> None:
    frame = pd.DataFrame({"q": range(50)})
    with pytest.raises(Cancelled):
        desensitise.k_anonymise(frame, quasi=["q"], k=2, progress=Progress(is_cancelled=lambda: True))


def test_an_arrow_table_is_taken_and_the_result_shows_in_jupyter() -> None:
    import pyarrow as pa

    found = desensitise.k_anonymise(pa.table({"q": [1, 1, 2, 2], "note": ["<b>", "c", "d", "e"]}), quasi=["q"], k=2)
    assert found.levels == {"q": 0}
    assert found.frame["note"].tolist() == ["<b>", "c", "d", "e"]
    assert "smallest class" in found._repr_html_()
    assert "<b>" not in repr(found) + found._repr_html_()
