"""The pictures of a run, from its summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from seqplrp.benchmark.cell import read_part
from seqplrp.benchmark.claim_pictures import mode_picture, steep_picture, with_interval
from seqplrp.benchmark.config import BenchmarkConfig
from seqplrp.benchmark.scenes import FloatArray
from seqplrp.benchmark.summary import FinishedCell, Summary, in_scope, ranked
from seqplrp.benchmark.sweeps import swept_families
from seqplrp.plot import (
    critical_difference,
    measure_bars,
    save_figure,
    sweep_curves,
    trade_off,
)

_REFERENCES = 4  # horizontal lines in a panel, as many as can be told apart


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes
    ----------
    file : str
        Its name in ``pictures/``.
    caption : str
    group : str
        The group of tasks that it is of.
    """

    file: str
    caption: str
    group: str


def draw_pictures(summary: Summary, out: Path) -> list[Picture]:
    """Draw all pictures that a run has values for, as SVG and PNG.

    Parameters
    ----------
    summary : Summary
    out : Path
        The run's directory; the pictures go to ``pictures/`` in it.
    """
    folder = out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for group in summary.groups:
        for name, caption, figure in _figures(summary, group, out):
            file = f"{group}-{name}"
            save_figure(figure, folder / f"{file}.svg")
            save_figure(figure, folder / f"{file}.png")
            drawn.append(Picture(file, caption, group))
    return drawn


def _figures(summary: Summary, group: str, out: Path) -> list[tuple[str, str, Figure]]:
    found = [("measures", "Means of the default and its peers, with 95 % intervals.", _bars(summary, group))]
    found += _sweeps(summary, group)
    found += [
        (
            "lambda-matrix",
            "Pruned LRP in lambda mode, and beneath it in matrix mode with all else alike; 95 % intervals.",
            mode_picture(summary, group),
        ),
        (
            "early-drop",
            "How far the score falls over the first tenth deleted, as a share of the same rule's without pruning, with "
            "intervals of the paired difference.",
            steep_picture(summary, group),
        ),
    ]
    found += _trade_offs(summary, group)
    found += _ranks(summary, group)
    found += _examples(summary, group, out)
    return [(name, caption, figure) for name, caption, figure in found if figure is not None]


def shown_measures(summary: Summary, most: int = 6) -> list[str]:
    """Return the measures that a table or a picture shows; those that a run has none of are passed over."""
    first = summary.config.domain.shown
    return ([name for name in first if name in summary.measures] or list(summary.measures))[:most]


def _bars(summary: Summary, group: str) -> Figure | None:
    table = summary.mean_table(group)
    names = [name for name in summary.methods if name in {*summary.compared, *_floors(summary.config)}]
    table = table[table["method"].isin(names) & table["measure"].isin(shown_measures(summary))]
    measures = [name for name in shown_measures(summary) if name in set(table["measure"])]
    if not measures:
        return None
    default = summary.config.default.name
    return measure_bars(
        with_interval(table),
        measures=measures,
        highlight=default if default in set(table["method"]) else None,
        title=f"{group} tasks: means over {int(table['models'].max())} models",
    )


def _floors(config: BenchmarkConfig) -> list[str]:
    """Return the floor and the ceiling."""
    return [variant.name for variant in config.variants if variant.is_control]


def _sweeps(summary: Summary, group: str) -> list[tuple[str, str, Figure | None]]:
    found: list[tuple[str, str, Figure | None]] = []
    means = summary.mean_table(group)
    for key in ("p", "budget", "gain"):
        lines = swept_families(summary.config, key)
        rows = [
            means[means["method"] == variant.name].assign(family=line, x=value)
            for line, points in lines.items()
            for value, variant in points
        ]
        if not rows:
            continue
        table = pd.concat(rows, ignore_index=True)
        shown = [name for name in shown_measures(summary, 9) if name in set(table["measure"])]
        if not shown:
            continue  # protocols may be limited to other methods
        table = table[table["measure"].isin(shown)]
        table = table.assign(measure=pd.Categorical(table["measure"], shown)).sort_values("measure", kind="stable")
        table = table.astype({"measure": object})
        others = [name for name in summary.compared if not any(v.name == name for p in lines.values() for _, v in p)]
        # the default, where it is no point of a line, and the dearest methods, which configurations name last
        first = [name for name in others if name == summary.config.default.name]
        chosen = [*first, *[name for name in others if name not in first][len(first) - _REFERENCES :]]
        references = {name: _means_of(means, name) for name in chosen}
        figure = sweep_curves(
            table, label=key, references=references, known=summary.measures, title=f"{group} tasks: against {key}"
        )
        found.append((f"against-{key}", f"Measures against {key}; dashed: methods without it.", figure))
    return found


