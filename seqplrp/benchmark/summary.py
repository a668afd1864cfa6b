"""From the finished cells to tables: means with intervals, paired tests against each peer, costs, models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqplrp.benchmark.cell import MANIFEST_FILE, Cell, cells_of, cut_name, read_part, recipes_of
from seqplrp.benchmark.config import BenchmarkConfig
from seqplrp.benchmark.domain import Words
from seqplrp.benchmark.model_tables import model_means, model_values
from seqplrp.benchmark.protocols import measures_of
from seqplrp.benchmark.scenes import SCORED, FloatArray
from seqplrp.benchmark.tasks import GROUPS
from seqplrp.benchmark.verdicts import BOTH, SEQUENCES, judged
from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import (
    RUN_COLUMNS,
    Measure,
    RankComparison,
    compare_runs,
    rank_runs,
    summarise_runs,
)
from seqplrp.storage import read_json

ALL = "all"
DRAWS = 1000
_PLACE = ("group", "task", "architecture")
_MEANS = (
    *(*_PLACE, "method", "measure", "mean", "low", "high", "n", "undefined", "missing"),
    *("sequences", "models", "cells", "empty_cells"),
)


@dataclass(frozen=True)
class FinishedCell:
    """A finished cell's values.

    Attributes
    ----------
    cell : Cell
    manifest : mapping
    values : ndarray, shape (N, methods, measures)
        Of the scored inputs; empty where the model did not learn.
    """

    cell: Cell
    manifest: Mapping[str, Any]
    values: FloatArray

    @property
    def scored(self) -> bool:
        """Whether its model learned and gets inputs right."""
        return bool(self.manifest["status"] == SCORED)


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
    rows : DataFrame
        One row an input, method and measure: `seqplrp.evaluate.RUN_COLUMNS` and ``group``.
    means : DataFrame
        group, task, architecture (``all`` where not one alone), then the columns of `seqplrp.evaluate.summarise_runs`.
    tests : DataFrame
        group, task, architecture, then the columns of `seqplrp.evaluate.compare_runs` and of `judged`; the reference is
        the default, that of a further comparison, or what others were cut to. Methods without a defined value of any
        measure have no row.
    costs : DataFrame
        group, task, architecture, method, ms, ratio, low, high (of the ratio), preparing_s, models.
    models : DataFrame
        One row a cell: what is told of its model, and how many inputs were scored and left out.
    of_models : mapping of str to DataFrame
        By protocol of whole models: group, task, architecture, then the columns of `model_means`.
    """

    config: BenchmarkConfig
    cells: list[FinishedCell]
    total: int
    methods: list[str]
    measures: Mapping[str, Measure]
    rows: pd.DataFrame
    means: pd.DataFrame
    tests: pd.DataFrame
    costs: pd.DataFrame
    models: pd.DataFrame
    of_models: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def words(self) -> Words:
        """What the domain calls things."""
        return self.config.domain.words

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
    methods, measures = list(recipes_of(config)), config.measures
    scored = [cell for cell in cells if cell.scored]
    rows = _rows(scored, methods, list(measures), _limits(config))
    return Summary(
        config=config,
        cells=cells,
        total=len(cells_of(config)),
        methods=methods,
        measures=measures,
        rows=rows,
        means=_means(rows),
        tests=_tests(config, rows, measures),
        costs=_costs(scored, methods) if scored else pd.DataFrame(),
        models=_models(config, cells),
        of_models=_of_models(config, scored),
    )


def _finished(config: BenchmarkConfig, out: Path) -> Iterator[FinishedCell]:
    methods, measures = list(recipes_of(config)), list(config.measures)
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


def _limits(config: BenchmarkConfig) -> dict[str, int]:
    """Return on how many inputs of a model each measure was measured, for those that have a limit."""
    limited = {name: options for name, options in config.protocols.items() if options.sequences}
    return {
        m: options.sequences
        for name, options in limited.items()
        for m in measures_of(config.domain.protocols, {name: options})
    }


