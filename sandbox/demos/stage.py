"""What every demo does around its questions: a directory of its own, shipped terms and questions, answers with evidence."""

from __future__ import annotations

import tempfile
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from sandbox.demos.result import Answer
from sandbox.embedded import Embedded
from sandbox.errors import StateError
from sandbox.model.policy import policy_from_toml
from sandbox.node.session import OnProgress

CALLS = 2
"""Calls of a demo's grant: the run, and one more by hand in the workspace that stays."""


def read_job(name: str) -> dict[str, Any]:
    """Return a question of this package as its job file states it."""
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def job_options(question: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    """Return what a job file says beside its SQL, as `Embedded.explain` takes it; parameters are added."""
    return {name: question[name] for name in ("title", "purpose", "profile", "recipients")} | parameters


def set_terms(network: Embedded, *assets: str) -> None:
    """Set the owners' terms that this package ships."""
    folder = resources.files(__package__).joinpath("terms")
    for name in assets:
        network.set_policy(policy_from_toml(folder.joinpath(f"{name}.toml").read_text(encoding="utf-8"), version=1))


def answer(
    network: Embedded, question: dict[str, Any], bundle: Path, on_progress: OnProgress | None, **parameters: Any
) -> Answer:
    """Explain, approve and run a question, and write its evidence to a new directory. Raises Denied, Withheld and others."""
    explanation = network.explain(question["sql"], **job_options(question, **parameters))
    grant = network.approve(explanation, calls=CALLS)
    product = network.run(explanation, grant=grant, on_progress=on_progress)
    return Answer(explanation=explanation, product=product, seconds=product.seconds, bundle=product.bundle(bundle))


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
