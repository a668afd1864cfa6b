"""One cell of a benchmark: a model trained on a task by one seed, and all methods on it."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seqplrp.benchmark.config import CUT, BenchmarkConfig
from seqplrp.benchmark.costs import Cost, measure_cost
from seqplrp.benchmark.curves import Curve, curves_as_plain, curves_from_plain
from seqplrp.benchmark.model_protocols import ModelFinding, measured_whole, model_protocol_recipe
from seqplrp.benchmark.networks import Architecture, Network
from seqplrp.benchmark.protocols import Explain, Subject, measured
from seqplrp.benchmark.scenes import SCORED, Candidates, FloatArray, Scene, flat
from seqplrp.benchmark.store import digest, file_name, gzipped
from seqplrp.benchmark.tasks import BenchmarkTask
from seqplrp.benchmark.variants import Variant, shared_passes
from seqplrp.evaluate import gini, match_gini
from seqplrp.methods import Explainer, Method, Sweep
from seqplrp.storage import npz_arrays, parse_json, read_json, write_json, write_whole

Say = Callable[[str], None]

ROWS_FILE = "rows.tsv.gz"
MANIFEST_FILE = "cell.json"
PATTERNS_FILE = "patterns.json"
NOT_LEARNED = "did not learn"
"""The status of a cell whose model did not; `SCORED` and `Words.nothing_scored` are the others."""


@dataclass(frozen=True, eq=False)
class Cell:
    """A task, an architecture and a training seed."""

    task: BenchmarkTask
    architecture: Architecture
    seed: int

    @property
    def name(self) -> str:
        """For messages."""
        return f"{self.task.name}, {self.architecture.name}, seed {self.seed}"

    def folder(self, out: Path) -> Path:
        """Where its files are."""
        return out / "cells" / self.task.name / self.architecture.name / f"seed{self.seed}"


def cells_of(config: BenchmarkConfig) -> list[Cell]:
    """Return all cells, task by task, so that a task's data are made once; of given weights there is one a task."""
    return [
        Cell(task, architecture, seed)
        for task in config.tasks
        for architecture in config.architectures
        for seed in (config.seeds if architecture.is_trained else config.seeds[:1])
    ]


def row_columns(config: BenchmarkConfig) -> tuple[str, ...]:
    """Return the columns of the table of all values."""
    return ("task", "architecture", "seed", config.domain.words.one, "method", "measure", "value")


def model_recipe(config: BenchmarkConfig, cell: Cell, task: Mapping[str, Any], versions: Mapping[str, str]) -> Any:
    """Return all that decides a trained model."""
    trained_by = config.domain.trained_by
    return {
        "task": task,
        **cell.architecture.recipe(config.training, cell.seed),
        "versions": {name: number for name, number in versions.items() if name in trained_by},
    }


def cell_recipe(config: BenchmarkConfig, cell: Cell, task: Mapping[str, Any], versions: Mapping[str, str]) -> Any:
    """Return all that decides what is measured of a cell, but for its methods, as plain values."""
    recipe = {
        **model_recipe(config, cell, task, versions),
        "versions": dict(versions),
        "learned": config.least(cell.task),
        "sequences": config.sequences,
        "protocols": {name: dataclasses.asdict(options) for name, options in config.protocols.items()},
        "cost": None if config.cost is None else dataclasses.asdict(config.cost),
        config.domain.examples.name: config.pictures.sequences,
    }
    if config.model_protocols:  # no key otherwise, so that runs of before there were any go on
        recipe["model_protocols"] = model_protocol_recipe(config.domain.model_protocols, config.model_protocols)
    return _plain(recipe)


def recipes_of(config: BenchmarkConfig) -> dict[str, str]:
    """Return what decides each method's map, with those that are cut to another one's sparsity, by name."""
    found = {variant.name: variant.recipe for variant in config.variants}
    matched = config.matched
    if matched is not None:
        for variant in matched.methods:
            found[cut_name(variant, matched.to)] = f"{variant.recipe} at the Gini of {matched.to.recipe}"
    return found


def cut_name(variant: Variant, to: Variant) -> str:
    """Return what a method is called that is cut to another one's sparsity."""
    return f"{variant.name}{CUT}{to.name}"


