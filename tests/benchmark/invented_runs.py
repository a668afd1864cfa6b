"""Runs whose values are made up, so that what tables should say of them is known."""

from __future__ import annotations

import numpy as np
from benchmark_runs import written

from seqplrp.benchmark.cell import cells_of, recipes_of
from seqplrp.benchmark.summary import FinishedCell, Summary, summarise_cells
from seqplrp.recovery.benchmark import read_config


def config_of(folder, *tasks: str, seeds: int = 6, **changes):
    """The tiny configuration with two architectures, and a report task 'one' or a development task 'two'."""
    groups = {"one": "report", "two": "development"}
    return read_config(
        written(
            folder,
            seeds=list(range(seeds)),
            architectures={"a": {"architecture": "deepbind"}, "b": {"architecture": "deepbind"}},
            tasks={name: {"group": groups[name], "task": "task.yaml", "n": 500, "test": 40} for name in tasks},
            **changes,
        )
    )


_MADE: dict[str, Summary] = {}


def invented(config, lead: dict[str, float]) -> Summary:
    """A summary of made-up cells: every method at 0.5 with noise, the default ahead by `lead` in each measure."""
    key = repr((config, lead))
    if key not in _MADE:
        _MADE[key] = _invented(config, lead, 20)
    return _MADE[key]


def _invented(config, lead: dict[str, float], n: int) -> Summary:
    rng = np.random.default_rng(0)
    methods, measures = list(recipes_of(config)), list(config.measures)
    cells = []
    for cell in cells_of(config):
        values = 0.5 + 0.05 * rng.standard_normal((n, len(methods), len(measures)))
        for measure, by in lead.items():
            values[:, methods.index(config.default.name), measures.index(measure)] += by
        costs = {name: _cost(3.0 if name == config.default.name else 1.5) for name in ("gxi", "plrp p=0.5", "plrp p=0")}
        cells.append(FinishedCell(cell, _manifest(cell, n, costs), values))
    return summarise_cells(config, cells)


def _cost(ratio: float) -> dict[str, float]:
    return {"milliseconds": ratio / 10, "gradient_milliseconds": 0.1, "ratio": ratio, "preparing": 1.0}


def _manifest(cell, n: int, costs) -> dict:
    model = {"auroc": 0.99, "auprc": 0.98, "accuracy": 0.97, "parameters": 10, "epochs": 5, "training_seconds": 2.0}
    return {
        "status": "scored",
        "model": model,
        "candidates": n + 2,
        "scored": n,
        "left_out": {"explained score not above 0": 2},
        "seconds": 3.0,
        "costs": costs,
        "sequences": [f"s{i}" for i in range(n)],
    }


def changed(summary: Summary, change) -> Summary:
    """The same run with its values changed: `change` is given a cell, and the values (N,) of a method and measure."""
    cells = []
    for one in summary.cells:
        values = one.values.copy()

        def of(method: str, measure: str, values=values) -> np.ndarray:
            return values[:, summary.methods.index(method), list(summary.measures).index(measure)]

        change(one.cell, of)
        cells.append(FinishedCell(one.cell, one.manifest, values))
    return summarise_cells(summary.config, cells)
