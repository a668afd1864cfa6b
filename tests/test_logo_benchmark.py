"""The benchmark of logos measures both renderers, and the page says what it decided."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from seqplrp.plot.logos import LETTERS_BY_LOGOMAKER

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_it_times_logomakers_letters_beside_ours(form: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "argv", ["logos.py", "--length", "30", "--pairs", "2", "--form", form])
    runpy.run_path(str(ROOT / "benchmarks" / "logos.py"), run_name="__main__")
    *_, row = capsys.readouterr().out.splitlines()
    length, kind, theirs, ours, ratio, pairs = (cell.strip() for cell in row.strip("|").split("|"))
    assert (length, kind, pairs) == ("30", form, "2")
    assert float(theirs) > float(ours) > 0
    assert re.fullmatch(r"\d+ \(\d+ to \d+\)", ratio)


def test_the_page_says_where_it_switches_and_what_was_measured() -> None:
    page = (ROOT / "docs" / "logos.md").read_text(encoding="utf-8")
    assert f"up to {LETTERS_BY_LOGOMAKER} letters" in " ".join(page.split())
    rows = re.findall(r"^\| ([\d,]+) \| (png|svg) \|", page, flags=re.M)
    assert rows == [(length, form) for form in ("png", "svg") for length in ("100", "600", "2,114", "10,000")]
