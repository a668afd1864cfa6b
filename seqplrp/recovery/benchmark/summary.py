"""From the finished cells to tables: means with intervals, paired tests against each peer, costs, models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.evaluate import Measure, holm, paired_wilcoxon
from seqplrp.recovery.benchmark.cell import MANIFEST_FILE, SCORED, Cell, cells_of, cut_name, read_part, recipes_of
from seqplrp.recovery.benchmark.config import BenchmarkConfig
from seqplrp.recovery.benchmark.protocols import measures_of
from seqplrp.recovery.benchmark.resampling import ModelValues, Resampled, resample
from seqplrp.recovery.benchmark.store import read_json
from seqplrp.recovery.benchmark.tasks import GROUPS

FloatArray = npt.NDArray[np.float64]
ALL = "all"
SIGNIFICANT = 0.05
FEWEST_MODELS = 6
"""Below so many models a signed-rank test over their means can't fall below 0.05, whatever they are."""


@dataclass(frozen=True)
class FinishedCell:
    """A finished cell's values.

    Attributes
    ----------
    cell : Cell
    manifest : mapping
    values : ndarray, shape (N, methods, measures)
        Of the scored sequences; empty where the model did not learn.
    """

    cell: Cell
    manifest: Mapping[str, Any]
    values: FloatArray

    @property
    def scored(self) -> bool:
        """Whether its model learned and gets sequences right."""
        return bool(self.manifest["status"] == SCORED)


@dataclass(frozen=True)
class Scope:
    """Cells over which means are taken: a group of tasks, one of its tasks, or one architecture on it.

    Attributes
    ----------
    group, task, architecture : str
        ``all`` where not one alone.
    cells : list of FinishedCell
    """

    group: str
    task: str
    architecture: str
    cells: list[FinishedCell]

    @property
    def labels(self) -> dict[str, str]:
        """The columns that tell it from others."""
        return {"group": self.group, "task": self.task, "architecture": self.architecture}


@dataclass(frozen=True)
class Summary:
    """All tables of a run.

    Attributes
    ----------
    config : BenchmarkConfig
    cells : list of FinishedCell
    total : int
        Cells of the whole run.
    methods : list of str
    measures : mapping of str to Measure
    means : DataFrame
        group, task, architecture, method, measure, mean, low, high, n (values), undefined, models.
    tests : DataFrame
        group, task, architecture, measure, method (the default, or what is matched to), other, difference, low, high,
        n, p, p_holm (over sequences), models, p_models, p_models_holm (over the models' means), verdict.
    costs : DataFrame
        group, task, architecture, method, ms, ratio, low, high (of the ratio), preparing_s, models.
    models : DataFrame
        One row a cell: its model's measures, and how many sequences were scored and left out.
    """

    config: BenchmarkConfig
    cells: list[FinishedCell]
    total: int
    methods: list[str]
    measures: Mapping[str, Measure]
    means: pd.DataFrame
    tests: pd.DataFrame
    costs: pd.DataFrame
    models: pd.DataFrame

    @property
    def groups(self) -> list[str]:
        """The groups of tasks that have finished cells."""
        return [group for group in GROUPS if any(c.scored and c.cell.task.group == group for c in self.cells)]

    @property
    def compared(self) -> list[str]:
        """The default and its peers."""
        return [self.config.default.name, *(peer.name for peer in self.config.peers)]

    def cost_ratios(self, group: str) -> dict[str, float]:
        """Return how many times gradient x input each method takes, over a group of tasks."""
        if self.costs.empty:
            return {}
        table = in_scope(self.costs, group)
        return dict(zip(table["method"], table["ratio"].astype(float), strict=True))

    def mean_table(self, group: str, task: str = ALL, architecture: str = ALL) -> pd.DataFrame:
        """Return the means of one scope."""
        return in_scope(self.means, group, task, architecture)


def in_scope(table: pd.DataFrame, group: str, task: str = ALL, architecture: str = ALL) -> pd.DataFrame:
    """Return a table's rows of one scope."""
    there = (table["group"] == group) & (table["task"] == task) & (table["architecture"] == architecture)
    return table[there].reset_index(drop=True)


