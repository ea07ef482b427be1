"""Every notebook runs at its small size, draws a figure and keeps its own assertions; committed ones carry no outputs."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient import NotebookClient

from sandbox.node.progress import NotebookLine, notebook_progress

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))
CELL_TIMEOUT_S = 600


def name(path: Path) -> str:
    return path.stem


class Executed(NamedTuple):
    """A notebook with its outputs, and the directory in which it ran."""

    notebook: nbformat.NotebookNode
    directory: Path


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook: nbformat.NotebookNode, kind: str) -> list[str]:
    """Return what all cells displayed of one MIME type."""
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    return [output.data[kind] for output in outputs if kind in output.get("data", {})]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Executed]]:
    """Execute a notebook at its small size, once for all tests here, in an empty directory."""

    @functools.cache
    def execute(path: Path) -> Executed:
        directory = tmp_path_factory.mktemp(path.stem)
        notebook = nbformat.read(path, as_version=4)
        resources = {"metadata": {"path": str(directory)}}
        NotebookClient(notebook, kernel_name="python3", timeout=CELL_TIMEOUT_S, resources=resources).execute()
        return Executed(notebook, directory)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_NOTEBOOK_SIZE", "small")
        yield execute


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_committed_notebooks_are_valid_and_carry_no_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in code_cells(notebook):
        assert not cell.outputs
        assert cell.execution_count is None
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebooks_run_and_show_what_they_claim(path: Path, executed: Callable[[Path], Executed]) -> None:
    """An assertion that fails inside a notebook fails its execution; here it is checked that there are any."""
    notebook, directory = executed(path)
    assert shown(notebook, "image/png"), "no figure"
    sources = [ast.parse(cell.source) for cell in code_cells(notebook)]
    assert any(isinstance(node, ast.Assert) for source in sources for node in ast.walk(source)), "no assertion"
    assert not list(directory.iterdir()), "a notebook leaves files behind"


def test_quickstart_shows_progress_tables_and_the_refusal_with_its_place(executed: Callable[[Path], Executed]) -> None:
    """The product's table has a mark and its legend, the run's line ends at the gate, and the refusal has a caret."""
    notebook, _ = executed(next(path for path in NOTEBOOKS if path.stem == "01_quickstart"))
    cells = {cell.id: cell for cell in code_cells(notebook)}
    lines = [output.data["text/html"] for output in cells["run"].outputs if output.output_type == "display_data"]
    assert len(lines) == 1
    assert "<progress" in lines[0]
    assert "gate: check and release" in lines[0]
    product = cells["product"].outputs[0].data["text/html"]
    assert "<td" in product
    assert "·k" in product
    assert "BELOW_K" in product
    assert "minimum_keys" in product
    assert "Who learns what" in cells["explain"].outputs[0].data["text/html"]
    assert "\n         ^\n" in cells["refused-raw"].outputs[0].text


def test_progress_line_is_rewritten_escaped_and_absent_outside_a_notebook() -> None:
    assert notebook_progress() is None
    calls: list[tuple[str, str]] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            calls.append(("update", data["text/html"]))

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        calls.append(("display", data["text/html"]))
        return Handle()

    line = NotebookLine(display)
    line("a<b>: match", 1, 3)
    line("a<b>: match", 2, 3)
    line("a<b>: match", 3, 3)
    assert [kind for kind, _ in calls] == ["display", "update"]
    assert "a&lt;b&gt;: match: 3 of 3" in calls[-1][1]
    assert "<b>" not in calls[-1][1]
