"""Assets of the questions in these tests: a registry, a laboratory, a hospital; flights and weather."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.model.asset import Asset, Column, KeyDomain
from sandbox.model.expression import Literal
from sandbox.model.plan import Parameters, Plan
from sandbox.planning import compile_question, rules_for

PATIENT = KeyDomain(name="patient", types=("integer",))
STATION = KeyDomain(name="station-hour", types=("text", "date"))


def integer_codes(*values: int) -> tuple[Literal, ...]:
    return tuple(Literal(type="integer", value=str(value)) for value in values)


def column(name: str, kind: str, role: str = "other", **more: object) -> Column:
    more.setdefault("grade", "general")
    return Column(name=name, type=kind, role=role, **more)  # type: ignore[arg-type]


PATIENTS = Asset(
    provider="registry",
    table="patients",
    version=1,
    columns=(
        column("id", "integer", "key"),
        column("age", "integer", "quasi_identifier", bounds=("0", "120")),
        column("male", "integer", "quasi_identifier", codes=integer_codes(0, 1)),
        column("insured", "boolean"),
        column("born", "date", "quasi_identifier"),
        column("name", "text", "direct_identifier"),
        column("note", "text", "unclassified"),
        column("secret_score", "integer", "measure", grade="core", bounds=("0", "9")),
        column("ungraded", "integer", "other", grade="unclassified"),
        column("City", "text"),
    ),
    key=("id",),
    key_domain=PATIENT,
    unique=True,
)
MEASUREMENTS = Asset(
    provider="lab",
    table="measurements",
    version=3,
    columns=(
        column("id", "integer", "key"),
        column("days", "integer", "other"),
        column("test", "text"),
        column("value", "float", "measure", bounds=("-200", "200"), scale=65536),
        column("price", "decimal", "measure", bounds=("-1000", "1000"), scale=100),
        column("repeats", "integer", "measure", bounds=("-50", "50")),
        column("unbounded", "float", "measure"),
        column("taken", "timestamp"),
    ),
    key=("id",),
    key_domain=PATIENT,
)
EVENTS = Asset(
    provider="hospital",
    table="events",
    version=2,
    columns=(column("id", "integer", "key"), column("days", "integer"), column("event", "text", "sensitive")),
    key=("id",),
    key_domain=PATIENT,
)
FLIGHTS = Asset(
    provider="airline",
    table="flights",
    version=1,
    columns=(
        column("origin", "text", "key"),
        column("day", "date", "key"),
        column("delay", "integer", "measure", bounds=("-120", "2000"), clip=True),
        column("carrier", "text"),
    ),
    key=("origin", "day"),
    key_domain=STATION,
)
WEATHER = Asset(
    provider="met",
    table="weather",
    version=1,
    columns=(
        column("origin", "text", "key"),
        column("day", "date", "key"),
        column("wind", "float", "measure", bounds=("0", "100"), scale=10),
    ),
    key=("origin", "day"),
    key_domain=STATION,
    unique=True,
)
ASSETS = {asset.name: asset for asset in (PATIENTS, MEASUREMENTS, EVENTS, FLIGHTS, WEATHER)}

HEALTH = (
    "SELECT p.male AS sex, e.event, COUNT(*) AS n, AVG(l.value) AS mean_hdl FROM registry.patients p "
    "JOIN lab.measurements l ON l.id = p.id JOIN hospital.events e ON e.id = p.id WHERE l.test = 'hdl' "
    "GROUP BY p.male, e.event"
)


def compiled(sql: str, assets: Mapping[str, Asset] = ASSETS) -> Plan:
    return compile_question(
        sql,
        assets=assets,
        title="A question",
        purpose="chronic-disease-statistics",
        recipients=("city-health-operator",),
        rules=rules_for("statistics-controlled"),
        parameters=Parameters(),
        operator="city-health-operator",
        gate="city-data-bureau",
    )
