"""Models over a whole network: asked, approved, counted, judged, released, audited; as scikit-learn fits the pooled rows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from support import agencies, federated

pytest.importorskip("sklearn", reason="the extra `learn` is not installed")
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

import sandbox
from protocols.errors import PartiesLost, PeerError
from sandbox.embedded import Embedded
from sandbox.errors import AuditError, Denied, QuestionError, UsageError, Withheld
from sandbox.model.canonical import canonical
from sandbox.model.fit import FitQuestion, Linear, Logistic, Scaler

learn = sandbox.learn
NAME = federated.NAME
FEATURES = ["age", "score"]
PEOPLE = 40
SILENCE = 20.0
CONDITIONS = "age >= 5"

pytestmark = pytest.mark.usefixtures("in_process")
Cuts = dict[str, tuple[str, int]]


def tables(parts: int, seed: int = 5, rows: int = PEOPLE) -> dict[str, pa.Table]:
    """Parts in which income follows from age and score, and sex from score; NULLs everywhere."""
    chance, found = random.Random(seed), {}
    for at in range(parts):
        table = federated.people(chance, rows, [0])
        frame = table.to_pandas()
        frame["id"] = range(1000 * at, 1000 * at + rows)
        noise = np.array([chance.random() for _ in range(rows)])
        frame["income"] = (300 + 8 * frame["age"].fillna(20) + 200 * frame["score"].fillna(0) + 300 * noise).round()
        frame["sex"] = (frame["score"].fillna(0) + 1.5 * noise > 0.7).astype(int)
        found[f"p{at}"] = pa.Table.from_pandas(frame, schema=table.schema, preserve_index=False)
    return found


def network(path: Path, data: dict[str, pa.Table], *, disjoint: bool = True, min_parties: int = 3, **changes: Any) -> Embedded:
    bounds = {"age": (-5, 80), "income": (0, 2000), "score": (-1, 1), "paid": (0, 100)}
    fields: dict[str, Any] = {"unique": True, "bounds": bounds} | changes
    providers = {name: {"people": federated.definition(table, **fields)} for name, table in data.items()}
    table = sandbox.federation([f"{name}.people" for name in data], disjoint=disjoint, min_parties=min_parties)
    return Embedded.create(path, providers, federations={NAME: table})


def fit(estimator: Any, found: Embedded, *, cut: Cuts | None = None, **options: Any) -> Any:
    for name in found.workspace.providers:
        step, number = (cut or {}).get(name, (None, 0))
        found.cut_line(name, after=step, in_round=number)  # type: ignore[arg-type]
    fields: dict[str, Any] = {"table": NAME, "features": FEATURES, "purpose": "research", "timeout_s": SILENCE}
    return estimator.fit_federated(found, **(fields | options))


def pooled(data: dict[str, pa.Table], columns: list[str], without: tuple[str, ...] = ()) -> pd.DataFrame:
    """The rows that a fit is over: those of the parts that are left, complete, under CONDITIONS."""
    frame = pd.concat([table.to_pandas() for name, table in data.items() if name not in without])
    kept = frame[frame["age"] >= 5][columns]
    return kept.dropna().astype(float)


def close(ours: Any, theirs: Any, tolerance: float = 1e-5) -> None:
    theirs = np.asarray(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * max(1e-12, float(np.abs(theirs).max())))


def audited(found: Embedded, product: sandbox.Product, path: Path) -> dict[str, str]:
    directory = product.bundle(path / f"{product.id}-bundle")
    report = sandbox.verify(directory, found.write_trust(path / "trust.toml"))
    return {check.name: check.detail for check in report.checks}


def test_least_squares_through_owners_gate_log_and_bundle(scratch: Path) -> None:
    data = tables(5)
    rows = pooled(data, [*FEATURES, "income"])
    with network(scratch / "w", data) as found:
        ours = fit(learn.SecureRidge(alpha=2.0), found, target="income", where=CONDITIONS)
        theirs = Ridge(alpha=2.0).fit(rows[FEATURES], rows["income"])
        close(ours.coef_, theirs.coef_)
        close(ours.intercept_, theirs.intercept_)
        close(ours.predict(rows[FEATURES]), theirs.predict(rows[FEATURES]))
        assert agencies.uses(found) == 1
        plain = fit(learn.SecureLinearRegression(), found, target="income", where=CONDITIONS, cipher="aes256ctr")
        assert "masks by aes256ctr" in plain.product_.card.method
        close(plain.coef_, LinearRegression().fit(rows[FEATURES], rows["income"]).coef_)
        card, record = ours.product_.card, ours.record_
        assert [item.rows for item in record.rounds] == [len(rows), len(rows)]
        assert [item.statistic for item in record.rounds] == ["rows", "sums and products"]
        assert {finding.check for finding in card.findings} >= {"model.party_rows", "model.degrees_of_freedom", "difference"}
        assert ours.product_.to_pandas()["term"].tolist() == ["age", "score", "(intercept)"]
        assert f"WHERE ({CONDITIONS}) AND t.age IS NOT NULL" in card.sql
        details = audited(found, ours.product_, scratch)
        assert details["parts"] == "5 of 5 parts in the last of 2 sums"
        assert details["transcripts"].endswith("frames of 2 rounds agree from both ends")
        agencies.require_sound(found, scratch)


def test_newton_over_nodes_with_parts_that_fall_silent(scratch: Path) -> None:
    """One is lost before the gate asks for anything, two in later rounds: the optimum is that of those who are left."""
    data = tables(8)
    rows = pooled(data, [*FEATURES, "sex"], without=("p1", "p4", "p6"))
    with network(scratch / "w", data) as found:
        cut: Cuts = {"p1": ("input", 0), "p4": ("share", 2), "p6": ("consistency", 3)}
        ours = fit(learn.SecureLogisticRegression(C=2.0), found, target="sex", where=CONDITIONS, cut=cut)
        theirs = LogisticRegression(C=2.0, solver="newton-cholesky", tol=1e-12, max_iter=500)
        theirs.fit(rows[FEATURES], rows["sex"].astype(int))
        close(ours.coef_, theirs.coef_, 1e-6)
        close(ours.intercept_, theirs.intercept_, 1e-6)
        assert list(ours.classes_) == [0, 1]
        assert (ours.predict(rows[FEATURES]) == theirs.predict(rows[FEATURES])).all()
        absent = [(item.provider, item.step, item.round, item.counted) for item in ours.product_.card.absent]
        assert absent == [("p1", "input", 0, False), ("p4", "masked_input", 2, False), ("p6", "unmask", 3, False)]
        counts = [item.rows for item in ours.record_.rounds]
        # What the lost parts had is told nowhere: rows only where the last round's parts, and they alone, are behind them.
        assert counts[:4] == [None] * 4
        assert set(counts[4:]) == {len(rows)}
        details = audited(found, ours.product_, scratch)
        assert details["parts"].startswith("5 of 8 parts in the last of")
        agencies.require_sound(found, scratch)


def test_clusters_components_and_scales(scratch: Path) -> None:
    data = tables(4)
    rows = pooled(data, [*FEATURES, "income"])
    columns = [*FEATURES, "income"]
    init = [[10.0, 0.0, 400.0], [40.0, 0.5, 700.0], [70.0, 0.0, 1000.0]]
    with network(scratch / "w", data) as found:
        ours = fit(learn.SecureKMeans(3, init=init), found, features=columns, where=CONDITIONS)
        theirs = KMeans(3, init=np.array(init), n_init=1, tol=1e-4).fit(rows[columns].to_numpy())
        close(ours.cluster_centers_, theirs.cluster_centers_, 1e-6)
        assert ours.n_iter_ == theirs.n_iter_
        assert ours.inertia_ > 0
        drawn = fit(learn.SecureKMeans(2, random_state=3), found, features=columns, where=CONDITIONS)
        local = learn.SecureKMeans(2, random_state=3, bounds=[80.0, 1.0, 2000.0])
        local.fit_parts([pooled({name: table}, columns) for name, table in data.items()])
        close(drawn.cluster_centers_, local.cluster_centers_, 1e-6)
        pca = fit(learn.SecurePCA(2), found, features=columns, where=CONDITIONS)
        other = PCA(2, svd_solver="full").fit(rows[columns])
        close(np.abs(pca.components_ @ other.components_.T), np.eye(2))
        for name in ("explained_variance_", "explained_variance_ratio_", "singular_values_", "mean_"):
            close(getattr(pca, name), getattr(other, name))
        scaler = fit(learn.SecureStandardScaler(), found, features=columns, where=CONDITIONS)
        close(scaler.scale_, StandardScaler().fit(rows[columns]).scale_)
        assert scaler.n_samples_seen_ == len(rows)
        assert found.product(scaler.product_.id).card.model == scaler.record_
        agencies.require_sound(found, scratch)


def test_what_two_fits_tell_of_few_parts_or_people_is_withheld(scratch: Path) -> None:
    data = tables(7)
    with network(scratch / "w", data) as found:
        first = fit(learn.SecureLinearRegression(), found, target="income", cut={"p3": ("share", 0)})
        assert [item.provider for item in first.product_.card.absent] == ["p3"]
        # The very same sums over other parts are never taken; another model's would differ by one part.
        with pytest.raises(PeerError, match="p3"):
            fit(learn.SecureLinearRegression(), found, target="income")
        with pytest.raises(Withheld, match="fewer than 3"):
            fit(learn.SecureRidge(), found, target="income")
        with pytest.raises(Withheld, match="too few people or parts"):
            fit(learn.SecureStandardScaler(), found)
        used = agencies.uses(found)
        # Nor does a table beside a model: the same history judges both.
        sql = f"SELECT COUNT(*) AS n FROM {NAME} t WHERE age IS NOT NULL AND score IS NOT NULL AND income IS NOT NULL"
        explanation = found.explain(sql, purpose="research")
        with pytest.raises(Withheld, match="fewer than 3"):
            found.run(explanation, grant=found.approve(explanation), timeout_s=SILENCE)
        assert agencies.uses(found) == used + 1
        # The same parts again: other parameters over the same rows add nothing.
        again = fit(learn.SecureRidge(alpha=3.0), found, target="income", cut={"p3": ("input", 0)})
        assert again.record_.rounds[-1].survivors == first.record_.rounds[-1].survivors
        agencies.require_sound(found, scratch)


def test_filters_that_differ_by_few_people_are_withheld(scratch: Path) -> None:
    data = tables(4)
    ages = pd.concat([table.to_pandas() for table in data.values()]).dropna(subset=FEATURES)["age"]
    few = next(age for age in range(5, 60) if 0 < ((ages >= 5) & (ages < age)).sum() < 10)
    with network(scratch / "w", data) as found:
        fit(learn.SecureStandardScaler(), found, where="age >= 5")
        with pytest.raises(Withheld, match="too few people or parts"):
            fit(learn.SecureStandardScaler(), found, where=f"age >= {few}")


@pytest.mark.parametrize(
    ("estimator", "options", "check"),
    [
        (learn.SecureRidge(), {"target": "income", "where": "age >= 79"}, "too few at p0"),
        (learn.SecureLogisticRegression(), {"target": "sex"}, "each of 3 classes"),
        # Withheld, not refused for free: else the number of clusters could be tried until the number of rows is known.
        (learn.SecureKMeans(150), {}, "rows minus coefficients"),
    ],
)
def test_a_rule_that_fails_withholds_the_model_logs_it_and_costs_the_use(
    scratch: Path, estimator: Any, options: dict[str, Any], check: str
) -> None:
    codes = {"zone": ["a", "b", "c"], "sex": [0, 1, 2]}
    with network(scratch / "w", tables(4), codes=codes) as found:
        with pytest.raises(Withheld, match=check):
            fit(estimator, found, **options)
        assert agencies.kinds(found)["product.withheld"] == 1
        assert agencies.uses(found) == 1
        assert not hasattr(estimator, "coef_")
        agencies.require_sound(found, scratch)


def test_parts_that_may_share_people_need_as_many_more_rows(scratch: Path) -> None:
    """Eleven rows of a class in four parts may be three people's."""
    options: dict[str, Any] = {"target": "sex", "where": "score < 0.3"}
    data = tables(4)
    with network(scratch / "w", data) as found:
        fit(learn.SecureLogisticRegression(), found, **options)
    with network(scratch / "s", data, disjoint=False) as found, pytest.raises(Withheld, match="at least 40 rows"):
        fit(learn.SecureLogisticRegression(), found, **options)


