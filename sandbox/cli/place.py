"""Where a command works: the workspace, and the files that people write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandbox.errors import NotFound
from sandbox.tasks.textfile import read_document

if TYPE_CHECKING:
    from sandbox.embedded import Embedded
    from sandbox.model.job import Job
    from sandbox.tasks.explain import Explanation

WorkspaceOption = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", help="The workspace; by default the current directory or its nearest parent that is one."
    ),
]
JobArgument = Annotated[Path, typer.Argument(metavar="JOB", help="The question: a job.toml.")]
MAX_FILE_BYTES = 1 << 20


def find_workspace(given: Path | None) -> Path:
    """Return the workspace's directory. Raises NotFound."""
    if given is not None:
        return given
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / "network.json").is_file():
            return directory
    raise NotFound(f"{here} is in no workspace; make one with `sandbox init DIR`, or name one with --workspace")


@contextmanager
def opened(given: Path | None) -> Iterator[Embedded]:
    """Yield the network of a workspace. Raises NotFound, or StateError if another process has it."""
    from sandbox.embedded import Embedded

    with Embedded.open(find_workspace(given)) as network:
        yield network


def read_text(path: Path) -> str:
    """Return a small UTF-8 file's text. Raises NotFound, UsageError for what is no such file, DocumentError."""
    return read_document(path, limit=MAX_FILE_BYTES)


def read_job(path: Path) -> Job:
    """Return the job that a file states. Raises NotFound, DocumentError that names the field."""
    from sandbox.model.job import job_from_toml

    return job_from_toml(read_text(path), what=repr(path.name)[1:-1])


def explain(network: Embedded, job: Job, path: Path) -> Explanation:
    """Return a job's explanation. path: its file, beside which its rules lie.

    Raises QuestionError with the place in the text.
    """
    if job.release is not None:
        return network.explain_release(
            job.release.asset,
            rules=path.parent / job.release.rules,
            quasi=job.release.quasi,
            sensitive=job.release.sensitive,
            k_anonymity=job.release.k_anonymity,
            purpose=job.purpose,
            profile=job.profile,
            title=job.title,
            recipients=job.recipients,
        )
    return network.explain(
        job.question(),
        purpose=job.purpose,
        profile=job.profile,
        title=job.title,
        recipients=job.recipients,
        key_bits=job.parameters.key_bits,
        noise=job.parameters.noise,
        matching=job.parameters.matching,
        cipher=job.parameters.cipher,
    )
