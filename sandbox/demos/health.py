"""`sandbox demo health`: mean HDL cholesterol by sex, age band and diagnosis, over three agencies' real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.catalogue import TableDefinition, table
from sandbox.demos import data
from sandbox.demos.result import DemoResult
from sandbox.demos.stage import answer, job_options, new_directory, read_job, set_terms
from sandbox.demos.trials import differencing, tampering
from sandbox.embedded import Embedded
from sandbox.node.session import OnProgress

OPERATOR = "city-health-operator"
MANAGER = "data-bureau"
ASSETS = ("registry.patients", "lab.measurements", "hospital.events")
DIFFERENCING = """
SELECT p.male AS sex, COUNT(DISTINCT p.id) AS patients
FROM registry.patients p
JOIN lab.measurements l ON l.id = p.id
JOIN hospital.events e ON e.id = p.id
WHERE l.test = 'hdl' AND e.event = 'stroke' AND p.age < 39
GROUP BY p.male
"""


def definitions(patients: int | None = None) -> dict[str, dict[str, TableDefinition]]:
    """Return the three agencies' tables with what each declares about them."""
    tables = data.health(patients)
    measurements, events = tables["measurements"], tables["events"]
    return {
        "registry": {
            "patients": table(
                tables["patients"],
                key="id",
                key_domain="patient",
                unique=True,
                bounds={"age": (0, 120)},
                codes={"male": [0, 1]},
            )
        },
        "lab": {
            "measurements": table(
                measurements,
                key="id",
                key_domain="patient",
                bounds={"value": (0, 1000)},
                scales={"value": 10},
                codes={"test": sorted(measurements["test"].unique())},
            )
        },
        "hospital": {
            "events": table(events, key="id", key_domain="patient", codes={"event": sorted(events["event"].unique())})
        },
    }


def job() -> dict[str, Any]:
    """Return the demo's question as its job file states it."""
    return read_job("health")


def run(
    *,
    out: Path | None = None,
    key_bits: int = 3072,
    rows: int | None = None,
    on_progress: OnProgress | None = None,
) -> DemoResult:
    """Run the demo in a new workspace and return its result.

    out: a directory that is new or empty; by default one below the system's temporary directory, which is kept. rows: only
    the first so many patients. Raises StateError if `out` is in use, UsageError if the demo data is not installed.
    """
    directory = new_directory(out, "health")
    question = job()
    with Embedded.create(
        directory / "workspace", definitions(rows), operator=OPERATOR, manager=MANAGER, terms="written"
    ) as network:
        set_terms(network, *ASSETS)
        answered = answer(network, question, directory / "bundle", on_progress, key_bits=key_bits)
        trust = network.write_trust(directory / "trust.toml")
        trials = (
            differencing(network, DIFFERENCING, job_options(question, key_bits=key_bits), on_progress, differs_by="people"),
            tampering(answered.bundle, trust),
        )
    return DemoResult(answers=(answered,), directory=directory, trust=trust, trials=trials)
