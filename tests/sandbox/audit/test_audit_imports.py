"""The verifier runs where nothing heavy is installed and no network exists."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.audit_story import Network, Story, trust_text

from sandbox.audit.bundle import write_bundle

HEAVY = (
    *("numpy", "pandas", "pyarrow", "duckdb", "sqlalchemy", "sqlglot", "gmpy2", "rbcl", "joblib", "cedarpy", "typer", "rich"),
    *("socket", "ssl", "http", "asyncio", "urllib.request", "multiprocessing", "subprocess", "sqlite3", "fcntl"),
)
CODE = """
import sys
sys.path.insert(0, sys.argv[1])
from sandbox.audit.verify import verify
from sandbox.audit.reconcile import reconcile, trace
report = verify(sys.argv[2], sys.argv[3])
print(len(report.checks), *[name for name in sys.argv[4:] if name in sys.modules])
"""


def test_the_verifier_imports_nothing_heavy(tmp_path: Path) -> None:
    network = Network(tmp_path / "network")
    bundle = write_bundle(tmp_path / "bundle", *Story(network).run())
    (tmp_path / "trust.toml").write_text(trust_text())
    root = str(Path(__file__).parents[3])
    command = [sys.executable, "-c", CODE, root, str(bundle), str(tmp_path / "trust.toml"), *HEAVY]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.split() == ["20"]