@dataclass(frozen=True)
class Part:
    """What came of one method in a cell.

    Attributes
    ----------
    name, recipe : str
    values : mapping of str to ndarray, shape (N,)
        By measure.
    of_model : mapping of str to mapping of str to float
        What was measured of the model as a whole, by protocol and measure.
    patterns : mapping of str to list of mapping
        What protocols of the whole model found, such as motifs, as plain values.
    examples : ndarray, shape (K, *P)
        The maps of the first inputs.
    gini : ndarray, shape (N,)
        Of each map, for methods that are to be as sparse.
    cost : Cost or None
    seconds : float
        That its maps and measures took.
    curves : mapping of str to tuple of Curve
        By protocol.
    source : str or None
        Digest of the source that made it; None for parts of before it was recorded.
    settled : str or None
        What the method resolved to then: its rules with their parameters, and the shares that were pruned.
    """

    name: str
    recipe: str
    values: Mapping[str, FloatArray]
    of_model: Mapping[str, Mapping[str, float]]
    patterns: Mapping[str, list[dict[str, Any]]]
    examples: FloatArray
    gini: FloatArray
    cost: Cost | None
    seconds: float
    curves: Mapping[str, tuple[Curve, ...]] = dataclasses.field(default_factory=dict)
    source: str | None = None
    settled: str | None = None


def part_path(folder: Path, name: str) -> Path:
    """Return where a method's part is."""
    return folder / "methods" / f"{file_name(name)}.npz"


def write_part(folder: Path, part: Part, recipe: str) -> None:
    """Write a method's part."""
    meta = {
        "name": part.name,
        "recipe": part.recipe,
        "cell": recipe,
        "seconds": part.seconds,
        "cost": None if part.cost is None else dataclasses.asdict(part.cost),
        "measures": list(part.values),
        "of_model": part.of_model,
        "patterns": part.patterns,
        "curves": _plain_curves(part),
        "source": part.source,
        "settled": part.settled,
    }
    buffer = io.BytesIO()
    # one array a measure would cost more in headers than in numbers
    table = np.stack(list(part.values.values())) if part.values else np.zeros((0, 0))
    text = np.array(json.dumps(meta))
    np.savez_compressed(buffer, meta=text, values=table, examples=part.examples, gini=part.gini)
    write_whole(part_path(folder, part.name), buffer.getvalue())


