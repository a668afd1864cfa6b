"""How long a logo takes to draw: logomaker's letters beside ours, the same tables, in pairs in one process.

    python benchmarks/logos.py                     # 100, 600, 2,114 and 10,000 bases, as PNG and as SVG
    python benchmarks/logos.py --length 100 --pairs 5

Every position has a letter, as in a map that is not pruned: the most that a logo of its length can cost. Time is that
of the user's CPU, from the table to the file, so that a busy machine does not change it much; logomaker is imported
before. The median of the pairs and their range are printed as a markdown table.
"""

from __future__ import annotations

import argparse
import gc
import io
import time
from statistics import median

import numpy as np
from matplotlib.figure import Figure

from seqplrp.plot import Renderer, draw_logo, logo_frame

LENGTHS = (100, 600, 2114, 10_000)
INCHES, DPI = (26.0, 0.9), 150  # the widest panel of one track


def seconds(length: int, renderer: Renderer, form: str, seed: int) -> float:
    """Draw one logo into memory, and return the seconds of this process that it took."""
    draws = np.random.default_rng(seed)
    letters = "".join(draws.choice(list("ACGT"), size=length))
    frame = logo_frame(draws.normal(size=length), letters)
    gc.collect()  # what the last logo left, a letter an object, is not this one's to clear away
    began = time.process_time()
    figure = Figure(figsize=INCHES)
    draw_logo(figure.add_subplot(), frame, renderer=renderer)
    figure.savefig(io.BytesIO(), format=form, dpi=DPI)
    return time.process_time() - began


def pairs(length: int, form: str, most: int) -> list[tuple[float, float]]:
    """Time both, in turns which goes first; of what takes long one pair is enough."""
    found: list[tuple[float, float]] = []
    while len(found) < most and sum(map(sum, found)) < 60:
        turn: list[Renderer] = ["logomaker", "paths"] if len(found) % 2 == 0 else ["paths", "logomaker"]
        taken = {renderer: seconds(length, renderer, form, len(found)) for renderer in turn}
        found.append((taken["logomaker"], taken["paths"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--length", type=int, action="append", help="bases; repeat it")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--form", choices=["png", "svg"], action="append", help="repeat it")
    asked = parser.parse_args()
    for renderer in ("logomaker", "paths"):
        seconds(20, renderer, "png", 0)  # fonts and imports
    print("| bases | file | logomaker, s | ours, s | times | pairs |\n|---|---|---|---|---|---|")
    for form in asked.form or ["png", "svg"]:
        for length in asked.length or LENGTHS:
            found = pairs(length, form, asked.pairs)
            theirs, ours = (median(column) for column in zip(*found, strict=True))
            ratios = [one / other for one, other in found]
            spread = f"{median(ratios):.0f} ({min(ratios):.0f} to {max(ratios):.0f})"
            print(f"| {length:,} | {form} | {theirs:.2f} | {ours:.3f} | {spread} | {len(found)} |", flush=True)


if __name__ == "__main__":
    main()