def _rows(
    cells: Sequence[FinishedCell], methods: Sequence[str], measures: Sequence[str], limits: Mapping[str, int]
) -> pd.DataFrame:
    """Return what was measured as one long table; names are categories, which keeps millions of rows small."""
    parts = []
    most = np.array([limits.get(measure, np.inf) for measure in measures])
    for one in cells:
        n = len(one.values)
        part = pd.DataFrame(
            {
                "sequence": np.repeat(np.asarray(one.manifest["sequences"], dtype=object), one.values[0].size),
                "method": pd.Categorical(np.tile(np.repeat(methods, len(measures)), n), list(methods)),
                "measure": pd.Categorical(np.tile(measures, n * len(methods)), list(measures)),
                "value": one.values.ravel(),
            }
        )
        labels = {"group": one.cell.task.group, "task": one.cell.task.name, "architecture": one.cell.architecture.name}
        # what a protocol was not to measure has no row, which is not the same as an undefined value
        asked = np.broadcast_to((np.arange(n)[:, None] < most)[:, None, :], one.values.shape).ravel()
        parts.append(part[asked].assign(seed=one.cell.seed, **labels))
    if not parts:
        return pd.DataFrame(columns=[*RUN_COLUMNS, "group"])
    rows = pd.concat(parts, ignore_index=True)
    # nor what was measured on other methods only
    measured = rows.groupby(["task", "architecture", "seed", "method", "measure"], observed=True)["value"]
    return rows[measured.transform("count") > 0].reset_index(drop=True)


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means of all levels; none where no value is defined."""
    if rows.empty:
        return pd.DataFrame(columns=list(_MEANS))
    return _at_all_levels(lambda by: summarise_runs(rows, by=by, draws=DRAWS))


_LEVELS = (("group",), ("group", "architecture"), ("group", "task"), _PLACE)


def _at_all_levels(make: Callable[[tuple[str, ...]], pd.DataFrame]) -> pd.DataFrame:
    """Make a table for each group of tasks, each of its architectures and tasks, and each pair of them."""
    parts = []
    for by in _LEVELS:
        part = make(by)
        labels = {name: part[name] if name in by else ALL for name in _PLACE}
        rest = [name for name in part.columns if name not in by]
        parts.append(part[rest].assign(**labels)[[*_PLACE, *rest]])
    whole = pd.concat(parts, ignore_index=True)
    return whole.astype({name: object for name in ("method", "measure") if name in whole})


def _families(config: BenchmarkConfig) -> list[tuple[str, list[str]]]:
    """Return what is tested: the default and others against their peers; what maps were cut to against the cut ones."""
    families = [(one.reference.name, [peer.name for peer in one.peers]) for one in config.tested]
    if config.matched is not None:
        to = config.matched.to
        families.append((to.name, [cut_name(variant, to) for variant in config.matched.methods]))
    return [(reference, others) for reference, others in families if others]


def _tests(config: BenchmarkConfig, rows: pd.DataFrame, measures: Mapping[str, Measure]) -> pd.DataFrame:
    """Test each family at all levels; Holm's correction is over the others of one family, measure and place."""
    parts = []
    for reference, others in _families(config):
        here = rows[rows["method"].isin([reference, *others])]
        there = set(here["method"])
        named = [name for name in others if name in there]
        if reference not in there or not named:
            continue  # none of its values is defined, which tables of means say
        test = partial(compare_runs, here, reference, peers=named, draws=DRAWS)
        part = _at_all_levels(partial(_tested, test))
        parts.append(judged(part, measures, (*_PLACE, "measure")))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _tested(test: Callable[..., pd.DataFrame], by: tuple[str, ...]) -> pd.DataFrame:
    return test(by=by, family=(*by, "measure"))


def _costs(cells: Sequence[FinishedCell], methods: Sequence[str]) -> pd.DataFrame:
    """Return the costs of methods: medians over models, with the lowest and highest ratio."""
    rows = [
        {
            "group": one.cell.task.group,
            "task": one.cell.task.name,
            "architecture": one.cell.architecture.name,
            "method": name,
            "ms": cost["milliseconds"],
            "ratio": cost["ratio"],
            "preparing_s": cost["preparing"],
        }
        for one in cells
        for name, cost in one.manifest["costs"].items()
        if name in methods
    ]
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    table["method"] = pd.Categorical(table["method"], list(methods))

    def at(by: tuple[str, ...]) -> pd.DataFrame:
        grouped = table.groupby([*by, "method"], sort=False, observed=True)
        found = grouped[["ms", "ratio", "preparing_s"]].median()
        ratio = grouped["ratio"]
        return found.assign(low=ratio.min(), high=ratio.max(), models=ratio.size()).reset_index()

    return _at_all_levels(at)


