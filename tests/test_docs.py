"""The documents are true: their code runs, and nothing that a user meets is undocumented."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from pathlib import Path

import pytest

import sandbox.errors
from sandbox.model.decision import Reason
from sandbox.planning import profiles

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST = 'python3 -m venv .venv && .venv/bin/pip install -e ".[demo]" && .venv/bin/sandbox demo health'
SECOND = '.venv/bin/pip install -e ".[test]" && .venv/bin/pytest'


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def test_the_two_commands_stand_there_to_be_pasted() -> None:
    assert [block.strip() for block in blocks(README, "")][:2] == [FIRST, SECOND]


def test_ci_installs_and_tests_as_the_readme_says() -> None:
    script = read(".ci/run")
    assert '-e ".[test]"' in script
    assert re.search(r"^\.venv/bin/pytest$", script, flags=re.MULTILINE)


def test_the_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in blocks(README, "python"):
            exec(compile(block, "README.md", "exec"), names)  # noqa: S102  (the project's own document)
    shown = capsys.readouterr().out
    assert "checks passed" in shown
    assert "neither grouped nor aggregated" in shown or "raw" in shown
    assert list(names["product"].to_pandas().columns) == ["sex", "n", "mean", "correlation"]  # type: ignore[attr-defined]


def test_relative_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *(ROOT / "sandbox").rglob("README.md"), *(ROOT / "protocols").rglob("README.md")]:
        for target in re.findall(r"\]\(([^)#:\s]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_every_command_is_in_the_readme() -> None:
    from typer.main import get_command

    from sandbox.cli.main import app

    command = get_command(app)
    for name in command.commands:  # type: ignore[attr-defined]
        assert f"sandbox {name}" in README, f"`sandbox {name}` is not in README.md"


def test_exit_codes_of_the_readme_are_those_of_the_table() -> None:
    stated = {int(code) for row in re.findall(r"^\| ([0-9, ]+) \|", README, flags=re.MULTILINE) for code in row.split(",")}
    errors = [kind for kind in vars(sandbox.errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    codes = {sandbox.errors.exit_code(kind.__new__(kind)) for kind in errors if kind is not sandbox.errors.AuditError}
    assert codes | {0, 7, 8} == stated


@pytest.mark.parametrize(
    ("package", "document"),
    [("sandbox.gate.checks", "sandbox/gate/README.md"), ("sandbox.policy.constraints", "sandbox/policy/README.md")],
)
def test_every_check_and_constraint_is_documented(package: str, document: str) -> None:
    text = read(document)
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        name = getattr(importlib.import_module(f"{package}.{module.name}"), "NAME", None)
        assert name is None or f"`{name}`" in text, f"{name} is not in {document}"


def test_every_reason_and_profile_is_documented() -> None:
    gate, planning = read("sandbox/gate/README.md"), read("sandbox/planning/README.md")
    for reason in Reason.__args__:  # type: ignore[attr-defined]
        assert f"`{reason}`" in gate
    for profile in profiles():
        assert profile.name in planning


def test_every_protocol_is_on_the_map() -> None:
    text = read("protocols/README.md")
    for folder in sorted((ROOT / "protocols").iterdir()):
        if (folder / "__init__.py").exists() and folder.name != "primitives":
            assert f"{folder.name}/" in text or f"`{folder.name}`" in text