def test_too_few_parts_are_no_fit_and_what_was_told_costs_a_use(scratch: Path) -> None:
    data = tables(4)
    with network(scratch / "w", data) as found:
        with pytest.raises(PartiesLost) as lost:
            fit(learn.SecureStandardScaler(), found, cut={"p0": ("share", 1), "p2": ("advertise", 1)})
        assert set(lost.value.names) == {"p0", "p2"}
        assert agencies.uses(found) == 0
        with pytest.raises(PartiesLost):
            fit(learn.SecureLogisticRegression(), found, target="sex", cut={"p0": ("share", 3), "p2": ("advertise", 3)})
        # Weights had left the gate by then: this costs, and the log says withheld.
        assert agencies.uses(found) == 1
        agencies.require_sound(found, scratch)


@pytest.mark.parametrize("when", ["round 2", "gate: check"])
def test_revocation_between_rounds_ends_the_fit_and_costs_what_was_told(scratch: Path, when: str) -> None:
    with network(scratch / "w", tables(4)) as found:
        question = FitQuestion(estimator=Logistic(), table=NAME, features=tuple(FEATURES), target="sex")
        explanation = found.explain(question, purpose="research")
        grant = found.approve(explanation)

        def progress(step: str, done: int, total: int) -> None:
            if step.startswith(when):
                found.revoke(grant, by="p1", reason="enough")

        with pytest.raises(Denied, match="revoked"):
            found.run(explanation, grant=grant, on_progress=progress)
        assert not found.products()
        # Weights had left the gate by then.
        assert agencies.uses(found) == 1
        assert agencies.kinds(found)["product.withheld"] == 1
        agencies.require_sound(found, scratch)


