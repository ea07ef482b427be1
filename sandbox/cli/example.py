"""The example that `sandbox init` writes: three small synthetic tables, their owners' terms, a question, and what to paste."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sandbox.errors import StateError

PEOPLE = 800
DIAGNOSES = ("asthma", "diabetes", "stroke")
TABLES = {"registry": "patients", "lab": "measurements", "hospital": "events"}
USES = {
    "registry": {"id": ["join_key"], "age": ["filter", "group"], "male": ["filter", "group"]},
    "lab": {"id": ["join_key"], "test": ["filter", "group"], "value": ["count", "sum", "mean", "variance"]},
    "hospital": {"id": ["join_key"], "event": ["filter", "group"]},
}
DECLARATIONS = {
    "registry": "--unique --bounds age=0:120 --codes male=0,1",
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
README = """\
SYNTHETIC DATA. Nobody in these files exists: every row is computed from a counter by sandbox/cli/example.py.

registry/patients.csv     id, age, male
lab/measurements.csv      id, test, value
hospital/events.csv       id, event
policies/                 what each owner allows
job.toml                  a question over all three
"""


def write_example(directory: Path) -> list[str]:
    """Write the example into a new directory and return the commands that try it. Raises StateError."""
    files = {"README.txt": README, "job.toml": JOB}
    for provider, name in TABLES.items():
        files[f"{provider}/{name}.csv"] = "\n".join(_ROWS[provider]()) + "\n"
        files[f"policies/{provider}.{name}.toml"] = _policy(provider)
    try:
        for path, text in files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
    except OSError as error:
        raise StateError(f"the example cannot be written to {str(directory)!a}: {error.strerror}") from None
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
        "sandbox run example/job.toml",
        "sandbox product show newest",
    ]


def _policy(provider: str) -> str:
    uses = "".join(f"{column} = {str(names).replace(chr(39), chr(34))}\n" for column, names in USES[provider].items())
    return f"""\
# The owner's terms on {provider}.{TABLES[provider]}; what is not named is denied.
asset = "{provider}.{TABLES[provider]}"
purposes = ["chronic-disease-statistics"]
recipients = ["city-health-operator"]
profiles = ["statistics-controlled"]
min_cell = 10
min_list = 100
max_calls = 50
expires = 2035-12-31
[columns]
{uses}"""


def _draw(person: int, what: str, below: int) -> int:
    """Return a number that looks random and is always the same: from SHA-256, so that every machine writes the same files."""
    return int.from_bytes(hashlib.sha256(f"example/{person}/{what}".encode()).digest()[:8], "big") % below


def _patients() -> Iterator[str]:
    yield "id,age,male"
    for person in range(PEOPLE):
        yield f"{100_000 + person},{20 + _draw(person, 'age', 70)},{_draw(person, 'male', 2)}"


def _measurements() -> Iterator[str]:
    yield "id,test,value"
    for person in range(PEOPLE):
        if _draw(person, "tested", 10) == 0:
            continue
        lowered = 60 * _draw(person, "male", 2)
        yield f"{100_000 + person},hdl,{(400 + _draw(person, 'hdl', 400) - lowered) / 10}"
        yield f"{100_000 + person},glucose,{(700 + _draw(person, 'glucose', 600)) / 10}"


def _events() -> Iterator[str]:
    """Strokes are few, and fewest among women, so that the gate has something to withhold."""
    yield "id,event"
    for person in range(PEOPLE):
        if _draw(person, "ill", 4) == 0:
            continue
        rare = _draw(person, "stroke", 60) == 0 or (_draw(person, "male", 2) == 1 and _draw(person, "stroke", 12) == 1)
        event = "stroke" if rare else DIAGNOSES[_draw(person, "event", 2)]
        yield f"{100_000 + person},{event}"


_ROWS = {"registry": _patients, "lab": _measurements, "hospital": _events}