def read_part(folder: Path, name: str) -> tuple[Part, str] | None:
    """Read a method's part, and the hash of the cell that it was made in; None where there is none or it is damaged."""
    try:
        return _part_of(dict(npz_arrays(part_path(folder, name))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None


def _part_of(arrays: Mapping[str, FloatArray]) -> tuple[Part, str]:
    values, examples, sparse = arrays["values"], arrays["examples"], arrays["gini"]
    meta = parse_json(str(arrays["meta"]))
    cost = None if meta["cost"] is None else Cost(**meta["cost"])
    by_measure = dict(zip(meta["measures"], values, strict=True))
    of_model = meta.get("of_model", {})  # parts of before there were protocols of whole models have none
    patterns = {protocol: list(found) for protocol, found in meta.get("patterns", {}).items()}
    curves = {protocol: curves_from_plain(found) for protocol, found in meta.get("curves", {}).items()}
    head = (meta["name"], meta["recipe"], by_measure, of_model, patterns, examples, sparse, cost, meta["seconds"])
    return Part(*head, curves, meta.get("source"), meta.get("settled")), meta["cell"]


@dataclass(frozen=True)
class Trained:
    """How a cell's model was trained: the seconds that it took, and the digest of the source, None if not recorded."""

    seconds: float
    source: str | None


@dataclass(frozen=True)
class Worker:
    """A cell at work.

    Attributes
    ----------
    config : BenchmarkConfig
    cell : Cell
    folder : Path
    recipe : mapping
        From `cell_recipe`.
    model_hash : str
        Of `model_recipe`.
    say : callable
        Is told what is being done.
    """

    config: BenchmarkConfig
    cell: Cell
    folder: Path
    recipe: Mapping[str, Any]
    model_hash: str
    say: Say

    def run(self, data: Any, candidates: Candidates) -> None:
        """Do what is missing: train, explain, measure; at last write the rows and the manifest."""
        network, trained = self._network(data)
        domain = self.config.domain
        quality = network.facts.get(domain.learned)
        if quality is not None and quality < self.config.least(self.cell.task):
            self._finish(NOT_LEARNED, network, None, [], trained)
            return
        scene = domain.scene(network, data, candidates, self.cell.task.seed)
        if len(scene) == 0:
            self._finish(domain.words.nothing_scored, network, scene, [], trained)
            return
        self._finish(SCORED, network, scene, self._parts(scene), trained)

    @property
    def _hash(self) -> str:
        return digest(self.recipe)

    def _network(self, data: Any) -> tuple[Network, Trained]:
        """Load the model, or make it."""
        goal = self.folder / "model"
        known = read_json(goal / "recipe.json", keys=("hash", "seconds"))
        if known is None or known["hash"] != self.model_hash:
            self.say(self.cell.architecture.making)
            started = time.perf_counter()
            partial = self.folder / "model.partial"
            shutil.rmtree(partial, ignore_errors=True)
            self.cell.architecture.make(data, self.config.training, self.cell.seed, partial)
            known = {
                "hash": self.model_hash,
                "seconds": time.perf_counter() - started,
                "source": self.config.domain.source.digest(),
            }
            partial.mkdir(parents=True, exist_ok=True)  # of given weights there may be nothing to keep
            write_json(partial / "recipe.json", known)
            shutil.rmtree(goal, ignore_errors=True)
            partial.rename(goal)
        network = self.cell.architecture.load(goal)  # also when it was made just now: the same bytes go on either way
        return network, Trained(float(known["seconds"]), known.get("source"))

    def _parts(self, scene: Scene) -> list[Part]:
        """Make every method's part that is not there."""
        matched = self.config.matched
        variants = list(self.config.variants)
        if matched is not None:  # the others need its sparsity
            variants.sort(key=lambda variant: variant != matched.to)
        for group in shared_passes(variants):
            missing = [variant for variant in group if self._lacks(variant)]
            if missing:
                self.say(", ".join(variant.name for variant in missing[:3]) + (" ..." if len(missing) > 3 else ""))
                self._explain(scene, missing)
        found = [read_part(self.folder, name) for name in recipes_of(self.config)]
        return [one[0] for one in found if one is not None]

    def _names(self, variant: Variant) -> Iterator[str]:
        """Yield what a method's maps give parts of: itself, and itself cut."""
        yield variant.name
        matched = self.config.matched
        if matched is not None and variant in matched.methods:
            yield cut_name(variant, matched.to)

    def _lacks(self, variant: Variant) -> bool:
        recipes = recipes_of(self.config)
        for name in self._names(variant):
            found = read_part(self.folder, name)
            if found is None or found[0].recipe != recipes[name] or found[1] != self._hash:
                return True
        return False

    def _explain(self, scene: Scene, variants: Sequence[Variant]) -> None:
        """Explain a scene by methods of one forward pass, measure the maps, write the parts."""
        started = time.perf_counter()
        maps = maps_of(scene, variants, hypothetical=self.config.domain.keeps_hypothetical)
        shared = (time.perf_counter() - started) / len(variants)
        for variant, one in zip(variants, maps, strict=True):
            self._measure(scene, variant, one, shared)

    def _measure(self, scene: Scene, variant: Variant, maps: Maps, shared: float) -> None:
        matched, started, relevance = self.config.matched, time.perf_counter(), maps.relevance
        names = (variant.name, variant.family)
        method = None if variant.method is None else scene.suited(variant.method)
        explain = None if method is None else _explaining(method, scene.model)
        subject = Subject(scene, relevance, explain, maps.hypothetical)
        domain, chosen = self.config.domain, self.config.protocols
        values, curves = measured(subject, domain.protocols, chosen, names)
        found = measured_whole(subject, domain.model_protocols, self.config.model_protocols, names)
        cost = None if method is None or self.config.cost is None else measure_cost(scene, method, self.config.cost)
        seconds = shared + time.perf_counter() - started
        self._write(variant, variant.name, values, found, relevance, cost, seconds, curves)
        if matched is not None and variant in matched.methods:
            reference = read_part(self.folder, matched.to.name)
            assert reference is not None  # it is the first to be made
            cut = match_gini(flat(relevance), reference[0].gini, ignore=flat(scene.unknown)).relevance
            # a map without a goal: all measures of a map of zeros are undefined
            cut = np.nan_to_num(cut).reshape(relevance.shape)
            name = cut_name(variant, matched.to)
            subject = Subject(scene, cut, None)
            values, curves = measured(subject, domain.protocols, chosen, names, map_alone=True)
            found = measured_whole(subject, domain.model_protocols, self.config.model_protocols, names)
            self._write(variant, name, values, found, cut, None, 0.0, curves)

    def _write(
        self,
        variant: Variant,
        name: str,
        values: Mapping[str, FloatArray],
        found: Mapping[str, ModelFinding],
        relevance: FloatArray,
        cost: Cost | None,
        seconds: float,
        curves: Mapping[str, tuple[Curve, ...]],
    ) -> None:
        examples, sparse = relevance[: self.config.pictures.sequences], gini(flat(relevance))
        of_model = {protocol: one.values for protocol, one in found.items()}
        patterns = {protocol: [dataclasses.asdict(one) for one in of.patterns] for protocol, of in found.items()}
        recipe = recipes_of(self.config)[name]
        made = (values, of_model, patterns, examples, sparse, cost, seconds, curves)
        part = Part(name, recipe, *made, source=self.config.domain.source.digest(), settled=variant.settled)
        write_part(self.folder, part, self._hash)

    def _finish(
        self,
        status: str,
        network: Network,
        scene: Scene | None,
        parts: Sequence[Part],
        trained: Trained,
    ) -> None:
        """Write the rows, then the manifest that says that they are whole."""
        write_whole(self.folder / ROWS_FILE, gzipped(self._rows(scene, parts)))
        if self.config.model_protocols:
            write_json(self.folder / PATTERNS_FILE, _patterns(parts))
        domain, most = self.config.domain, self.config.pictures.sequences
        write_json(
            self.folder / MANIFEST_FILE,
            {
                "cell": self.cell.name,
                "group": self.cell.task.group,
                "hash": self._hash,
                "recipe": self.recipe,
                "methods": recipes_of(self.config),
                "settled": {part.name: part.settled for part in parts},
                "source": {"digest": domain.source.digest(), "rooms": domain.source.state()},
                "sources": {"model": trained.source, "methods": {part.name: part.source for part in parts}},
                "status": status,
                "model": {
                    **network.facts,
                    "training_seconds": trained.seconds,
                    "threads": torch.get_num_threads(),
                },
                "candidates": 0 if scene is None else len(scene) + sum(scene.left_out.values()),
                "scored": 0 if scene is None else len(scene),
                "left_out": {} if scene is None else scene.left_out,
                "sequences": [] if scene is None else scene.candidates.ids,
                "measures": list(self.config.measures),
                "seconds": trained.seconds + sum(part.seconds for part in parts),
                "costs": {part.name: dataclasses.asdict(part.cost) for part in parts if part.cost is not None},
                "of_model": {part.name: _finite(part.of_model) for part in parts if part.of_model},
                "curves": {part.name: _plain_curves(part) for part in parts if part.curves},
                "examples": [] if scene is None else domain.examples.keep(scene, most, self.folder),
            },
        )

    def _rows(self, scene: Scene | None, parts: Sequence[Part]) -> str:
        """Return the rows as text: one an input, method and measure."""
        lines = ["\t".join(row_columns(self.config))]
        head = f"{self.cell.task.name}\t{self.cell.architecture.name}\t{self.cell.seed}"
        for part in parts:
            assert scene is not None
            for measure, values in part.values.items():
                tail = f"{part.name}\t{measure}"
                numbers = ("" if np.isnan(value) else f"{value:.8g}" for value in values)
                lines += [f"{head}\t{id}\t{tail}\t{n}" for id, n in zip(scene.candidates.ids, numbers, strict=True)]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Maps:
    """A method's maps: relevance at each position (N, *P), and of all channels (N, C, *P) where it was asked for."""

    relevance: FloatArray
    hypothetical: npt.NDArray[np.float32] | None = None


def maps_of(scene: Scene, variants: Sequence[Variant], *, hypothetical: bool = False) -> list[Maps]:
    """Explain a scene by methods that share a forward pass.

    Parameters
    ----------
    scene : Scene
    variants : sequence of Variant
        From `shared_passes`.
    hypothetical : bool
        Whether to keep hypothetical contributions, too, of methods that have them.
    """
    first = variants[0].method
    if first is None:
        return [Maps(scene.candidates.truth.astype(np.float64))]
    if len(variants) > 1:
        methods: list[Any] = [scene.suited(variant.method) for variant in variants if variant.method is not None]
        found = Sweep(scene.model, scene.x[:1], methods)(scene.x, target=scene.targets)
    else:
        found = [Explainer(scene.model, scene.x[:1], scene.suited(first))(scene.x, target=scene.targets)]
    return [
        Maps(
            one.per_base.to(torch.float64).numpy(),
            one.hypothetical.to(torch.float32).numpy() if hypothetical and one.has_hypothetical else None,
        )
        for one in found
    ]


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _explaining(method: Method, own: nn.Module) -> Explain:
    """Explain the scene's own model, or one like it but for its weights, tracing either once: it is what takes long."""
    stand_in = copy.deepcopy(own)

    def explain(model: nn.Module, x: Tensor, targets: Tensor) -> FloatArray:
        if model is not own:
            with torch.no_grad():
                # not by the state dict, which leaves out buffers that are not saved
                for mine, theirs in zip(_tensors(stand_in), _tensors(model), strict=True):
                    mine.copy_(theirs)
            model = stand_in
        return Explainer(model, x[:1], method)(x, target=targets).per_base.to(torch.float64).numpy()

    return explain


def _patterns(parts: Sequence[Part]) -> dict[str, dict[str, Any]]:
    """Return what was found of whole models beside values, by method and protocol."""
    return {part.name: dict(part.patterns) for part in parts if part.patterns}


def _plain_curves(part: Part) -> dict[str, list[dict[str, Any]]]:
    """Return a part's curves by protocol, as JSON can hold them."""
    return {protocol: curves_as_plain(found) for protocol, found in part.curves.items()}


def _finite(of_model: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Return values as JSON can hold them: None where one is undefined."""
    return {
        protocol: {measure: value if np.isfinite(value) else None for measure, value in values.items()}
        for protocol, values in of_model.items()
    }


def _plain(content: Any) -> Any:
    """Return plain values as JSON reads them back."""
    return json.loads(json.dumps(content))