def test_owners_decide_on_training(scratch: Path) -> None:
    """Every part's owner names train for features and target, filter for conditions, and the profile."""
    data = tables(3)
    uses = {"id": ("count",), "age": ("train", "filter"), "score": ("train",), "income": ("train",)}
    with network(scratch / "w", data) as found:
        for name in data:
            terms = agencies.terms(f"{name}.people", uses, profiles=("model-controlled",), purposes=("research",), max_calls=1)
            found.set_policy(terms)
        fields: dict[str, Any] = {"table": NAME, "features": FEATURES, "target": "income", "purpose": "research"}
        ridge = learn.SecureRidge()
        assert ridge.explain_federated(found, where=CONDITIONS, **fields).decision.allowed
        refused = ridge.explain_federated(found, where="score > 0", **fields).decision
        assert {item.subject for item in refused.findings if item.verdict != "pass"} == {
            f"{name}.people.score" for name in data
        }
        found.set_policy(
            agencies.terms("p1.people", uses | {"income": ("sum",)}, profiles=("model-controlled",), purposes=("research",))
        )
        with pytest.raises(Denied, match=r"p1\.people.*income.*train"):
            ridge.fit_federated(found, **fields)
        found.set_policy(agencies.terms("p1.people", uses, profiles=("statistics-controlled",), purposes=("research",)))
        with pytest.raises(Denied, match="may not be released under the profile model-controlled"):
            ridge.fit_federated(found, **fields)
        found.set_policy(agencies.terms("p1.people", uses, profiles=("model-controlled",), purposes=("research",)))
        ridge.fit_federated(found, **fields)
        # One use of each asset, whatever the number of rounds, and p0 allowed one.
        with pytest.raises(Denied, match="call"):
            ridge.fit_federated(found, **fields)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"features": ["age", "wieght"]}, r"model\.features\[1\]: census\.people has no column wieght"),
    ({"features": ["age", "scroe"]}, "did you mean score"),
    ({"features": ["age", "age"]}, r"model\.features\[1\]: the column age is named twice"),
    ({"features": ["id"]}, r"model\.features\[0\]: id says who somebody is"),
    ({"features": ["zone"]}, r"model\.features\[0\]: zone is of type text"),
    ({"features": []}, r"model\.features: name 1 to"),
    ({"target": None}, r"model\.target: a model of kind linear needs a column"),
    ({"target": "sex", "features": ["paid"]}, r"model\.target: sex of census\.people has no declared bounds"),
    ({"where": "age >= 25 LIMIT 3"}, r"model\.where: it holds conditions and nothing else"),
    ({"where": "age >="}, r"model\.where: "),
    ({"where": "x = 1"}, r"model\.where: no table of this question has a column x"),
    ({"table": "census.peple"}, r"model\.table: there is no table census\.peple"),
    ({"table": "p0.people"}, r"model\.table: "),
    ({"table": "people; DROP"}, r"model\.table: 'people; DROP' names no federated table"),
    ({"profile": "statistics-noised"}, "adds noise, which models do not take"),
    ({"profile": "statistics-controlled"}, "judges tables"),
]