def _means_of(means: pd.DataFrame, method: str) -> dict[str, float]:
    of = means[means["method"] == method]
    return dict(zip(of["measure"].astype(str), of["mean"].astype(float), strict=True))


def _trade_offs(summary: Summary, group: str) -> list[tuple[str, str, Figure | None]]:
    means = summary.mean_table(group).set_index(["method", "measure"])
    measured = set(means.index.get_level_values("measure"))
    measures = [name for name in ("auprc", "rma") if name in measured]
    families = {v.name: line for line, points in swept_families(summary.config).items() for _, v in points}
    default = summary.config.default.name
    named = {v.name for one in summary.config.tested for v in (one.reference, *one.peers)} | {default}
    found: list[tuple[str, str, Figure | None]] = []
    for measure in measures:
        label = summary.measures[measure].label
        y = means.xs(measure, level="measure")
        table = pd.DataFrame(
            {
                "method": y.index,
                "y": y["mean"].to_numpy(),
                "y_low": y["low"].to_numpy(),
                "y_high": y["high"].to_numpy(),
            }
        )
        table["family"] = [families.get(name, name) for name in table["method"]]
        table = table[~table["method"].isin(_floors(summary.config))]
        if "gini" in measured:
            x = means.xs("gini", level="measure")["mean"]
            figure = _drawn(
                table.assign(x=x.reindex(table["method"]).to_numpy()),
                x_label="Gini (sparsity)",
                y_label=label,
                highlight=default,
                named=named,
                title=f"{group} tasks: sparsity against {label}",
            )
            found.append(
                (
                    f"sparsity-{measure}",
                    f"Sparsity against {label}; lines join methods of one sweep. What is tested is named.",
                    figure,
                )
            )
        costs = in_scope(summary.costs, group) if not summary.costs.empty else pd.DataFrame()
        if not costs.empty:
            ratio = costs.set_index("method")["ratio"]
            figure = _drawn(
                table.assign(x=ratio.reindex(table["method"]).to_numpy(), family=table["method"]),  # p hardly costs
                x_label="cost, times gradient x input",
                y_label=label,
                highlight=default,
                named=named,
                log_x=True,
                frontier=True,
                title=f"{group} tasks: cost against {label}",
            )
            caption = (
                f"Cost against {label}; the grey line joins what no cheaper method beats. What is tested is named."
            )
            found.append((f"cost-{measure}", caption, figure))
    return found


def _drawn(table: pd.DataFrame, **options: Any) -> Figure | None:
    known = table["x"].notna() & table["y"].notna()
    return trade_off(table, **options) if known.any() else None


def _ranks(summary: Summary, group: str) -> list[tuple[str, str, Figure | None]]:
    found: list[tuple[str, str, Figure | None]] = []
    for measure in (name for name in ("auprc", "rra", "rma", "abpc") if name in summary.measures):
        found_ranks = ranked(summary, group, measure)
        if found_ranks is None:
            continue
        label = summary.measures[measure].label
        figure = critical_difference(
            found_ranks.ranks,
            found_ranks.critical_difference,
            highlight=summary.config.default.name,
            title=f"{group} tasks: ranks by {label}",
        )
        caption = (
            f"Mean ranks by {label} over {found_ranks.blocks} models (Friedman's test: p {found_ranks.p:.2g}); bars "
            "join methods that a Nemenyi test at 5 % can't tell apart."
        )
        found.append((f"ranks-{measure}", caption, figure))
    return found


def _examples(summary: Summary, group: str, out: Path) -> list[tuple[str, str, Figure | None]]:
    """Draw the same inputs by several methods: the first model of each task."""
    config, examples = summary.config, summary.config.domain.examples
    names = list(config.pictures.methods) or summary.compared
    found: list[tuple[str, str, Figure | None]] = []
    for task in config.tasks:
        of = [one for one in summary.cells if one.scored and one.cell.task.name == task.name and task.group == group]
        if not of or not config.pictures.sequences:
            continue
        first = of[0]
        folder = first.cell.folder(out)
        figure = examples.draw(first.manifest["examples"], _maps(first, names, folder), folder)
        title = f"{task.name}, {first.cell.architecture.name}, seed {first.cell.seed}"
        found.append((f"{examples.name}-{task.name}", examples.caption.format(title=title), figure))
    return found


def _maps(one: FinishedCell, names: Sequence[str], folder: Path) -> dict[str, FloatArray]:
    """Return the maps of a cell's first inputs by method."""
    maps = {}
    for name in names:
        found = read_part(folder, name)
        assert found is not None  # the cell is finished
        maps[name] = found[0].examples
    return maps
