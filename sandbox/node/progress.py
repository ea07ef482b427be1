"""Progress in a notebook: one line that a cell rewrites, where a run is given no listener of its own."""

from __future__ import annotations

import html
import importlib
import sys
import time
from typing import Any

from sandbox.node.session import OnProgress

REFRESH_INTERVAL_S = 0.1
LONG_STEP_S = 2.0
"""A step that lasts longer is shown with an estimate of the time left."""


def notebook_progress() -> OnProgress | None:
    """Return a listener that shows the current step below a Jupyter cell, or None where no Jupyter kernel runs this code."""
    frontend = sys.modules.get("IPython")
    shell = frontend.get_ipython() if frontend is not None else None
    if shell is None or not hasattr(shell, "kernel"):
        return None
    return NotebookLine(importlib.import_module("IPython.display").display)


class NotebookLine:
    """A listener that rewrites one display. display: IPython.display.display; it is called at most ten times a second.

    The last chunk of a step is always shown, so that the line ends with what was done last.
    """

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None
        self._shown_at = 0.0
        self._begun: dict[str, tuple[float, int]] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how far a step is."""
        now = time.monotonic()
        since, first = self._begun.setdefault(step, (now, done))
        if self._handle is not None and done < total and now - self._shown_at < REFRESH_INTERVAL_S:
            return
        self._shown_at = now
        text = f"{step}: {done} of {total}{_time_left(now - since, done - first, total - done)}"
        line = {
            "text/plain": text,
            "text/html": f'<progress value="{done}" max="{total}"></progress> {html.escape(text)}',
        }
        if self._handle is None:
            self._handle = self._display(line, raw=True, display_id=True)
        else:
            self._handle.update(line, raw=True)


def _time_left(elapsed_s: float, done: int, left: int) -> str:
    """Return how long a step will still take if it goes on as it has so far; nothing for a short one."""
    if elapsed_s < LONG_STEP_S or done < 1 or left < 1:
        return ""
    seconds = round(elapsed_s / done * left)
    return f", about {seconds} s left" if seconds < 120 else f", about {seconds // 60} min left"
