#!/usr/bin/env python3
"""Run the notebooks of examples/ and keep their outputs in them: text and pictures, no times and no paths.

python docs/run_notebooks.py [NOTEBOOK ...]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def main(paths: list[Path]) -> None:
    """Run each notebook in an empty directory, and write it back."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the same sums in the same order on every machine
    for path in paths:
        notebook = nbformat.read(path, as_version=4)
        with TemporaryDirectory() as directory:
            NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": directory}}).execute()
        for number, cell in enumerate(notebook.cells):
            cell["id"] = f"cell-{number:02}"
            cell["metadata"] = {}
            if cell["cell_type"] == "code":
                cell["outputs"] = [one for one in cell["outputs"] if one.get("name") != "stderr"]
        notebook["metadata"] = {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
        nbformat.write(notebook, path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main([Path(one) for one in sys.argv[1:]] or sorted(EXAMPLES.glob("*.ipynb")))