def summarise_run(config: BenchmarkConfig, out: Path | str) -> Summary:
    """Read the finished cells of a run and make its tables.

    Parameters
    ----------
    config : BenchmarkConfig
    out : path
        The run's directory.
    """
    return summarise_cells(config, list(_finished(config, Path(out))))


def summarise_cells(config: BenchmarkConfig, cells: list[FinishedCell]) -> Summary:
    """Make the tables of some cells."""
    methods, measures = list(recipes_of(config)), measures_of(config.protocols)
    scopes = list(_drawn(_scopes(config, [cell for cell in cells if cell.scored])))
    return Summary(
        config=config,
        cells=cells,
        total=len(cells_of(config)),
        methods=methods,
        measures=measures,
        means=_table([_means(scope, drawn, methods, list(measures)) for scope, drawn in scopes]),
        tests=_table(list(_tests_of(scopes, config, methods, measures))),
        costs=_table([_costs(scope, methods) for scope, _ in scopes]),
        models=_models(cells),
    )


def _finished(config: BenchmarkConfig, out: Path) -> Iterator[FinishedCell]:
    methods, measures = list(recipes_of(config)), list(measures_of(config.protocols))
    for cell in cells_of(config):
        manifest = read_json(cell.folder(out) / MANIFEST_FILE)
        if manifest is None or manifest["methods"] != recipes_of(config):
            continue
        values = np.zeros((0, len(methods), len(measures)))
        if manifest["status"] == SCORED:
            values = np.full((manifest["scored"], len(methods), len(measures)), np.nan)
            for i, name in enumerate(methods):
                found = read_part(cell.folder(out), name)
                assert found is not None  # the manifest is written after them
                values[:, i] = np.stack([found[0].values[measure] for measure in measures], axis=1)
        yield FinishedCell(cell, manifest, values)


def _scopes(config: BenchmarkConfig, cells: Sequence[FinishedCell]) -> Iterator[Scope]:
    """Yield each group of tasks, each of its tasks, each architecture on a task: those that have models."""
    for group in GROUPS:
        here = [one for one in cells if one.cell.task.group == group]
        if not here:
            continue
        yield Scope(group, ALL, ALL, here)
        for architecture in config.architectures:
            of = [one for one in here if one.cell.architecture.name == architecture.name]
            if of:
                yield Scope(group, ALL, architecture.name, of)
        for task in config.tasks:
            on = [one for one in here if one.cell.task.name == task.name]
            if not on:
                continue
            yield Scope(group, task.name, ALL, on)
            for architecture in config.architectures:
                both = [one for one in on if one.cell.architecture.name == architecture.name]
                if both:
                    yield Scope(group, task.name, architecture.name, both)


def _drawn(scopes: Iterable[Scope]) -> Iterator[tuple[Scope, Resampled]]:
    """Resample each scope, and those of the same cells (a single task's, say) once."""
    known: dict[tuple[str, ...], Resampled] = {}
    for scope in scopes:
        key = tuple(one.cell.name for one in scope.cells)
        if key not in known:
            known[key] = resample(_model_values(scope))
        yield scope, known[key]


def _model_values(scope: Scope) -> list[ModelValues]:
    return [
        ModelValues(
            (one.cell.task.name, one.cell.architecture.name), one.cell.seed, one.values.reshape(len(one.values), -1)
        )
        for one in scope.cells
    ]


def _means(scope: Scope, found: Resampled, methods: Sequence[str], measures: Sequence[str]) -> pd.DataFrame:
    low, high = found.interval()
    together = np.concatenate([one.values for one in scope.cells]).reshape(-1, len(methods) * len(measures))
    defined = ~np.isnan(together)
    table = pd.DataFrame(
        {
            "method": np.repeat(np.array(methods, dtype=object), len(measures)),
            "measure": np.tile(np.array(measures, dtype=object), len(methods)),
            "mean": found.mean,
            "low": low,
            "high": high,
            "n": defined.sum(axis=0),
            "undefined": (~defined).sum(axis=0),
            "models": len(scope.cells),
        }
    )
    return table.assign(**scope.labels)[[*scope.labels, *table.columns]]


