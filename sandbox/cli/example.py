"""The example that `sandbox init` writes: small synthetic tables, their owners' terms, three jobs, and what to paste."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import StateError

PATIENTS = 2_000
"""In the registry: many fewer would leave the attacks on their released rows inconclusive."""
EXAMINED = 800
"""Of them, the first so many can be at the laboratory and the hospital."""
STAFF = 120
"""Employees of each agency."""
DIAGNOSES = ("asthma", "diabetes", "stroke")
TABLES = {"registry": "patients", "lab": "measurements", "hospital": "events"}
USES = {
    "registry": {
        "id": ["join_key", "desensitise"],
        "age": ["filter", "group", "desensitise"],
        "male": ["filter", "group", "desensitise"],
        "weight": ["desensitise"],
    },
    "lab": {"id": ["join_key"], "test": ["filter", "group"], "value": ["count", "sum", "mean", "variance"]},
    "hospital": {"id": ["join_key"], "event": ["filter", "group"]},
}
DECLARATIONS = {
    "registry": "--unique --bounds age=0:120 --codes male=0,1 --bounds weight=0:400 --role weight=sensitive",
    "lab": "--bounds value=0:1000 --scale value=10 --codes test=hdl,glucose",
    "hospital": f"--codes event={','.join(DIAGNOSES)}",
}
JOB = """\
# A question over the synthetic example of `sandbox init`.
title = "HDL cholesterol by sex and diagnosis"
purpose = "chronic-disease-statistics"
profile = "statistics-controlled"
recipients = ["city-health-operator"]
sql = \"\"\"
SELECT p.male AS sex, e.event, COUNT(*) AS n, AVG(l.value) AS mean_hdl
FROM registry.patients p
JOIN lab.measurements l ON l.id = p.id
JOIN hospital.events e ON e.id = p.id
WHERE l.test = 'hdl'
GROUP BY p.male, e.event
ORDER BY event, sex
\"\"\"
[parameters]
key_bits = 3072
noise = "djn"
"""
RELEASE = """\
# Rows of one table of the synthetic example, desensitised by the rules beside this file.
title = "Patients, desensitised"
purpose = "chronic-disease-statistics"
profile = "release-controlled"
recipients = ["city-health-operator"]
[release]
asset = "registry.patients"
rules = "rules.toml"
quasi = ["age", "male"]
sensitive = ["weight"]
"""
RULES = """\
# A rule for every column; `sandbox desensitise` takes the same file. The provider's own node makes and keeps the key.
purpose = "chronic-disease-statistics"
recipient = "city-health-operator"
quasi = ["age", "male"]
sensitive = ["weight"]
[keys]
people = "people.key"
[columns]
id = { rule = "pseudonym", key = "people" }
age = { rule = "interval", width = 35, origin = 20 }
male = { rule = "keep" }
weight = { rule = "round", to = 2 }
"""
MODEL = """\
# A model over a federated table of the synthetic example: each agency has a part of its rows.
title = "Sick leave by age and night shifts"
purpose = "staff-health"
profile = "model-controlled"
recipients = ["city-health-operator"]
[model]
kind = "ridge"
table = "city.staff"
features = ["age", "nights"]
target = "sick_days"
where = "age >= 20"
"""
STAFF_POLICY = """\
# The owner's terms on {provider}.staff; what is not named is denied.
asset = "{provider}.staff"
purposes = ["staff-health"]
recipients = ["city-health-operator"]
profiles = ["model-controlled"]
min_cell = 10
min_list = 100
max_calls = 50
expires = 2035-12-31
[columns]
id = ["count"]
age = ["train", "filter"]
nights = ["train"]
sick_days = ["train"]
"""
README = """\
SYNTHETIC DATA. Nobody in these files exists: every row is computed from a counter by sandbox/cli/example.py.

registry/patients.csv     id, age, male, weight
lab/measurements.csv      id, test, value
hospital/events.csv       id, event
*/staff.csv               id, age, nights, sick_days of each agency's own staff
policies/                 what each owner allows
job.toml                  a question over the first three
release.toml, rules.toml  rows of registry/patients.csv, desensitised
model.toml                a model over the three staff.csv as one table
"""


def write_example(directory: Path) -> list[str]:
    """Write the example into a new directory and return the commands that try its first job. Raises StateError."""
    files = {"README.txt": README, "job.toml": JOB, "release.toml": RELEASE, "rules.toml": RULES, "model.toml": MODEL}
    for provider, name in TABLES.items():
        files[f"{provider}/{name}.csv"] = "\n".join(_ROWS[provider]()) + "\n"
        files[f"policies/{provider}.{name}.toml"] = _policy(provider)
        files[f"{provider}/staff.csv"] = "\n".join(_staff(provider)) + "\n"
        files[f"policies/{provider}.staff.toml"] = STAFF_POLICY.format(provider=provider)
    try:
        for path, text in files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
    except OSError as error:
        raise StateError(f"the example cannot be written to {str(directory)!r}: {error.strerror}") from None
    return commands()


def commands() -> list[str]:
    """Return the commands that lead from the example's files to a product, to be pasted inside the workspace."""
    lines = []
    for provider, name in TABLES.items():
        declared = DECLARATIONS[provider]
        source = f"example/{provider}/{name}.csv"
        lines.append(f"sandbox catalogue add {source} --as {provider}.{name} --key id --domain patient {declared} --publish")
        lines.append(f"sandbox policy set {provider}.{name} example/policies/{provider}.{name}.toml")
    return [
        *lines,
        "sandbox explain example/job.toml",
        "sandbox grant request example/job.toml --calls 3",
        "sandbox grant approve newest --as all",
        "sandbox run example/job.toml --out hdl",
        "sandbox audit verify hdl/bundle --trust trust.toml",
    ]