def test_questions_that_are_refused_say_where(scratch: Path) -> None:
    fields: dict[str, Any] = {"table": NAME, "features": FEATURES, "target": "income", "purpose": "research"}
    with network(scratch / "w", tables(3)) as found:
        for changes, problem in REFUSED:
            with pytest.raises(QuestionError, match=problem):
                learn.SecureLinearRegression().explain_federated(found, **(fields | changes))
        with pytest.raises(QuestionError, match=r"model\.target: the classes of age follow from no declaration"):
            learn.SecureLogisticRegression().explain_federated(found, **(fields | {"features": ["score"], "target": "age"}))
        with pytest.raises(QuestionError, match=r"model\.n_components: there are 2 features"):
            learn.SecurePCA(3).explain_federated(found, **(fields | {"target": None}))
        with pytest.raises(UsageError, match="bounds is for rows in this process"):
            learn.SecureRidge(bounds=1).explain_federated(found, **fields)
        with pytest.raises(UsageError, match="judges models, not tables"):
            found.explain(f"SELECT COUNT(*) AS n FROM {NAME} t", purpose="research", profile="model-controlled")
    with network(scratch / "r", tables(3), unique=False) as found, pytest.raises(QuestionError, match="several rows in p0"):
        learn.SecureLinearRegression().explain_federated(found, **fields)