def _of_models(config: BenchmarkConfig, cells: Sequence[FinishedCell]) -> dict[str, pd.DataFrame]:
    """Return the means of what was measured of whole models, by protocol; none where no model was."""
    found = {}
    for name in config.model_protocols:
        values = model_values(config, name, ((one.cell, one.manifest) for one in cells))
        if len(values):
            means = partial(_means_by, values)
            found[name] = _at_all_levels(means)
    return found


def _means_by(values: pd.DataFrame, by: tuple[str, ...]) -> pd.DataFrame:
    parts = [
        model_means(part).assign(**{name: str(one) for name, one in zip(by, key, strict=True)})
        for key, part in values.groupby(list(by), sort=False)
    ]
    return pd.concat(parts, ignore_index=True)


def _models(config: BenchmarkConfig, cells: Sequence[FinishedCell]) -> pd.DataFrame:
    rows, facts = [], [fact.key for fact in config.domain.facts]
    for one in cells:
        manifest = one.manifest
        rows.append(
            {
                "group": one.cell.task.group,
                "task": one.cell.task.name,
                "architecture": one.cell.architecture.name,
                "seed": one.cell.seed,
                "status": manifest["status"],
                **{key: manifest["model"].get(key, np.nan) for key in facts},
                "candidates": manifest["candidates"],
                "scored": manifest["scored"],
                "left_out": ", ".join(f"{n} {why}" for why, n in manifest["left_out"].items()),
                "training_s": manifest["model"]["training_seconds"],
                "seconds": manifest["seconds"],
            }
        )
    return pd.DataFrame(rows)


def ranked(summary: Summary, group: str, measure: str) -> RankComparison | None:
    """Rank the default and its peers on each model; None where there is too little to rank."""
    here = summary.rows[(summary.rows["group"] == group) & (summary.rows["measure"] == measure)]
    better, methods = summary.measures[measure].better, summary.compared
    if better == "neither" or len(methods) < 3 or not set(methods) <= set(here["method"]):
        return None
    try:
        return rank_runs(here, measure, methods=methods, better=better)
    except SeqplrpError:  # fewer than two models on which all of them are defined
        return None


def summary_rows(summary: Summary) -> pd.DataFrame:
    """Return the table of ``summary.tsv``: means with what tests and costs say of each method.

    One row a place, method and measure. Test columns say how the method that is tested against this one does (the
    default, the reference of a further comparison, or what this one was cut to): ``tested`` names it, ``difference`` is
    its lead. They are empty for methods that are no peers. Of a method that several are tested against they are of the
    first, the default before others; ``tests.tsv`` has all.
    """
    keys = list(_PLACE)
    table = summary.means
    if not summary.costs.empty:
        costs = summary.costs[[*keys, "method", "ms", "ratio"]]
        costs = costs.rename(columns={"ms": "cost_ms", "ratio": "cost_ratio"})
        table = table.merge(costs, on=[*keys, "method"], how="left")
    if not summary.tests.empty:
        columns = ["reference", "other", "difference", "low", "high", "rank_biserial", "p", "p_holm"]
        columns += ["rank_biserial_models", "p_models", "p_models_holm", "rests_on", "verdict"]
        renamed = {"reference": "tested", "other": "method", "low": "difference_low", "high": "difference_high"}
        tests = summary.tests[[*keys, "measure", *columns]].rename(columns=renamed)
        tests = tests.drop_duplicates([*keys, "method", "measure"])
        table = table.merge(tests, on=[*keys, "method", "measure"], how="left")
    return table


def in_words(table: pd.DataFrame, words: Words) -> pd.DataFrame:
    """Return a table with its columns, and what verdicts rest on, called as the domain calls its inputs."""
    names = {"sequence": words.one, "sequences": words.many, "bases": words.parts}
    renamed = table.rename(columns={old: new for old, new in names.items() if old in table})
    if "rests_on" in renamed:
        told = {BOTH: words.both_tests, SEQUENCES: words.one_test}
        renamed = renamed.assign(rests_on=renamed["rests_on"].map(lambda one: told.get(one, one)))
    return renamed
