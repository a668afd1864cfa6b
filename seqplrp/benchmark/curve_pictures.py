"""Curves as pictures: deletion and insertion, and likeness as more and more layers are new."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from seqplrp.benchmark.curve_tables import ALL
from seqplrp.benchmark.domain import Words
from seqplrp.benchmark.pictures import Picture
from seqplrp.benchmark.summary import Summary
from seqplrp.plot import line_panels, save_figure

_CURVES = {
    "deletion_most": "deletion, most relevant first",
    "deletion_least": "deletion, least relevant first",
    "insertion_most": "insertion, most relevant first",
    "insertion_least": "insertion, least relevant first",
}
_LIKENESS = {"spearman_abs": "Spearman of |r|", "spearman": "Spearman", "overlap": "overlap of the highest"}
_TICKS = (0, 1, 5, 10, 20, 30, 50, 70, 90)


def draw_curves(summary: Summary, means: Mapping[str, pd.DataFrame], out: Path) -> list[Picture]:
    """Draw the curves of each group of tasks, as SVG and PNG; none where none were kept.

    Parameters
    ----------
    summary : Summary
    means : mapping of str to DataFrame
        By protocol, from `curve_means`.
    out : Path
        The run's directory; the pictures go to ``pictures/`` in it.
    """
    folder = out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for group in summary.groups:
        found = {
            "curves": (_deletion(summary, means.get("faithfulness"), group), _deletion_caption(summary.words)),
            "randomisation": (_randomisation(summary, means.get("randomisation"), group), _RANDOMISATION_CAPTION),
        }
        for name, (figure, caption) in found.items():
            if figure is None:
                for suffix in ("svg", "png"):
                    (folder / f"{group}-{name}.{suffix}").unlink(missing_ok=True)
                continue
            for suffix in ("svg", "png"):
                save_figure(figure, folder / f"{group}-{name}.{suffix}")
            drawn.append(Picture(f"{group}-{name}", caption, group))
    return drawn


def _deletion_caption(words: Words) -> str:
    return (
        f"Mean change of the score as {words.parts} are replaced in the order of their relevance (most relevant first: "
        "with a faithful map it falls at once; least relevant first: it stays, or rises while what speaks against the "
        f"class goes), and as they are put back into {words.a} that was replaced as a whole. Means over models; the "
        f"band is the default's 95 % interval over them. Few {words.parts} have more room than many."
    )


_RANDOMISATION_CAPTION = (
    "How alike a map is to the trained model's as layers are re-initialised from the top down, each with all above it, "
    "for the same output: a method that stays alike shows the input, not what was learned. Means over models; the band "
    "is the default's 95 % interval over them, where there are several."
)


def _deletion(summary: Summary, table: pd.DataFrame | None, group: str) -> Figure | None:
    if table is None or table.empty:
        return None
    here = table[(table["group"] == group) & (table["task"] == ALL) & (table["architecture"] == ALL)]
    here = here[here["curve"].isin(_CURVES)]
    if here.empty:
        return None
    there = [name for name in _CURVES if (here["curve"] == name).any()]
    ordered = here.assign(order=here["curve"].map(there.index)).sort_values("order", kind="stable")
    lines = ordered.assign(
        panel=ordered["curve"].map(_CURVES), line=ordered["method"], x=100 * ordered["share"], mean=ordered["change"]
    )
    ticks = ([float(t) for t in _TICKS], [str(t) for t in _TICKS])
    return line_panels(
        lines[["panel", "line", "x", "mean", "low", "high"]],
        x_label=f"% of the {summary.words.parts} replaced, or put back",
        y_label="change of the score (logit)",
        columns=2,
        spread="root",
        ticks={_CURVES[name]: ticks for name in there},
        highlight=summary.config.default.name,
        controls=_controls(summary),
        zero=True,
        title=f"{group} tasks: deletion and insertion, means over {int(here['models'].max())} models",
    )


def _randomisation(summary: Summary, table: pd.DataFrame | None, group: str) -> Figure | None:
    if table is None or table.empty:
        return None
    here = table[(table["group"] == group) & (table["task"] == ALL)]
    if here.empty:
        return None
    architectures = list(pd.unique(here["architecture"]))
    parts, ticks = [], {}
    for measure, label in _LIKENESS.items():
        for architecture in architectures:
            of = here[(here["curve"] == measure) & (here["architecture"] == architecture)]
            panel = f"{architecture}: {label}"
            layers = of.drop_duplicates("depth").sort_values("depth")
            ticks[panel] = (layers["depth"].astype(float).tolist(), layers["layer"].astype(str).tolist())
            parts.append(of.assign(panel=panel, line=of["method"], x=of["depth"]))
    return line_panels(
        pd.concat(parts, ignore_index=True)[["panel", "line", "x", "mean", "low", "high"]],
        x_label="re-initialised down to",
        y_label="likeness to the trained model's map",
        columns=len(architectures) if len(architectures) > 1 else len(_LIKENESS),
        ticks=ticks,
        highlight=summary.config.default.name,
        controls=_controls(summary),
        zero=True,
        title=f"{group} tasks: layers re-initialised from the top",
    )


def _controls(summary: Summary) -> dict[str, str]:
    """Return the floor's and the ceiling's colour."""
    controls = [variant for variant in summary.config.variants if variant.is_control]
    return {variant.name: "#111111" if variant.method is None else "#888888" for variant in controls}
