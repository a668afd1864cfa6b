"""How large the page of many sequences is, and how quick in a browser: what docs/report.md says of both.

    python benchmarks/report_page.py                              # 2,000 sequences of 600 bases, by one and two methods
    python benchmarks/report_page.py --sequences 1 --length 200000

The maps are dense, with hypothetical contributions and a ledger of nine steps: the most that a page of its size can be.
A headless Chromium opens it: SEQPLRP_CHROMIUM, or the one on the path. Times are those of the page's own clock, medians
of so many turns: until the first sequence is drawn, one drawing of all tracks, the next sequence (unpacked and drawn),
and the table sorted, and filtered.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from seqplrp.plot import ACCOUNT_COLUMNS, AccountPattern, PageAccounts, PageColumn, PagePlaces, PageTrack, TracksPage

STEPS = [(f"layer.{i}", "conv1d", "Gamma(gamma=0.25)") for i in range(9)]
CELLS = [
    (i, ACCOUNT_COLUMNS.index(name))
    for i in range(len(STEPS))
    for name in ("relevance_out", "relevance_in", "bias", "stabiliser", "size")
]

_MEDIAN = "(times) => times.sort((p, q) => p - q)[times.length >> 1]"
TURNS = {
    "draw": "() => { seqplrp.view.draw(); }",
    "next": "async (i) => { await seqplrp.view.show(i % seqplrp.ids.length); seqplrp.view.draw(); }",
    "sort": "() => { seqplrp.grid.sortBy('score'); seqplrp.grid.draw(); }",
    "filter": "(i) => { const box = document.getElementById('search'); box.value = i % 2 ? 'score>0 seq1' : '';"
    " box.dispatchEvent(new Event('input')); seqplrp.grid.draw(); }",
}


def page_of(n: int, length: int, methods: int) -> TracksPage:
    """Make a page whose numbers are all different: nothing in it can be packed well."""
    rng = np.random.default_rng(0)
    total = n * length
    codes = rng.integers(0, 4, total).astype(np.uint8)
    tracks = []
    for number in range(methods):
        hypothetical = rng.normal(size=(4, total)).astype(np.float32)
        values = {(i, 0): rng.normal(size=len(CELLS)) for i in range(n)}
        pattern = AccountPattern(STEPS, CELLS, [0.0] * len(CELLS))
        accounts = PageAccounts([""], [pattern], np.zeros((n, 1), np.int64), values)
        per_base = hypothetical[codes, np.arange(total)]
        tracks.append(PageTrack(f"method {number}", "", per_base, hypothetical, accounts=accounts))
    ids = [f"seq{i}" for i in range(n)]
    ends = [length] * n
    places = PagePlaces(ids, ["chr1"] * n, [0] * n, ends, ["+"] * n, np.arange(n + 1, dtype=np.int64) * length, codes)
    columns = [PageColumn("id", "sequence", ids), PageColumn("score", "score", rng.normal(size=n).tolist())]
    return TracksPage("measured", "", places, tracks, columns)


def milliseconds(page: Any, act: str, turns: int) -> float:
    """Return the median time of a turn."""
    return float(
        page.evaluate(
            f"""async (turns) => {{
              const act = {act}, times = [];
              for (let i = 0; i < turns; i++) {{
                const began = performance.now(); await act(i); times.push(performance.now() - began);
              }}
              return ({_MEDIAN})(times);
            }}""",
            turns,
        )
    )


def measured(browser: Any, path: Path, turns: int) -> dict[str, float]:
    """Open a page, and time what is done with it."""
    ready = []
    for _ in range(3):
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]")
        ready.append(page.evaluate("() => { seqplrp.view.draw(); return performance.now(); }"))
        if len(ready) < 3:
            page.close()
    found = {"ready": median(ready), **{name: milliseconds(page, act, turns) for name, act in TURNS.items()}}
    page.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--length", type=int, default=600)
    parser.add_argument("--methods", type=int, action="append", help="tracks; repeat it")
    parser.add_argument("--turns", type=int, default=41)
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("SEQPLRP_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    names = ("ready", *TURNS)
    print(f"| sequences | bases | methods | MB | {' | '.join(f'{name}, ms' for name in names)} |")
    print("|---" * (4 + len(names)) + "|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for methods in asked.methods or (1, 2):
            path = Path(folder) / f"{methods}.html"
            path.write_text(page_of(asked.sequences, asked.length, methods).html(), encoding="utf-8")
            times = measured(browser, path, asked.turns)
            size = path.stat().st_size / 1e6
            told = " | ".join(f"{times[name]:.3g}" for name in names)
            print(f"| {asked.sequences:,} | {asked.length:,} | {methods} | {size:.1f} | {told} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