def more_commands() -> dict[str, list[str]]:
    """Return what the example has besides, by title: the commands of each, to be pasted after the first ones."""
    staff = "--key id --domain employee --unique --bounds age=18:70 --bounds nights=0:12 --bounds sick_days=0:60 --publish"
    parts = []
    for provider in TABLES:
        parts.append(f"sandbox catalogue add example/{provider}/staff.csv --as {provider}.staff {staff}")
        parts.append(f"sandbox policy set {provider}.staff example/policies/{provider}.staff.toml")
    named = " ".join(f"--part {provider}.staff" for provider in TABLES)
    return {
        "rows of one table, desensitised": _asked("release", out="rows"),
        "a model over parts of one table at three agencies": [
            *parts,
            f"sandbox catalogue federate city.staff {named} --disjoint",
            *_asked("model", out="model"),
        ],
    }


def _asked(job: str, *, out: str) -> list[str]:
    file = f"example/{job}.toml"
    return [
        f"sandbox grant request {file}",
        "sandbox grant approve newest --as all",
        f"sandbox run {file} --out {out}",
    ]


def _policy(provider: str) -> str:
    uses = "".join(f"{column} = {str(names).replace(chr(39), chr(34))}\n" for column, names in USES[provider].items())
    profiles = ["statistics-controlled", "release-controlled"] if provider == "registry" else ["statistics-controlled"]
    min_cell = 5 if provider == "registry" else 10
    return f"""\
# The owner's terms on {provider}.{TABLES[provider]}; what is not named is denied.
asset = "{provider}.{TABLES[provider]}"
purposes = ["chronic-disease-statistics"]
recipients = ["city-health-operator"]
profiles = [{", ".join(f'"{profile}"' for profile in profiles)}]
min_cell = {min_cell}
min_list = 100
max_calls = 50
expires = 2035-12-31
[columns]
{uses}"""


def _draw(person: int, what: str, below: int) -> int:
    """Return a number that looks random and is always the same: from SHA-256, so that every machine writes the same files."""
    return int.from_bytes(hashlib.sha256(f"example/{person}/{what}".encode()).digest()[:8], "big") % below


def _patients() -> Iterator[str]:
    yield "id,age,male,weight"
    for person in range(PATIENTS):
        age, male, weight = 20 + _draw(person, "age", 70), _draw(person, "male", 2), 45 + _draw(person, "weight", 70)
        yield f"{100_000 + person},{age},{male},{weight}"


def _measurements() -> Iterator[str]:
    yield "id,test,value"
    for person in range(EXAMINED):
        if _draw(person, "tested", 10) == 0:
            continue
        lowered = 60 * _draw(person, "male", 2)
        yield f"{100_000 + person},hdl,{(400 + _draw(person, 'hdl', 400) - lowered) / 10}"
        yield f"{100_000 + person},glucose,{(700 + _draw(person, 'glucose', 600)) / 10}"


def _events() -> Iterator[str]:
    """Strokes are few, and fewest among women, so that the gate has something to withhold."""
    yield "id,event"
    for person in range(EXAMINED):
        if _draw(person, "ill", 4) == 0:
            continue
        rare = _draw(person, "stroke", 60) == 0 or (_draw(person, "male", 2) == 1 and _draw(person, "stroke", 12) == 1)
        event = "stroke" if rare else DIAGNOSES[_draw(person, "event", 2)]
        yield f"{100_000 + person},{event}"


def _staff(provider: str) -> Iterator[str]:
    """Sick leave grows with age and with night shifts."""
    yield "id,age,nights,sick_days"
    first = 1_000 * (1 + list(TABLES).index(provider))
    for person in range(first, first + STAFF):
        age, nights = 20 + _draw(person, "staff age", 45), _draw(person, "nights", 13)
        yield f"{person},{age},{nights},{(20 + age + 8 * nights + _draw(person, 'sick', 60)) // 10}"


_ROWS = {"registry": _patients, "lab": _measurements, "hospital": _events}
