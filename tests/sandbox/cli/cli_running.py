"""Running commands in this process, and what all of them must keep to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.cli.example import commands


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


Run = Callable[..., Result]
WriteJob = Callable[..., str]


def check_text(*texts: str) -> None:
    """No traceback and no control character ever reaches a terminal."""
    for text in texts:
        assert "Traceback" not in text
        assert all(char.isprintable() or char == "\n" for char in text)


def example_arguments() -> list[list[str]]:
    """The example's commands as lists, without the program's name."""
    return [line.split()[1:] for line in commands()]


def use_small_keys(job: Path) -> None:
    """Make a job faster to run: the smallest keys that users may have."""
    job.write_text(job.read_text().replace("key_bits = 3072", "key_bits = 2048"))
