"""The notebooks of examples/ run, and their committed outputs are whole."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))

SMALLER = {
    "explain_your_model.ipynb": {"n=2000": "n=600", "range(6)": "range(3)"},
    "motif_recovery.ipynb": {"n=3000": "n=1500", "n=300": "n=120", "epochs=8": "epochs=6"},
}
"""What a test trains on; the committed outputs are of the whole."""


def cells(name: str) -> list[dict]:
    return [cell for cell in json.loads((EXAMPLES / name).read_text())["cells"] if cell["cell_type"] == "code"]


def test_there_are_two():
    assert list(SMALLER) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_cell_runs(name, tmp_path, capsys):
    import matplotlib.pyplot

    matplotlib.use("Agg")
    sources = ["".join(cell["source"]) for cell in cells(name)]
    for there, here in SMALLER[name].items():
        assert any(there in source for source in sources), there
        sources = [source.replace(there, here) for source in sources]
    names: dict = {}
    try:
        with contextlib.chdir(tmp_path):
            for number, source in enumerate(sources):
                exec(compile(source, f"{name}, code cell {number}", "exec"), names)
    finally:
        matplotlib.pyplot.close("all")  # what a notebook leaves open is not the next test's
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_outputs_are_of_one_run_and_whole(name):
    outputs = [output for cell in cells(name) for output in cell["outputs"]]
    assert [cell["execution_count"] for cell in cells(name)] == list(range(1, len(cells(name)) + 1))
    assert not [output for output in outputs if output["output_type"] == "error"]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    assert pictures
    assert (EXAMPLES / name).stat().st_size < 700_000
    texts = json.dumps([[*output.get("text", []), output.get("data", {}).get("text/plain", "")] for output in outputs])
    assert not re.search(r"/(work|home|root|tmp)/|Warning|Traceback", texts)
