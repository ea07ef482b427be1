"""A model from a job to an audited product, by commands alone; and sections [model] that say nothing that can be fitted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli_running import Run

pytest.importorskip("sklearn", reason="the extra `learn` is not installed")
import pandas as pd
from sklearn.linear_model import Ridge

from sandbox.errors import DocumentError
from sandbox.model.job import job_from_toml

PROVIDERS = ("registry", "lab", "hospital")
HEAD = """title = "Wage by age and grade"
purpose = "research"
profile = "model-controlled"
recipients = ["city-health-operator"]
"""
MODEL = """[model]
kind = "ridge"
table = "city.staff"
features = ["age", "rank"]
target = "wage"
where = "age >= 25"
alpha = 2.0
"""
TERMS = """asset = "{asset}"
purposes = ["research"]
recipients = ["city-health-operator"]
profiles = ["model-controlled"]
min_cell = 10
min_list = 100
max_calls = 5
expires = 2100-12-31
[columns]
id = ["count"]
age = ["train", "filter"]
rank = ["train"]
wage = ["train"]
"""


def staff(at: int) -> pd.DataFrame:
    number = np.arange(40)
    age, rank = 20 + (number * 7 + at) % 40, (number * 5 + at) % 9
    return pd.DataFrame(
        {"id": 100 * at + number, "age": age, "rank": rank, "wage": 1000 + 30 * age + 90 * rank + (number * 13) % 50}
    )


def test_a_model_from_job_to_verified_bundle(run: Run, workspace: Path) -> None:
    parts = []
    for at, provider in enumerate(PROVIDERS):
        source = f"example/{provider}/staff.csv"
        staff(at).to_csv(source, index=False)
        bounds = [item for text in ("age=0:99", "rank=0:9", "wage=0:9000") for item in ("--bounds", text)]
        options = ("--key", "id", "--domain", "staff", "--unique", *bounds, "--publish")
        assert run("catalogue", "add", source, "--as", f"{provider}.staff", *options).code == 0
        Path("terms.toml").write_text(TERMS.format(asset=f"{provider}.staff"))
        assert run("policy", "set", f"{provider}.staff", "terms.toml").code == 0
        parts += ["--part", f"{provider}.staff"]
    assert run("catalogue", "federate", "city.staff", *parts, "--disjoint").code == 0
    Path("model.toml").write_text(HEAD + MODEL)
    told = run("explain", "model.toml")
    assert "Owners' terms: allowed" in told.out
    assert "sums over its rows for a ridge model of wage" in told.out
    grant = run("grant", "request", "model.toml", "--json").document["id"]
    signers = run("grant", "show", grant, "--json").document["missing"]
    for party in signers:
        assert run("grant", "approve", grant, "--as", party).code == 0
    shown = run("run", "model.toml", "--out", "answer")
    assert shown.code == 0, shown.err
    assert "(intercept)" in shown.out
    whole = pd.concat([staff(at) for at in range(3)])
    rows = whole[whole["age"] >= 25]
    theirs = Ridge(alpha=2.0).fit(rows[["age", "rank"]], rows["wage"])
    written = pd.read_csv("answer/product.csv").set_index("term")["coefficient"]
    np.testing.assert_allclose(written[["age", "rank"]], theirs.coef_, rtol=1e-5)
    np.testing.assert_allclose(written["(intercept)"], theirs.intercept_, rtol=1e-5)
    product = run("product", "list", "--json").document["products"][-1]["id"]
    assert "coefficient" in run("product", "show", product).out
    assert run("product", "export", product, "elsewhere.csv").code == 0
    assert run("audit", "verify", "answer/bundle", "--trust", "trust.toml").code == 0
    assert "0 differ" in run("audit", "attack", "answer/bundle", "--trust", "trust.toml").out
    (Path("answer/bundle/product.arrow")).write_bytes(b"x" + Path("answer/bundle/product.arrow").read_bytes()[1:])
    assert run("audit", "verify", "answer/bundle", "--trust", "trust.toml").code == 7


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({'kind = "ridge"': 'kind = "forest"'}, r"model\.kind: 'forest' is no kind of model; kinds are: linear, ridge"),
        ({'kind = "ridge"\n': ""}, r"model\.kind: None is no kind"),
        ({"alpha = 2.0": "C = 2.0"}, r"model\.C: a model of kind ridge has no such parameter; there are: kind, table"),
        ({"alpha = 2.0": 'alpha = "2"'}, r"model\.alpha: Expected `float`"),
        ({"alpha = 2.0": "alpha = -2.0"}, r"alpha is a number of 0 or more"),
        ({'table = "city.staff"\n': ""}, r"model\..*required field `table`"),
        ({'["age", "rank"]': '["age", 3]'}, r"model\.features\[.*Expected `str`"),
        ({"[model]": 'sql = "SELECT 1"\n[model]'}, r"sql, \[model\] and \[release\]: a job asks one question, fits one"),
        ({MODEL: ""}, r"sql: is empty; a job has a question in sql, or a section \[model\]"),
    ],
)
def test_a_section_that_cannot_be_fitted_names_the_field(changes: dict[str, str], problem: str) -> None:
    text = HEAD + MODEL
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    with pytest.raises(DocumentError, match=problem):
        job_from_toml(text)


def test_k_means_and_its_centres_are_read_from_a_job() -> None:
    text = HEAD + '[model]\nkind = "kmeans"\ntable = "city.staff"\nfeatures = ["age"]\nn_clusters = 2\ninit = [[20], [40.5]]\n'
    question = job_from_toml(text).question()
    assert not isinstance(question, str)
    assert question.estimator.init == ((20.0,), (40.5,))  # type: ignore[union-attr]
    with pytest.raises(DocumentError, match="init is 2 centres"):
        job_from_toml(text.replace("[40.5]", "[40.5, 1]"))