def _pairs(config: BenchmarkConfig) -> list[tuple[str, str]]:
    """Return what is tested: the default against its peers, and what is matched to against what was cut to it."""
    pairs = [(config.default.name, peer.name) for peer in config.peers]
    if config.matched is not None:
        to = config.matched.to
        pairs += [(to.name, cut_name(variant, to)) for variant in config.matched.methods]
    return pairs


def _tests_of(
    scopes: Sequence[tuple[Scope, Resampled]],
    config: BenchmarkConfig,
    methods: Sequence[str],
    measures: Mapping[str, Measure],
) -> Iterator[pd.DataFrame]:
    """Test within each scope, and within those of the same cells once."""
    known: dict[int, pd.DataFrame] = {}
    for scope, drawn in scopes:
        if id(drawn) not in known:
            known[id(drawn)] = _tests(scope, drawn, config, methods, measures)
        yield known[id(drawn)].assign(**scope.labels)


_TEST_COLUMNS = (
    *("measure", "method", "other", "difference", "low", "high", "n", "undefined"),
    *("p", "p_holm", "models", "p_models", "p_models_holm", "verdict"),
)


def _tests(
    scope: Scope, found: Resampled, config: BenchmarkConfig, methods: Sequence[str], measures: Mapping[str, Measure]
) -> pd.DataFrame:
    """Test all pairs on all measures; Holm's correction is over the pairs of one family and measure."""
    pairs = _pairs(config)
    families = [family for family in (pairs[: len(config.peers)], pairs[len(config.peers) :]) if family]
    number = {name: i for i, name in enumerate(methods)}
    rows = []
    for column, measure in enumerate(measures):
        for family in families:
            at = np.array([[number[a], number[b]] for a, b in family])
            tests = [_test(scope, a, b, column) for a, b in at]
            for name in ("p", "p_models"):
                adjusted = holm([test[name] for test in tests])
                tests = [{**test, f"{name}_holm": float(p)} for test, p in zip(tests, adjusted, strict=True)]
            differences = np.stack(found.difference(*(at * len(measures) + column).T), axis=1)
            for test, pair, numbers in zip(tests, family, differences, strict=True):
                row = {"measure": measure, **dict(zip(("method", "other"), pair, strict=True)), **test}
                row |= dict(zip(("difference", "low", "high"), numbers.tolist(), strict=True))
                rows.append({**row, "verdict": _verdict(row, measures[measure])})
    table = pd.DataFrame(rows, columns=list(_TEST_COLUMNS))
    return table.assign(**scope.labels)[[*scope.labels, *_TEST_COLUMNS]]


def _test(scope: Scope, a: int, b: int, measure: int) -> dict[str, Any]:
    """Test two methods on one measure: over all sequences, and over the models' means."""
    first = [one.values[:, a, measure] for one in scope.cells]
    second = [one.values[:, b, measure] for one in scope.cells]
    by_sequence = paired_wilcoxon(np.concatenate(first), np.concatenate(second))
    means = [_mean_difference(x - y) for x, y in zip(first, second, strict=True)]
    by_model = paired_wilcoxon(means, np.zeros(len(means)))
    enough = by_model.n >= FEWEST_MODELS
    return {
        "n": by_sequence.n,
        "undefined": by_sequence.undefined,
        "p": by_sequence.p,
        "models": by_model.n,
        "p_models": by_model.p if enough else np.nan,
    }


def _mean_difference(differences: FloatArray) -> float:
    defined = differences[~np.isnan(differences)]
    return float(defined.mean()) if len(defined) else float("nan")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table's rows as mappings from the columns' names."""
    return cast(list[dict[str, Any]], table.to_dict(orient="records"))


def _verdict(row: Mapping[str, Any], measure: Measure) -> str:
    """Say whether the first method is better, worse, or can't be told from the other."""
    if not np.isfinite(row["difference"]) or not np.isfinite(row["p_holm"]):
        return "undefined"
    if measure.better == "neither":
        return "not judged"
    if row["p_holm"] >= SIGNIFICANT:
        return "not told apart"
    good = row["difference"] > 0 if measure.better == "higher" else row["difference"] < 0
    return "better" if good else "worse"