def test_a_place_in_where_is_the_writers_own() -> None:
    assets = federated.assets_of(3, unique=True)
    table = federated.federated(assets)
    with pytest.raises(QuestionError) as refused:
        federated.compiled_fit(
            FitQuestion(estimator=Scaler(), table=NAME, features=("age",), where="age > 3\n  AND seks = 1"), assets, table
        )
    assert (refused.value.line, refused.value.column) == (2, 7)


def test_a_bundle_whose_model_was_touched_is_refused(scratch: Path) -> None:
    """Each change is signed by nobody, or contradicts what every party signed; the auditor names it."""
    from sandbox.audit import check_data, check_parts
    from sandbox.audit.bundle import parse_bundle, read_bundle
    from sandbox.audit.case import Case
    from sandbox.audit.trust import parse_trust

    with network(scratch / "w", tables(5)) as found:
        product = fit(learn.SecureLinearRegression(), found, target="income", cut={"p3": ("share", 1)}).product_
        trust = parse_trust(found.workspace.trust_file())
        manifest, payload = read_bundle(product.directory)
    bundle = parse_bundle(manifest)
    replace = msgspec.structs.replace
    model = bundle.product.card.model
    assert model is not None

    def case(**changes: Any) -> Case:
        card = replace(bundle.product.card, **changes)
        changed = replace(bundle, product=replace(bundle.product, card=card))
        return Case(bundle=changed, payload=payload, trust=trust, now=None)

    assert check_parts.parts(case()) == "4 of 5 parts in the last of 2 sums; silent: p3 (masked_input)"
    rounds = model.rounds
    shifted = (rounds[0], replace(rounds[1], survivors=(*rounds[1].survivors, "p3")))
    faults: list[tuple[dict[str, Any], str]] = [
        ({"model": None}, "holds a model's record and the plan fits none"),
        ({"model": replace(model, estimator="ridge")}, "names another estimator"),
        (
            {"model": replace(model, rules=replace(model.rules, min_rows=1))},
            "names another estimator, or other parameters or rules",
        ),
        ({"model": replace(model, rounds=rounds[:1])}, "its last sum is over other parts"),
        ({"model": replace(model, rounds=shifted)}, "its last sum is over other parts"),
        ({"model": replace(model, rounds=(rounds[0], rounds[0]))}, "not those that the round before left"),
        ({"model": replace(model, findings=())}, "none was judged"),
        ({"absent": ()}, "its last sum is over other parts|not those that the round before left"),
    ]
    for changes, problem in faults:
        with pytest.raises(AuditError, match=problem):
            check_parts.parts(case(**changes))
    fewer = Case(bundle=replace(bundle, transcripts=bundle.transcripts[1:]), payload=payload, trust=trust, now=None)
    with pytest.raises(AuditError, match="transcript"):
        check_data.transcripts(fewer)
    with pytest.raises(AuditError, match="file is not the one"):
        check_data.payload(Case(bundle=bundle, payload=payload[:-1] + b"x", trust=trust, now=None))
    assert canonical(Linear()) == canonical(bundle.plan.fit.estimator)  # type: ignore[union-attr]


def test_explain_says_what_a_fit_does(scratch: Path) -> None:
    with network(scratch / "w", tables(5)) as found:
        question = FitQuestion(estimator=Logistic(C=0.5), table=NAME, features=tuple(FEATURES), target="sex", where=CONDITIONS)
        text = found.explain(question, purpose="research").text()
    for words in (
        "keeps rows where age >= 5",
        "keeps rows where score IS NOT NULL",
        "sums over its rows for a logistic model of sex",
        "C = 0.5",
        "at least 10 rows of each part",
        "weights or centres of every round",
        "at most 51 rounds",
        "while at least 4 are left",
        "columns: class, term, coefficient",
    ):
        assert words in text, words
