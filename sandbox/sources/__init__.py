"""Sources: a provider's raw data read in place, read-only, through a locked-down worker process. Names load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.sources.faults import SourceFault
    from sandbox.sources.pipe import Limits
    from sandbox.sources.source import Source, open_source

__all__ = ["Limits", "Source", "SourceFault", "open_source"]

_HOMES = {"Limits": "pipe", "Source": "source", "SourceFault": "faults", "open_source": "source"}


def __getattr__(name: str) -> Any:
    # The worker imports this package too, and must start fast.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