def _costs(scope: Scope, methods: Sequence[str]) -> pd.DataFrame:
    rows = []
    for name in methods:
        of = [one.manifest["costs"][name] for one in scope.cells if name in one.manifest["costs"]]
        if not of:
            continue
        ratios = np.array([cost["ratio"] for cost in of])
        rows.append(
            {
                "method": name,
                "ms": float(np.median([cost["milliseconds"] for cost in of])),
                "ratio": float(np.median(ratios)),
                "low": float(ratios.min()),
                "high": float(ratios.max()),
                "preparing_s": float(np.median([cost["preparing"] for cost in of])),
                "models": len(of),
            }
        )
    table = pd.DataFrame(rows)
    return table if table.empty else table.assign(**scope.labels)[[*scope.labels, *table.columns]]


def _models(cells: Sequence[FinishedCell]) -> pd.DataFrame:
    rows = []
    for one in cells:
        manifest = one.manifest
        rows.append(
            {
                "group": one.cell.task.group,
                "task": one.cell.task.name,
                "architecture": one.cell.architecture.name,
                "seed": one.cell.seed,
                "status": manifest["status"],
                **{key: manifest["model"][key] for key in ("auroc", "auprc", "accuracy", "parameters", "epochs")},
                "candidates": manifest["candidates"],
                "scored": manifest["scored"],
                "left_out": ", ".join(f"{n} {why}" for why, n in manifest["left_out"].items()),
                "training_s": manifest["model"]["training_seconds"],
                "seconds": manifest["seconds"],
            }
        )
    return pd.DataFrame(rows)


def _table(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    there = [part for part in parts if not part.empty]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame()


def mean_ranks(summary: Summary, group: str, measure: str) -> tuple[dict[str, float], int]:
    """Rank the default and its peers on each model by their means of a measure; 1 is the best.

    Returns
    -------
    ranks : dict of str to float
        Mean rank of each method; empty where no model defines all of them.
    models : int
        How many models were ranked.
    """
    known = summary.measures[measure]
    at = [summary.methods.index(name) for name in summary.compared]
    column = list(summary.measures).index(measure)
    of = [one for one in summary.cells if one.scored and one.cell.task.group == group]
    means = np.array([[_mean_difference(one.values[:, i, column]) for i in at] for one in of])
    means = means[~np.isnan(means).any(axis=1)] if len(of) else np.zeros((0, len(at)))
    if not len(means) or known.better == "neither":
        return {}, 0
    table = pd.DataFrame(means, columns=summary.compared)
    ranks = table.rank(axis=1, ascending=known.better == "lower")
    return {name: float(ranks[name].mean()) for name in summary.compared}, len(means)


def summary_rows(summary: Summary) -> pd.DataFrame:
    """Return the table of ``summary.tsv``: means with what tests and costs say of each method.

    One row a scope, method and measure. Test columns say how the default does against this method (or, for a method
    that was cut, what it is matched to does); they are empty for the default itself and for methods that are no peers.
    """
    keys = ["group", "task", "architecture"]
    table = summary.means
    if not summary.costs.empty:
        costs = summary.costs[[*keys, "method", "ms", "ratio"]]
        costs = costs.rename(columns={"ms": "cost_ms", "ratio": "cost_ratio"})
        table = table.merge(costs, on=[*keys, "method"], how="left")
    if not summary.tests.empty:
        columns = [
            "method",
            "other",
            "difference",
            "low",
            "high",
            "p",
            "p_holm",
            "p_models",
            "p_models_holm",
            "verdict",
        ]
        tests = summary.tests[[*keys, "measure", *columns]].rename(
            columns={
                "method": "tested",
                "other": "method",
                "low": "difference_low",
                "high": "difference_high",
            }
        )
        table = table.merge(tests, on=[*keys, "method", "measure"], how="left")
    return table
