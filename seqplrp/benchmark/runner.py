"""All cells, one after the other: what is finished stays, what is missing is made, and how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqplrp.benchmark.cell import (
    MANIFEST_FILE,
    ROWS_FILE,
    Cell,
    Worker,
    cell_recipe,
    cells_of,
    model_recipe,
    recipes_of,
    row_columns,
)
from seqplrp.benchmark.config import BenchmarkConfig
from seqplrp.benchmark.model_tables import MODEL_COLUMNS, as_text, model_values
from seqplrp.benchmark.scenes import Candidates
from seqplrp.benchmark.store import digest, joined_tables
from seqplrp.benchmark.versions import versions
from seqplrp.errors import SeqplrpError
from seqplrp.methods import Explainer
from seqplrp.storage import differences, locked, read_json, write_json, write_whole

RESULTS_FILE = "results.tsv.gz"
MARKER_FILE = "benchmark.json"


@dataclass(frozen=True)
class Event:
    """Something that a run tells.

    Attributes
    ----------
    cell : Cell
    doing : str
        What is being done in the cell; empty where the cell was finished.
    done, total : int
        Cells.
    seconds_left : float or None
        An estimate from the cells that are finished; None before the first is.
    manifest : mapping or None
        The cell's, where it was finished.
    """

    cell: Cell
    doing: str
    done: int
    total: int
    seconds_left: float | None
    manifest: Mapping[str, Any] | None = None


Listener = Callable[[Event], None]


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes
    ----------
    finished, missing : list of Cell
    """

    finished: list[Cell]
    missing: list[Cell]


@dataclass
class _Plan:
    """The cells of a run with what decides each."""

    config: BenchmarkConfig
    out: Path
    versions: dict[str, str] = field(init=False)
    tasks: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.versions = versions(self.config.domain.libraries)

    def task_recipe(self, cell: Cell) -> Any:
        if cell.task.name not in self.tasks:
            self.tasks[cell.task.name] = cell.task.recipe()  # hashes files, so once a task
        return self.tasks[cell.task.name]

    def recipe(self, cell: Cell) -> Any:
        return cell_recipe(self.config, cell, self.task_recipe(cell), self.versions)

    def is_finished(self, cell: Cell, again: bool) -> bool:
        """Say whether a cell needs no work.

        Raises
        ------
        SeqplrpError
            If it was made from something else, unless it may be made again.
        """
        folder = cell.folder(self.out)
        manifest = read_json(folder / MANIFEST_FILE, keys=("methods", "recipe"))
        if manifest is None:
            return False
        recipe, methods = self.recipe(cell), recipes_of(self.config)
        there = manifest["methods"]
        differ = differences(manifest["recipe"], recipe)
        differ += differences({name: there[name] for name in there if name in methods}, methods_in(methods, there))
        if differ and not again:
            shown = "; ".join(differ[:3]) + (f" (and {len(differ) - 3} more)" if len(differ) > 3 else "")
            raise SeqplrpError(
                folder,
                f"was made from another description: {shown}",
                "choose another --out, or add --again to measure anew what differs (models trained alike are kept)",
            )
        return not differ and there == methods and (folder / ROWS_FILE).is_file()


def methods_in(methods: Mapping[str, str], there: Mapping[str, str]) -> dict[str, str]:
    """Return those methods that are there already; a method that is new is no difference."""
    return {name: recipe for name, recipe in methods.items() if name in there}


def run_state(config: BenchmarkConfig, out: Path | str, *, again: bool = False) -> RunState:
    """Say which cells are finished, and which are missing or lack a method.

    Parameters
    ----------
    config : BenchmarkConfig
    out : path
    again : bool
        Count cells that were made from another description among the missing, rather than refuse them.

    Raises
    ------
    SeqplrpError
        If a finished cell was made from another description.
    """
    plan = _Plan(config, Path(out))
    state = RunState([], [])
    for cell in cells_of(config):
        (state.finished if plan.is_finished(cell, again) else state.missing).append(cell)
    return state


def run_cells(
    config: BenchmarkConfig,
    out: Path | str,
    *,
    most: int | None = None,
    again: bool = False,
    listener: Listener | None = None,
) -> RunState:
    """Make the cells that are missing.

    A cell that is finished stays as it is; of one that was stopped, the model and the methods that were finished stay.

    Parameters
    ----------
    config : BenchmarkConfig
        From `read_config`.
    out : path
        The run's directory; made if need be.
    most : int, optional
        Stop after so many cells.
    again : bool
        Make cells anew that were made from another description.
    listener : callable, optional
        Is told of what is done.

    Returns
    -------
    RunState
        As it is at the end.

    Raises
    ------
    SeqplrpError
        If the directory holds something else or is in use, a finished cell was made from another description, or a
        method can't explain an architecture.
    """
    folder = Path(out)
    _claim(folder)
    with locked(folder):
        state = run_state(config, folder, again=again)
        missing = state.missing[:most]
        if missing:
            _try_methods(config, missing)
        plan, tell = _Plan(config, folder), listener or (lambda event: None)
        loaded: tuple[str, Any, Candidates] | None = None
        for cell in missing:
            if loaded is None or loaded[0] != cell.task.name:
                loaded = None  # one task's data at a time
                data = cell.task.load()
                loaded = (cell.task.name, data, config.domain.draw(data, config.sequences, cell.task.seed))
            _run_cell(plan, cell, loaded[1], loaded[2], state, tell)
        _write_results(config, folder)
    return state


