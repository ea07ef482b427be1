"""The time that a long step will still take, in a notebook and on a terminal."""

from __future__ import annotations

import io
import time
from typing import Any

import pytest
import rich.console

from sandbox.cli import console
from sandbox.node import progress
from sandbox.node.progress import NotebookLine


class Line:
    """A display that keeps the last line that it was shown."""

    def __init__(self) -> None:
        self.text = ""

    def __call__(self, data: dict[str, str], **_: object) -> Any:
        self.text = data["text/plain"]
        return self

    def update(self, data: dict[str, str], **_: object) -> None:
        self.text = data["text/plain"]


def test_a_notebook_says_how_long_a_long_step_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    line = Line()
    listener = NotebookLine(line)
    shown = []
    for seconds, step, done, total in (
        (0, "blind", 0, 1000),
        (1, "blind", 100, 1000),
        (9, "blind", 200, 1000),
        (0.5, "other", 5, 5),
        (1189.5, "blind", 800, 1000),
        (1, "blind", 1000, 1000),
    ):
        now[0] += seconds
        listener(step, done, total)
        shown.append(line.text)
    assert shown == [
        "blind: 0 of 1000",
        "blind: 100 of 1000",
        "blind: 200 of 1000, about 40 s left",
        "other: 5 of 5",
        "blind: 800 of 1000, about 5 min left",
        "blind: 1000 of 1000",
    ]


def test_a_terminal_shows_the_time_left_and_machines_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    terminal = rich.console.Console(file=screen, force_terminal=True, width=120, emoji=False)
    monkeypatch.setattr(console, "_console", lambda *, stderr: terminal)
    monkeypatch.setattr(console.sys.stderr, "isatty", lambda: True, raising=False)
    with console.progress(as_json=True) as listener:
        assert listener is None
    with console.progress(as_json=False) as listener:
        assert listener is not None
        for done in range(0, 60, 10):
            listener("operator: add up", done, 1000)
            time.sleep(0.12)
    assert "operator: add up" in screen.getvalue()
    assert "50/1000" in screen.getvalue()
    assert "0:00:" in screen.getvalue()
    assert "-:--:--" in screen.getvalue().split("10/1000")[0]
