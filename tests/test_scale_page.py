"""The figures of docs/scale.md are those that were measured. (Its commands are read by tests/docs.)"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
TEXT = " ".join(PAGE.split())
MEASURED = ROOT / re.search(r"--measured (\S+\.json)", PAGE)[1]
DATA = json.loads(MEASURED.read_text(encoding="utf-8"))


@pytest.fixture
def scale(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import scale

    return scale


@pytest.mark.parametrize(
    "arguments",
    [
        ["--ms", "16.4"],
        ["--ms", "16.4", "--formats", "npz,tsv"],
        ["--ms", "0.26", "--formats", "npz,tsv", "--actors", "4"],
        ["--ms", "37", "--devices", "1", "--devices", "64"],
    ],
)
def test_the_tables_are_what_the_script_makes_of_what_was_measured(scale, arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["scale.py", "size", "--measured", str(MEASURED), *arguments])
    scale.main()
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) >= 4
    assert "\n".join(rows) in PAGE


def test_a_run_is_the_sum_of_its_steps(scale):
    """A data set made up so that each step is a minute for a million."""
    own = dict.fromkeys(("hash", "read", "tables", "part", "verify", "index"), 60.0)
    data = {"microseconds": own, "formats": {"npz": {"microseconds": 60.0}, "tsv": {"microseconds": 60.0}}}
    row = scale.sized(data, 0.24, 1_000_000, 2, 1, ["npz", "tsv"])
    found = {name: float(row[f"{name}, min"]) for name in ("check", "explain", "gather", "files")}
    assert found == {"check": 2, "explain": (4 + 2) / 2, "gather": 3, "files": 2}
    assert (row["all, h"], row["longest"]) == (f"{10 / 60:.2f}", "explain")
    row = scale.sized(data, 0.24, 1_000_000, 2, 3, ["npz"])
    assert float(row["explain, min"]) == 2, "three share a device, which then never waits"
    row = scale.sized(data, 0.24, 1_000_000, 64, 1, ["npz"])
    assert (float(row["explain, min"]), row["longest"]) == (1, "gather"), "no quicker than the input is read"


def test_the_figures_in_the_text_are_the_measured_ones():
    told = {name: f"{name} {one['microseconds']:,.0f}" for name, one in DATA["formats"].items()}
    assert all(text in TEXT for text in told.values()), told
    sizes = [f"{one['bytes'] / 1e3:.1f} ({name})" for name, one in DATA["formats"].items()]
    assert all(text in TEXT for text in sizes), sizes
    own = DATA["microseconds"]
    assert f"| {own['tables']:.0f} + {own['part']:.0f} |" in TEXT
    assert f"| {own['hash']:.0f} + {own['verify']:.0f} + {own['index']:.0f} |" in TEXT
    assert f"{DATA['part_bytes'] / 1e3:.1f} kB in the parts" in TEXT
    assert f"{DATA['chunk']} of 2,114 bp" in TEXT
    for one in DATA["engines"]:
        assert f"{one['gflop']:.2f} GFLOP" in TEXT or f"{one['gflop']:.1f} for ChromBPNet's size" in TEXT
        if one["method"] == "PLRP":
            assert f"{round(1e3 * one['cpu_ms'], -3):,.0f} on a core" in TEXT or (
                f"{round(1e3 * one['cpu_ms'], -4):,.0f} on a core" in TEXT
            )
