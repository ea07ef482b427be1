"""A workspace that has been through the example once, and a way to run commands in this process."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_running import Result, Run, WriteJob, check_text, example_arguments, use_small_keys

from sandbox.cli.main import main


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, and see that it keeps to what all must keep to."""

    def call(*arguments: str) -> Result:
        code = main(list(arguments))
        captured = capsys.readouterr()
        check_text(captured.out, captured.err)
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with published tables, terms, a grant for three runs, and one product. Not to be changed."""
    root = tmp_path_factory.mktemp("cli") / "example"
    assert main(["init", str(root)]) == 0
    use_small_keys(root / "example" / "job.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for arguments in example_arguments():
            assert main(arguments) == 0, arguments
    return root


@pytest.fixture
def workspace(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example, which is the current directory."""
    root = tmp_path / "workspace"
    shutil.copytree(example, root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def write_job(workspace: Path) -> WriteJob:
    """Write a variant of the example's job, (old, new) texts replaced, and return its path."""

    def write(*changes: tuple[str, str]) -> str:
        text = (workspace / "example" / "job.toml").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = workspace / "variant.toml"
        path.write_text(text)
        return str(path)

    return write
