"""Make the peers' environment, benchmarks/.peers, from peers.txt; name what could not be installed.

Requirements are installed one by one, so that one peer without a wheel for this Python does not take the others away.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent
ENVIRONMENT = FOLDER / ".peers"
GET_PEERS = "make their environment: poe peers"


def interpreter() -> Path:
    """Return the peers' Python, whether it exists or not."""
    return ENVIRONMENT / "bin" / "python"


def absent(names: list[str], *, asked: bool) -> list[dict[str, str]]:
    """Return why none of these peers can take part, a line each; nothing where all of them may."""
    if not asked:
        return [{"name": name, "why": "not asked for: use --peers"} for name in names]
    if not interpreter().exists():
        return [{"name": name, "why": GET_PEERS} for name in names]
    return []


def requirements() -> list[str]:
    """Return the lines of peers.txt without comments."""
    lines = [line.split("#")[0].strip() for line in (FOLDER / "peers.txt").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line]


def main() -> int:
    """Install every peer; return 1 if one is missing, after naming it."""
    if not interpreter().exists():
        venv.EnvBuilder(with_pip=True).create(ENVIRONMENT)
    install = [str(interpreter()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
    missing = []
    for requirement in requirements():
        done = subprocess.run([*install, requirement], check=False)
        print(f"{requirement}: {'installed' if done.returncode == 0 else 'NOT INSTALLED'}")
        if done.returncode:
            missing.append(requirement)
    if missing:
        print(f"without a wheel for Python {sys.version_info.major}.{sys.version_info.minor} here: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
