"""`sandbox demo health`: mean HDL cholesterol by sex, age band and diagnosis, over three agencies' real data."""

from __future__ import annotations

import tempfile
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from sandbox.catalogue import TableDefinition, table
from sandbox.demos import data
from sandbox.demos.result import DemoResult
from sandbox.demos.trials import differencing, tampering
from sandbox.embedded import Embedded
from sandbox.errors import StateError
from sandbox.model.policy import policy_from_toml
from sandbox.node.session import OnProgress

OPERATOR = "city-health-operator"
MANAGER = "data-bureau"
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
    return tomllib.loads(resources.files(__package__).joinpath("health.toml").read_text(encoding="utf-8"))


def set_terms(network: Embedded, *assets: str) -> None:
    """Set the owners' terms that this package ships."""
    folder = resources.files(__package__).joinpath("terms")
    for name in assets:
        network.set_policy(policy_from_toml(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"), version=1))


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
    options = {name: question[name] for name in ("title", "purpose", "profile", "recipients")}
    with Embedded.create(
        directory / "workspace", definitions(rows), operator=OPERATOR, manager=MANAGER, terms="written"
    ) as network:
        set_terms(network, "registry.patients", "lab.measurements", "hospital.events")
        explanation = network.explain(question["sql"], key_bits=key_bits, **options)
        grant = network.approve(explanation, calls=2)
        product = network.run(explanation, grant=grant, on_progress=on_progress)
        trust = network.write_trust(directory / "trust.toml")
        bundle = product.bundle(directory / "bundle")
        trials = (
            differencing(network, DIFFERENCING, {**options, "key_bits": key_bits}, on_progress),
            tampering(bundle, trust),
        )
    return DemoResult(
        explanation=explanation,
        product=product,
        seconds=product.seconds,
        directory=directory,
        bundle=bundle,
        trust=trust,
        trials=trials,
    )


def new_directory(out: Path | None, name: str) -> Path:
    """Return the directory of a demo, made where it is missing. Raises StateError if it holds anything."""
    if out is None:
        return Path(tempfile.mkdtemp(prefix=f"sandbox-demo-{name}-"))
    try:
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(out.iterdir())
    except OSError as error:
        raise StateError(f"{out} cannot be used ({error.strerror}); choose another directory") from None
    if occupied:
        raise StateError(f"{out} is not empty; choose a new directory")
    return out
