"""``docs/notebook.ipynb`` runs from its first cell to its last, and is kept without outputs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

FILE = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def read() -> Any:
    return nbformat.read(FILE, as_version=4)  # type: ignore[no-untyped-call]


def test_it_is_kept_without_outputs() -> None:
    """Outputs would change with every run, and a page that renders it makes them anew."""
    notebook = read()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


@pytest.mark.filterwarnings("ignore")  # of the kernel's own packages
def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{FILE.parents[1]}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    notebook = read()
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FILE.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("of the images are robust, by the formula and under PGD" in output.get("text", "") for output in outputs)
    assert sum("text/html" in output.get("data", {}) for output in outputs) == 6  # tables and data frames