def _run_cell(plan: _Plan, cell: Cell, data: Any, candidates: Candidates, state: RunState, tell: Listener) -> None:
    total = len(state.finished) + len(state.missing)
    clock = _Clock(plan.out, state.finished, state.missing)

    def say(doing: str) -> None:
        tell(Event(cell, doing, len(state.finished), total, clock.left()))

    folder = cell.folder(plan.out)
    model = digest(model_recipe(plan.config, cell, plan.task_recipe(cell), plan.versions))
    Worker(plan.config, cell, folder, plan.recipe(cell), model, say).run(data, candidates)
    state.missing.remove(cell)
    state.finished.append(cell)
    manifest = read_json(folder / MANIFEST_FILE)
    left = _Clock(plan.out, state.finished, state.missing).left()
    tell(Event(cell, "", len(state.finished), total, left, manifest))


class _Clock:
    """How long what is missing will take, from what is finished: cells of the same architecture, task or any."""

    def __init__(self, out: Path, finished: Sequence[Cell], missing: Sequence[Cell]) -> None:
        self.started = time.perf_counter()
        known = {cell: float(read_json(cell.folder(out) / MANIFEST_FILE)["seconds"]) for cell in finished}
        self.expected = [self._guess(cell, known) for cell in missing] if known else None

    @staticmethod
    def _guess(cell: Cell, known: Mapping[Cell, float]) -> float:
        def alike(other: Cell) -> int:
            return 2 * (other.architecture.name == cell.architecture.name) + (other.task.name == cell.task.name)

        best = max(map(alike, known))
        near = [seconds for other, seconds in known.items() if alike(other) == best]
        return sum(near) / len(near)

    def left(self) -> float | None:
        if self.expected is None:
            return None
        first = max(0.0, self.expected[0] - (time.perf_counter() - self.started)) if self.expected else 0.0
        return first + sum(self.expected[1:])


def _claim(folder: Path) -> None:
    """Make the directory, or see that it is a benchmark's."""
    if folder.exists() and not folder.is_dir():
        raise SeqplrpError(folder, "exists and is not a directory", "choose another --out")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER_FILE).is_file():
        raise SeqplrpError(folder, "holds files that are no benchmark's", "choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARKER_FILE).is_file():
        write_json(folder / MARKER_FILE, {"format": "seqplrp-benchmark", "format_version": 1})


def _try_methods(config: BenchmarkConfig, missing: Sequence[Cell]) -> None:
    """Explain two inputs by each method on an untrained model of each architecture: what can't be shows at once."""
    for architecture in dict.fromkeys(cell.architecture.name for cell in missing):
        one = next(cell.architecture for cell in missing if cell.architecture.name == architecture)
        model, x = one.trial()
        for variant in config.variants:
            if variant.method is None:
                continue
            try:
                Explainer(model, x[:1], variant.method)(x, target=0)
            except SeqplrpError as error:
                raise SeqplrpError(
                    f"{config.source}, methods, {variant.name!r} on {architecture}, {error.where}",
                    error.what,
                    error.remedy,
                ) from error


def _write_results(config: BenchmarkConfig, folder: Path) -> None:
    """Write the rows of all cells that are finished as one table, in the configuration's order."""
    tables = [cell.folder(folder) / ROWS_FILE for cell in cells_of(config)]
    tables = [table for table in tables if (table.parent / MANIFEST_FILE).is_file()]
    joined_tables(tables, folder / RESULTS_FILE)
    _write_parquet(folder / RESULTS_FILE, tables, row_columns(config))
    _write_model_values(config, folder)


def _write_model_values(config: BenchmarkConfig, folder: Path) -> None:
    """Write what was measured of whole models, tables of each protocol; none of an earlier state is left."""
    manifests = [(cell, read_json(cell.folder(folder) / MANIFEST_FILE)) for cell in cells_of(config)]
    finished = [(cell, manifest) for cell, manifest in manifests if manifest is not None]
    for name, protocol in config.domain.model_protocols.items():
        if name in config.model_protocols:
            write_whole(folder / f"{name}.tsv", as_text(model_values(config, name, finished)[list(MODEL_COLUMNS)]))
            protocol.write(config, name, finished, folder)
        else:
            (folder / f"{name}.tsv").unlink(missing_ok=True)
            protocol.write(config, name, None, folder)


def _write_parquet(beside: Path, tables: Sequence[Path], columns: Sequence[str]) -> None:
    """Write the same rows as parquet where pyarrow is installed; a file of an earlier state is never left."""
    import pandas as pd

    goal = beside.with_name("results.parquet")
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        goal.unlink(missing_ok=True)
        return
    text = pa.dictionary(pa.int32(), pa.string())
    inputs = columns[3]
    kinds = {"seed": pa.int64(), "value": pa.float64(), inputs: pa.string()}
    schema = pa.schema([(name, kinds.get(name, text)) for name in columns])
    partial = goal.with_name(goal.name + ".partial")
    with pq.ParquetWriter(partial, schema) as writer:
        for table in tables:
            frame = pd.read_csv(table, sep="\t", dtype={inputs: str}, keep_default_na=False, na_values=[""])
            writer.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False))
    partial.replace(goal)
