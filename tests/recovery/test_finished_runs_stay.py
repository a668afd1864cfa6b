"""Runs take many hours: what decides a cell is hashed as it was, so that finished ones are not refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqplrp.benchmark.cell import cell_recipe, cells_of, model_recipe, recipes_of
from seqplrp.benchmark.store import digest
from seqplrp.recovery.benchmark import read_config

EXAMPLES = Path(__file__).parents[2] / "examples" / "benchmark"
VERSIONS = {"seqplrp": "0.1.0", "torch": "2"}


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("development", "26f6e26c51714ae7", "86d9435144f8b04c"),
        ("full", "cbbfa9d00a2ef4b8", "697a34d881179923"),
    ],
)
def test_recipes_have_the_hashes_that_finished_cells_have(name: str, first: str, last: str) -> None:
    """As commit c923390 made them. Change a number only with a protocol of these files, and then on purpose."""
    config = read_config(EXAMPLES / f"{name}.yaml")
    cells = cells_of(config)
    found = [digest(cell_recipe(config, cell, {"task": cell.task.name}, VERSIONS)) for cell in (cells[0], cells[-1])]
    assert found == [first, last]


@pytest.mark.parametrize(
    ("name", "cells", "methods"),
    [
        ("small", 6, "5c8c52374aa171fa"),
        ("development", 18, "46d6e346e4945cfb"),
        ("full", 45, "8ec06585e814e4cc"),
        ("curves", 9, "43342ad8ed6e3cb4"),
    ],
)
def test_methods_are_written_down_as_in_finished_cells(name: str, cells: int, methods: str) -> None:
    """As before what is not about DNA got a room of its own: a method that is written otherwise is made anew."""
    config = read_config(EXAMPLES / f"{name}.yaml")
    assert len(cells_of(config)) == cells
    assert digest(recipes_of(config)) == methods


def test_the_models_of_the_curves_are_those_of_the_full_run() -> None:
    full, curves = (read_config(EXAMPLES / f"{name}.yaml") for name in ("full", "curves"))

    def models(config) -> dict:
        tasks = {task.name: task.recipe() for task in config.tasks}
        return {
            cell.folder(Path()): digest(model_recipe(config, cell, tasks[cell.task.name], VERSIONS))
            for cell in cells_of(config)
        }

    of_full, of_curves = models(full), models(curves)
    assert len(of_curves) == 9
    assert of_curves.items() <= of_full.items(), "they can be copied, and are taken"
