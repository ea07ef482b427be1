"""What a benchmark ran on: processor, its features, load, versions."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

FEATURES = ("bmi2", "adx", "avx2", "avx512f", "avx512ifma")
_LIST_VERSIONS = (
    "import importlib.metadata as m, json, sys;"
    "print(json.dumps({n: m.version(n) for n in sys.argv[1:] if next(m.Distribution.discover(name=n), None)}))"
)


def describe() -> dict[str, Any]:
    """Return processor, cores, features, load and versions of this environment."""
    text = _read("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    present = flags[1].split() if flags else []
    return {
        "processor": model[1] if model else platform.processor(),
        "family": _numbers(text),
        "cores": os.cpu_count(),
        "features": [name for name in FEATURES if name in present],
        "load_before": [round(value, 2) for value in os.getloadavg()],
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in ("public-data-sandbox", "gmpy2", "numpy")},
    }


def versions(interpreter: Path, packages: list[str]) -> dict[str, str]:
    """Return the versions of packages in another environment; what is missing is left out."""
    if not interpreter.exists():
        return {}
    done = subprocess.run([str(interpreter), "-c", _LIST_VERSIONS, *packages], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _numbers(text: str) -> str:
    parts = [re.search(rf"^{name}\s*:\s*(\d+)$", text, re.MULTILINE) for name in ("cpu family", "model", "stepping")]
    return "-".join(part[1] for part in parts if part)
