"""Progress in a notebook: one line that a cell rewrites, where a run is given no listener of its own."""

from __future__ import annotations

import html
import importlib
import sys
import time
from typing import Any

from sandbox.node.session import OnProgress

REFRESH_INTERVAL_S = 0.1


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

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how far a step is."""
        now = time.monotonic()
        if self._handle is not None and done < total and now - self._shown_at < REFRESH_INTERVAL_S:
            return
        self._shown_at = now
        line = {
            "text/plain": f"{step}: {done} of {total}",
            "text/html": f'<progress value="{done}" max="{total}"></progress> {html.escape(step)}: {done} of {total}',
        }
        if self._handle is None:
            self._handle = self._display(line, raw=True, display_id=True)
        else:
            self._handle.update(line, raw=True)
