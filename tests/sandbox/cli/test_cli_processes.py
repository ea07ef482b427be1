"""What only shows in a process of its own: imports, pipes, terminals, Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

from cli_running import check_text

MAIN = [sys.executable, "-m", "sandbox.cli.main"]
HEAVY = ("pandas", "duckdb", "pyarrow", "sqlalchemy", "numpy", "gmpy2", "sqlglot", "cedarpy")
IMPORTED = f"""
import sys
from sandbox.cli.main import main
code = main(sys.argv[1:])
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""
HEEDING = """
import signal, sys
from sandbox.cli.main import main
from sandbox.node.session import Clockwork
def wait_once(*step, update=Clockwork.update):  # the first step tells the test, and waits for it
    Clockwork.update = update
    print("begun", flush=True)
    sys.stdin.readline()
    update(*step)
Clockwork.update = wait_once
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background would hand down that it is ignored
sys.exit(main(sys.argv[1:]))
"""


def sandbox(*arguments: str, cwd: Path, **options: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | options
    return subprocess.run(
        [*MAIN, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, env=environment, check=False
    )


def test_verify_and_help_load_nothing_heavy(workspace: Path) -> None:
    (bundle,) = (workspace / "nodes" / "data-bureau" / "products").iterdir()
    for arguments in (["audit", "verify", str(bundle), "--trust", "trust.toml", "--json"], ["--help"], ["run", "--help"]):
        found = subprocess.run(
            [sys.executable, "-c", IMPORTED, *arguments], cwd=workspace, capture_output=True, text=True, timeout=60, check=False
        )
        assert found.returncode == 0, found.stderr
        assert found.stderr == "[]\n"


def test_a_plain_locale_and_a_closed_pipe_are_no_trouble(workspace: Path) -> None:
    found = sandbox("product", "show", "newest", cwd=workspace, PYTHONIOENCODING="ascii")
    assert found.returncode == 0
    assert found.stderr == ""
    assert "\\xb7k" in found.stdout
    process = subprocess.Popen(
        [*MAIN, "explain", "example/job.toml"], cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert errors == b""


def start_run(workspace: Path) -> subprocess.Popen[str]:
    """Start a run and return within its first step; it goes on when it is sent a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HEEDING, "run", "example/job.toml"],
        cwd=workspace,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n", process.communicate()
    return process


def used(workspace: Path) -> int:
    found = json.loads(sandbox("grant", "show", "newest", "--json", cwd=workspace).stdout)
    return int(found["used"])


def run_on_a_terminal(workspace: Path) -> None:
    """For people bars move on stderr; stdout stays what it is elsewhere."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([*MAIN, "run", "example/job.toml"], cwd=workspace, stdout=subprocess.PIPE, stderr=terminal)
    os.close(terminal)
    shown = b""
    try:
        while part := os.read(controller, 65536):
            shown += part
    except OSError:
        pass  # the other end is closed
    out, _ = process.communicate(timeout=120)
    os.close(controller)
    assert process.returncode == 0
    assert b"blind and encrypt" in shown
    assert "\x1b" not in out.decode()
    assert "mean_hdl" in out.decode()


def test_ctrl_c_stops_a_run_and_gives_its_use_back(workspace: Path) -> None:
    process = start_run(workspace)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate("\n", timeout=120)
    assert process.returncode == 1, errors
    assert out == ""
    assert errors.splitlines()[-1] == "error: stopped"
    check_text(errors)
    assert used(workspace) == 1
    kinds = [event["kind"] for event in json.loads(sandbox("audit", "log", "--json", cwd=workspace).stdout)["events"]]
    assert kinds[-1] == "task.aborted"
    run_on_a_terminal(workspace)
    assert used(workspace) == 2


def test_a_killed_run_leaves_a_workspace_that_works(workspace: Path) -> None:
    process = start_run(workspace)
    process.kill()
    process.communicate(timeout=60)
    assert used(workspace) == 1
    assert sandbox("audit", "reconcile", cwd=workspace).returncode == 0
