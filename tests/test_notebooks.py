"""The three notebooks of a study run from a clean kernel, one after the other, on a small simulated study."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))


def test_the_three_notebooks_run_from_a_clean_kernel(small_study, monkeypatch):
    assert [n.stem for n in NOTEBOOKS] == ["1 DataPrep & Descriptives", "2 Training & Inference", "3 Analysis"]
    monkeypatch.setenv("SDOVIS_STUDY", "study.toml")
    for path in NOTEBOOKS:
        book = nbformat.read(shutil.copy(path, small_study.parent), as_version=4)
        NotebookClient(book, timeout=300, resources={"metadata": {"path": str(small_study.parent)}}).execute()
        outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
        assert any(output.output_type in {"display_data", "execute_result"} for output in outputs), path.name
    assert (small_study.parent / "runs/small/release/release.json").is_file()


def test_the_notebooks_are_kept_without_outputs_and_are_thin():
    for path in NOTEBOOKS:
        book = nbformat.read(path, as_version=4)
        code = [cell for cell in book.cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in code), path.name
        assert sum(cell.source.count("\n") + 1 for cell in code) < 60
        assert not any(word in cell.source for cell in code for word in ("def ", "class ")), path.name
