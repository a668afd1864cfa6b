#!/usr/bin/env python3
"""Draw the pictures of docs/images that explain the method, from a run of `make demo`.

    python docs/make_pictures.py [DEMO_OUTPUT]

The sequence is not chosen for its looks: it is the first of the demo's test set that the model gets right.
`demo_logos.png` and `usf1_peak.png` are made by `seqplrp demo` and examples/real_chipseq.sh.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import seqplrp as sp
from seqplrp.genomics import read_truth_bed
from seqplrp.plot import LogoTrack, Mark, SequencePanel, logo_frame, logo_panel

IMAGES = Path(__file__).parent / "images"
SHOWN = (0.0, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Example:
    """One sequence, the model and what was planted."""

    model: torch.nn.Module
    name: str
    letters: str
    x: Tensor
    target: int
    marks: list[Mark]

    def explain(self, method: sp.LRP, layers: tuple[str, ...] = ()) -> sp.Explanation:
        """Explain the class that the model says."""
        explainer = sp.Explainer(self.model, self.x, method=method)
        return explainer(self.x, target=self.target, layers=layers)


def main(demo: Path) -> None:
    """Draw all pictures."""
    torch.set_num_threads(1)
    example = first_right(demo)
    for name, figure in {
        "how_threshold": threshold(example),
        "how_layers": layers(example),
        "how_ledger": ledger(example),
        "p_logos": budgets(example),
    }.items():
        path = IMAGES / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
        print(f"{path.relative_to(IMAGES.parents[1])}: {example.name}, class {example.target}")


def first_right(demo: Path) -> Example:
    """Return the first test sequence that was scored."""
    scores = pd.read_csv(demo / "scores" / "plrp.tsv", sep="\t", dtype={"id": str})
    name = scores.loc[scores["status"] == "scored", "id"].iloc[0]
    (record,) = [one for one in sp.read_fasta(demo / "test" / "sequences.fa") if one.id == name]
    model = sp.load_model(demo / "model")
    x = sp.one_hot([record.sequence])
    with torch.no_grad():
        target = int(model.eval()(x).argmax())
    told = scores.loc[scores["id"] == name, "class"].iloc[0]
    truth = read_truth_bed(demo / "test" / "truth.bed")
    marks = [
        Mark(row.start, row.end, row.motif, row.strand, supports=row.motif == told)
        for row in truth[truth["chrom"] == name].itertuples()
    ]
    return Example(model, name, record.sequence, x, target, marks)


def convolutions(model: torch.nn.Module) -> list[str]:
    """Return the module paths of a model's convolutions, from the input up."""
    return [path for path, module in model.named_modules() if isinstance(module, torch.nn.Conv1d)]


def threshold(example: Example, share: float = 0.25) -> Figure:
    """Draw all positive entries at one layer by size, and what they add up to."""
    layer = convolutions(example.model)[1]
    found = example.explain(sp.PLRP(p=0), (layer,)).layers[layer][0].flatten().numpy()
    entries = np.sort(found[found > 0])[::-1]
    sums = entries.cumsum() / entries.sum()
    kept = int(np.searchsorted(sums, 1 - share)) + 1
    figure = Figure(figsize=(9, 2.8), facecolor="white")
    left, right = figure.subplots(1, 2)
    places = np.arange(1, len(entries) + 1)
    for chosen, colour, label in ((slice(0, kept), "#c44e21", "kept"), (slice(kept, None), "#9aa5ad", "pruned")):
        left.bar(places[chosen], entries[chosen], width=1, color=colour, label=f"{label}: {len(places[chosen])} units")
        right.plot(places[chosen], sums[chosen], color=colour, linewidth=3)
    left.legend(frameon=False)
    left.set(yscale="log", xlabel="positive entries, largest first", ylabel="relevance")
    right.axhline(1 - share, color="black", linewidth=0.8, linestyle=":")
    right.text(len(entries), 1 - share - 0.03, f"1 - p, p = {share:g}", ha="right", va="top", fontsize=9)
    right.set(xlabel="positive entries, largest first", ylabel="share of the relevance", ylim=(0, 1.03))
    return _tidy(figure)


