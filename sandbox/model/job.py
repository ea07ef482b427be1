"""Job: a question as an operator writes it down, read strictly from `job.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any, get_args
from typing import Literal as OneOf

import msgspec

from sandbox.errors import DocumentError
from sandbox.model.canonical import Document
from sandbox.model.fit import KINDS, FitQuestion
from sandbox.model.party import check_name
from sandbox.model.plan import Cipher
from sandbox.model.policy import MatchingMode, check_names
from sandbox.model.release import JobRelease

Noise = OneOf["djn", "subgroup"]

MAX_JOB_CHARACTERS = 1 << 18
KEY_BITS = (2048, 3072, 4096)
MAX_TITLE = 200


class JobParameters(Document, frozen=True, kw_only=True):
    """Cryptographic parameters of a job. Of a join: the gate's Paillier key and its noise, and how keys are matched.

    cipher: of the masks of a secure sum, over a federated table.
    """

    key_bits: int = 3072
    noise: Noise = "djn"
    matching: MatchingMode = "blinded"
    cipher: Cipher = "chacha20"

    def __post_init__(self) -> None:
        if self.key_bits not in KEY_BITS:
            raise DocumentError(f"parameters.key_bits: use one of {', '.join(map(str, KEY_BITS))}")


class Job(Document, frozen=True, kw_only=True):
    """A question, a model or a release, with all that it needs to be judged. What it names is looked up when it is compiled.

    sql: a question over several tables; model: a model over a federated one; release: one table's rows, desensitised.
    """

    title: str
    purpose: str
    profile: str
    recipients: tuple[str, ...]
    sql: str = ""
    release: JobRelease | None = None
    parameters: JobParameters = JobParameters()
    model: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.title.strip() or not self.title.isprintable() or len(self.title) > MAX_TITLE:
            raise DocumentError(f"title: one line of 1 to {MAX_TITLE} printable characters")
        check_name(self.purpose, field="purpose")
        check_name(self.profile, field="profile")
        check_names(self.recipients, field="recipients")
        asked = (bool(self.sql), self.model is not None, self.release is not None)
        if sum(asked) > 1:
            raise DocumentError("sql, [model] and [release]: a job asks one question, fits one model or releases one table")
        if not any(asked[1:]) and not self.sql.strip():
            raise DocumentError("sql: is empty; a job has a question in sql, or a section [model] or [release]")
        if self.model is not None:
            self.question()

    def question(self) -> str | FitQuestion:
        """Return what is asked: SQL, or a model. Raises DocumentError that names the field of the section [model]."""
        return self.sql if self.model is None else fit_question(self.model)


def fit_question(section: Mapping[str, Any]) -> FitQuestion:
    """Return the model that a section [model] asks for: kind, table, features, target, where, and the kind's own parameters.

    Raises DocumentError that names the field.
    """
    fields = dict(section)
    kind = fields.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise DocumentError(f"model.kind: {kind!r} is no kind of model; kinds are: {', '.join(KINDS)}")
    asked = {name: fields.pop(name) for name in ("table", "features", "target", "where") if name in fields}
    known = KINDS[kind].__struct_fields__
    unknown = [name for name in fields if name not in known]
    if unknown:
        listed = ", ".join(("kind", "table", "features", "target", "where", *known))
        raise DocumentError(
            f"model.{_printable(unknown[0])}: a model of kind {kind} has no such parameter; there are: {listed}"
        )
    try:
        estimator = msgspec.convert({"kind": kind, **fields}, KINDS[kind])
        return msgspec.convert(asked | {"estimator": msgspec.to_builtins(estimator)}, FitQuestion)
    except msgspec.ValidationError as error:
        raise DocumentError(f"model.{_named(str(error))}") from None


def job_from_toml(text: str, *, what: str = "job.toml") -> Job:
    """Return the job that a TOML text states. Raises DocumentError that names the field, or the line."""
    if len(text) > MAX_JOB_CHARACTERS:
        raise DocumentError(f"{what} has {len(text)} characters; the limit is {MAX_JOB_CHARACTERS}")
    try:
        fields = tomllib.loads(text)
    except RecursionError:
        raise DocumentError(f"{what} is nested too deeply") from None
    except ValueError as error:
        raise DocumentError(f"{what} is not TOML: {_printable(str(error))}") from None
    try:
        return msgspec.convert(fields, Job)
    except msgspec.ValidationError as error:
        raise DocumentError(f"{what}: {_named(str(error))}{_choices(str(error))}") from None


def _named(problem: str) -> str:
    """Say `sql: Expected …` for msgspec's `Expected … - at `$.sql``."""
    found = re.fullmatch(r"(.*) - at `\$\.?(.*)`", problem, re.DOTALL)
    return _printable(f"{found[2]}: {found[1]}" if found and found[2] else problem)


def _choices(problem: str) -> str:
    """Say what may stand in a field of a few words; nothing for any other."""
    found = re.search(r"`\$\.parameters\.(noise|matching|cipher)`", problem)
    choices = {"noise": Noise, "matching": MatchingMode, "cipher": Cipher}
    return f"; it is {' or '.join(get_args(choices[found[1]]))}" if found else ""


def _printable(message: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in message[:300])
