"""Published test vectors, from the folder that SANDBOX_VECTORS names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest


def load_vectors(name: str) -> Any:
    """Return a JSON file of the reference folder; skip the test where the folder or the file is missing."""
    folder = os.environ.get("SANDBOX_VECTORS")
    if not folder:
        pytest.skip("SANDBOX_VECTORS is unset: it names the folder of published test vectors")
    path = Path(folder) / name
    if not path.exists():
        pytest.skip(f"the reference folder has no {name}")
    return json.loads(path.read_text())