def layers(example: Example) -> Figure:
    """Draw the relevance at the convolutions and the map, unpruned and pruned."""
    paths = convolutions(example.model)
    methods = {"no pruning": sp.PLRP(p=0), "PLRP, budget .5": sp.PLRP()}
    found = {title: example.explain(method, tuple(paths)) for title, method in methods.items()}
    figure = Figure(figsize=(11, 1.35 * (len(paths) + 1)), facecolor="white")
    grid = figure.subplots(len(paths) + 1, 2)
    for column, (title, explained) in enumerate(found.items()):
        for row, path in enumerate(reversed(paths)):
            both = [one.layers[path][0] for one in found.values()]
            limit = float(np.quantile(torch.cat(both).abs().numpy(), 0.998))
            values = explained.layers[path][0].numpy()
            _heat(grid[row, column], values, limit, f"convolution {len(paths) - row}: {_zeros(values)}")
        per_base = explained.per_base[0].numpy()
        grid[-1, column].bar(np.arange(len(per_base)), per_base, width=1, color="#2b4a5e")
        grid[-1, column].set(xlim=(-0.5, len(per_base) - 0.5), xlabel="position", yticks=[])
        grid[-1, column].set_title(f"the map: {_zeros(per_base)}", fontsize=8, loc="left", pad=2)
        grid[0, column].annotate(title, (0.5, 1.35), xycoords="axes fraction", ha="center", weight="bold")
        for mark in example.marks:
            if mark.supports:
                grid[-1, column].axvspan(mark.start - 0.5, mark.end - 0.5, color="#c44e21", alpha=0.18, linewidth=0)
    figure.subplots_adjust(hspace=0.55, wspace=0.04)
    return _tidy(figure)


def _heat(ax: Axes, values: np.ndarray, limit: float, title: str) -> None:
    ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_title(title, fontsize=8, loc="left", pad=2)


def _zeros(values: np.ndarray) -> str:
    return f"{np.count_nonzero(values):,} of {values.size:,} not 0"


def ledger(example: Example) -> Figure:
    """Draw what is left of the score after each layer, and what each layer's bias took."""
    explained = example.explain(sp.PLRP())
    table = explained.ledger
    rows = table[table["bias"].fillna(0).abs() > 0]
    score = float(explained.output[0])
    figure = Figure(figsize=(9, 0.42 * (len(rows) + 2)), facecolor="white")
    ax = figure.subplots()
    left = score
    ax.barh(0, score, color="#2b4a5e")
    names = ["the score"]
    for i, row in enumerate(rows.itertuples(), start=1):
        ax.barh(i, row.bias, left=left - row.bias, color="#c44e21" if row.bias > 0 else "#7aa7c7")
        ax.text(max(left, left - row.bias) + score * 0.01, i, f"{-row.bias:+.2f}", va="center", fontsize=8)
        left -= row.bias
        names.append(f"bias of {row.layer}")
    total = float(explained.relevance.sum())
    ax.barh(len(names), total, color="#2b4a5e")
    names.append("the map")
    ax.text(total + score * 0.01, len(names) - 1, f"{total:.2f}", va="center", fontsize=8)
    ax.text(score + score * 0.01, 0, f"{score:.2f}", va="center", fontsize=8)
    ax.set_yticks(range(len(names)), names, fontsize=8)
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.8)
    ax.set_xlabel("relevance")
    return _tidy(figure)


def budgets(example: Example) -> Figure:
    """Draw the sequence's map at growing budgets."""
    tracks = []
    for share in SHOWN:
        explained = example.explain(sp.PLRP(budget=share, center="composition"))
        kept = int((explained.per_base[0] != 0).sum())
        title = f"budget {share:g}: {kept} of {len(example.letters)} bases" if share else f"no pruning: {kept} bases"
        tracks.append(LogoTrack(title, logo_frame(explained.relevance[0], example.letters)))
    return logo_panel(SequencePanel(example.name, tracks, example.marks))


def _tidy(figure: Figure) -> Figure:
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("demo-output"))
