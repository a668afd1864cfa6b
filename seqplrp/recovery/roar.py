"""ROAR: take away what an explanation calls important, retrain, and see what the network can still learn.

Source: Hooker, Erhan, Kindermans and Kim, "A Benchmark for Interpretability Methods in Deep Neural Networks", NeurIPS
2019; for DNA as METHODS.md, section 6, has it: the top K % of each sequence's bases become random background bases in
all splits.

What is replaced can itself tell the class (a mask that hugs a motif shows where it was), and a network may learn from
that; so every order is also run with the mask alone as input: what it reaches there is leakage, not information that
the bases left behind. Random order and, where it is known, the true order are the floor and the ceiling.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import tempfile
import textwrap
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import codes_to_one_hot
from seqplrp.methods import Explainer, Method, resolve_method, settled
from seqplrp.models import (
    SequenceData,
    SequenceModel,
    TrainedModel,
    TrainOptions,
    build_model,
    check_architecture,
    train_model,
)
from seqplrp.recovery.source import source_digest, source_rooms

Floats = npt.NDArray[np.floating[Any]]
Masks = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]
Input = Literal["sequence", "mask"]
ImportanceFunction = Callable[[SequenceModel, Codes], npt.ArrayLike]
"""From a model, trained on the data as they are, and all its sequences (N, L) to importance (N, L), higher for more."""

PERCENTS = (1.0, 2.0, 5.0, 10.0, 30.0, 50.0)
UNCHANGED, RANDOM, TRUTH = "unchanged", "random", "truth"
CONTROLS = (UNCHANGED, RANDOM, TRUTH)

_STUDY_FILE = "study.json"
_UNSAID = "function"  # what studies of before functions were described say of one
_UNRECORDED = "unrecorded"
_UNKNOWN = 4


@dataclass(frozen=True, kw_only=True)
class RoarOptions:
    """What is retrained, and how often.

    Parameters
    ----------
    percents : tuple of float
        Shares of each sequence's known bases to replace, in percent.
    seeds : tuple of int
        One training each: of weights, batches and replacing bases.
    architecture : str
        A name of the zoo.
    options : mapping
        Fields of its configuration.
    training : TrainOptions
        How to train; its seed is replaced by each of `seeds`.
    mask_only : bool
        Whether to train on the masks alone, too, which doubles the work.
    """

    percents: tuple[float, ...] = PERCENTS
    seeds: tuple[int, ...] = (0, 1, 2)
    architecture: str = "basset-small"
    options: Mapping[str, Any] = field(default_factory=dict)
    training: TrainOptions = field(default_factory=TrainOptions)
    mask_only: bool = True

    def validate(self) -> None:
        """Raise a SeqplrpError for what can't be."""
        self.training.validate()
        check_architecture(self.architecture, self.options)
        percents = list(self.percents)
        if not percents or any(not 0 < p < 100 for p in percents) or percents != sorted(set(percents)):
            raise SeqplrpError("percents", f"is {self.percents}", "give shares above 0 and below 100, rising")
        if not self.seeds or any(s < 0 for s in self.seeds) or len(set(self.seeds)) != len(self.seeds):
            raise SeqplrpError("seeds", f"is {self.seeds}", "give different numbers from 0 on")


@dataclass(frozen=True)
class _Cell:
    """One training."""

    method: str
    input: Input
    percent: float
    seed: int

    @property
    def file(self) -> str:
        """Name of its part file: any method's name, shortened to what every file system takes."""
        word = "".join(c if c.isalnum() else "_" for c in self.method)[:60]
        return f"{word}-{zlib.crc32(self.method.encode()):08x}-{self.input}-{self.percent:g}-{self.seed}.json"


def run_roar(
    data: SequenceData,
    importance: Mapping[str, npt.ArrayLike | ImportanceFunction],
    *,
    truth: npt.ArrayLike | None = None,
    options: RoarOptions | None = None,
    out: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Remove and retrain, by every method's order and by the controls'.

    Parameters
    ----------
    data : SequenceData
        The task; its split is kept.
    importance : mapping of str to array (N, L) or callable
        By method: how important each base is, the highest first; or a function that says so of a model, which is
        trained on the data as they are, once a seed (`evidence_for_prediction` makes one of any method). Equal values,
        such as the zeros of pruned maps, are put in random order.
    truth : array-like of bool, shape (N, L), optional
        Motif positions, for the control ``truth``: these first, in random order, then the others.
    options : RoarOptions, optional
        What is trained.
    out : path, optional
        Where parts are kept: a run that was stopped goes on where it was, and parts of another method of the same name
        are refused. A function is told from others by its attribute ``description``, as those of
        `evidence_for_prediction` have one, or else by its source text; what a function without one gets from outside of
        it is not seen, so give another name, or another directory, to what differs in that alone. The state of the
        package's source is kept with each part: parts of another state are taken, with a warning that counts them.
    progress : callable, optional
        Called with (trainings done, all).

    Returns
    -------
    DataFrame
        One row a training: ``method`` (controls are called ``unchanged``, ``random`` and ``truth``), ``input``
        (``sequence``, or ``mask`` where the pattern of replaced positions alone was shown), ``percent``, ``seed``; on
        the test set ``auroc``, ``auprc`` and ``accuracy`` (means over classes); ``replaced``, bases of a sequence on
        average; ``n_train``, ``n_test``, ``best_epoch``, ``epochs_run``, ``seconds``.

    Raises
    ------
    SeqplrpError
        For options that can't be, importance or truth of another shape or not finite, names of controls, or parts of
        another study under `out`.
    """
    chosen = options or RoarOptions()
    chosen.validate()
    with torch.random.fork_rng(devices=[]):  # what could only fail in the first training fails here
        build_model(chosen.architecture, length=data.length, n_outputs=len(data.classes), **chosen.options)
    study = _Study(data, _checked(importance, data), _checked_truth(truth, data), chosen, _opened(out))
    study.check_same()
    cells = list(study.cells())
    rows = []
    for done, cell in enumerate(cells, start=1):
        rows.append(study.row(cell))
        if progress is not None:
            progress(done, len(cells))
    study.warn_of_others(len(cells))
    return pd.DataFrame(rows)


class _Study:
    """The trainings of one run, with what is kept of them."""

    def __init__(
        self,
        data: SequenceData,
        importance: Mapping[str, Floats | ImportanceFunction],
        truth: Masks | None,
        options: RoarOptions,
        folder: Path | None,
    ) -> None:
        self.data, self.importance, self.truth, self.options, self.folder = data, importance, truth, options, folder
        known = data.codes[data.rows("train")]
        counts = np.bincount(known[known < _UNKNOWN], minlength=4)
        self.composition = counts / counts.sum()
        self._base: tuple[int, TrainedModel] | None = None
        self._order: tuple[tuple[str, int], npt.NDArray[np.intp]] | None = None
        self._others: Counter[str] = Counter()

    def cells(self) -> Iterator[_Cell]:
        """List the trainings, seed by seed and method by method, so that a model and an order are made once."""
        methods = [RANDOM, *([TRUTH] if self.truth is not None else []), *self.importance]
        for seed in self.options.seeds:
            yield _Cell(UNCHANGED, "sequence", 0.0, seed)
            for method in methods:
                for percent in self.options.percents:
                    yield _Cell(method, "sequence", percent, seed)
                    # a random mask knows nothing of the class
                    if self.options.mask_only and method != RANDOM:
                        yield _Cell(method, "mask", percent, seed)

    def check_same(self) -> None:
        """Write down what is studied, or raise where the parts there are of something else."""
        if self.folder is None:
            return
        described = self._described()
        path = self.folder / _STUDY_FILE
        if not path.exists():
            _write_atomically(path, json.dumps(described, indent=1).encode())
            return
        before = _read_json(path, "remove the directory, or choose another")
        shared = {name: known for name, known in before.get("maps", {}).items() if name in described["maps"]}
        for what in ("data", "architecture", "options", "training", "truth"):
            if before.get(what) != described[what]:
                raise SeqplrpError(self.folder, f"holds parts of a study with other {what}", "choose another directory")
        for name, known in shared.items():
            if known == _UNSAID and callable(self.importance[name]):
                warnings.warn(
                    f"{self.folder}: what made the maps of {name!r} was not recorded; they are taken for this method's",
                    stacklevel=3,
                )
            elif known != described["maps"][name]:
                raise SeqplrpError(
                    self.folder,
                    f"holds parts of other maps called {name!r}{_differing(known, described['maps'][name])}",
                    "rename them, or choose another directory",
                )
        # what was not recorded stays so
        described["maps"] = {**described["maps"], **before.get("maps", {})}
        described["sources"] = list(dict.fromkeys([*before.get("sources", [_UNRECORDED]), source_digest()]))
        _write_atomically(path, json.dumps(described, indent=1).encode())

    def _described(self) -> dict[str, Any]:
        data, options = self.data, self.options
        training = {k: v for k, v in asdict(options.training).items() if k not in ("seed", "device")}
        return {
            "data": _digest(data.codes, data.labels, np.array(data.split, dtype="U10")),
            "architecture": options.architecture,
            "options": json.loads(json.dumps(dict(options.options))),
            "training": training,
            "truth": None if self.truth is None else _digest(self.truth),
            "maps": {
                name: _function_described(one) if callable(one) else _digest(np.asarray(one))
                for name, one in self.importance.items()
            },
            "source": source_rooms(),
            "sources": [source_digest()],
        }

    def warn_of_others(self, total: int) -> None:
        """Warn where parts or maps that were there were made by another state of the package's source."""
        if self._others:
            told = ", ".join(f"{n} by {source}" for source, n in self._others.most_common())
            warnings.warn(
                f"{self.folder}: of {total} trainings and the maps that they need, some were there, made by another "
                f"state of the package's source than the present one ({source_digest()}): {told}",
                stacklevel=3,
            )

    def _came_from(self, source: str | None) -> None:
        if source != source_digest():
            self._others[source or _UNRECORDED] += 1

    def row(self, cell: _Cell) -> dict[str, Any]:
        """Return one training's row, from its part file if it is there."""
        path = None if self.folder is None else self.folder / "parts" / cell.file
        if path is not None and path.exists():
            row = _read_json(path, "remove this file and run again")
            self._came_from(row.pop("source", None))
            return row
        row = self._trained(cell)
        if path is not None:
            _write_atomically(path, json.dumps({**row, "source": source_digest()}).encode())
        return row

    def _trained(self, cell: _Cell) -> dict[str, Any]:
        if cell.method == UNCHANGED:
            result, replaced = self._base_model(cell.seed), 0.0
        else:
            mask = top_mask(self._ordered(cell.method, cell.seed), self.data.codes, cell.percent)
            rng = np.random.default_rng([cell.seed, zlib.crc32(cell.method.encode()), round(1000 * cell.percent)])
            codes = (
                mask_alone(mask) if cell.input == "mask" else replaced_at(self.data.codes, mask, self.composition, rng)
            )
            result, replaced = self._train(codes, cell.seed), float(mask.sum(axis=1).mean())
        test = result.config.metrics["test"]
        return {
            **asdict(cell),
            **{key: float(test["macro"][key]) for key in ("auroc", "auprc", "accuracy")},
            "replaced": replaced,
            "n_train": len(self.data.rows("train")),
            "n_test": int(test["n"]),
            **{key: result.config.training[key] for key in ("best_epoch", "epochs_run", "seconds")},
        }

    def _train(self, codes: Codes, seed: int) -> TrainedModel:
        return train_model(
            replace(self.data, codes=codes),
            self.options.architecture,
            options=self.options.options,
            training=replace(self.options.training, seed=seed),
        )

    def _base_model(self, seed: int) -> TrainedModel:
        if self._base is None or self._base[0] != seed:
            self._base = (seed, self._train(self.data.codes, seed))
        return self._base[1]

    def _ordered(self, method: str, seed: int) -> npt.NDArray[np.intp]:
        """Positions of each sequence, the most important first: (N, L)."""
        if self._order is None or self._order[0] != (method, seed):
            rng = np.random.default_rng([seed, zlib.crc32(method.encode())])
            self._order = ((method, seed), order_of(self._importance(method, seed), rng))
        return self._order[1]

    def _importance(self, method: str, seed: int) -> Floats:
        if method == RANDOM:
            return np.zeros(self.data.codes.shape)
        if method == TRUTH:
            assert self.truth is not None
            return self.truth.astype(np.float64)
        given = self.importance[method]
        if not callable(given):
            return given
        kept = (
            None
            if self.folder is None
            else self.folder / "maps" / f"{_Cell(method, 'sequence', 0, seed).file[:-5]}.npy"
        )
        if kept is not None and kept.exists():
            beside = kept.with_suffix(".json")
            known = _read_json(beside, "remove it") if beside.exists() else {}
            self._came_from(known.get("source"))
            return np.asarray(np.load(kept, allow_pickle=False))
        found = _checked_map(given(self._base_model(seed).model, self.data.codes), method, self.data)
        if kept is not None:
            _write_atomically(kept.with_suffix(".json"), json.dumps({"source": source_digest()}).encode())
            _save_atomically(kept, found.astype(np.float32))
        return found.astype(np.float32)


@dataclass(frozen=True)
class EvidenceForPrediction:
    """An importance function of an attribution method; `evidence_for_prediction` makes it.

    Parameters
    ----------
    method : Method
    batch_size : int, optional
        Sequences at a time.
    """

    method: Method
    batch_size: int | None = None

    @property
    def description(self) -> str:
        """What it resolves to: the method with what it falls back on written out, such as rules and a budget."""
        return f"evidence for the prediction by {settled(self.method)!r}"

    def __call__(self, model: SequenceModel, codes: Codes) -> Floats:
        """Return the relevance of each base for what the model predicts, (N, L)."""
        outputs = model.n_outputs
        if outputs > 1 and model.config is not None and model.config.kind == "multilabel":
            raise SeqplrpError(
                "evidence_for_prediction", "a multi-label model predicts no one class", "write a function of your own"
            )
        explainer = Explainer(model, codes_to_one_hot(codes[:1]), self.method)
        target: Literal["predicted"] | None = "predicted" if outputs > 1 else None
        found = []
        for part in np.array_split(codes, max(1, len(codes) // 2000)):
            explanation = explainer(codes_to_one_hot(part), target, batch_size=self.batch_size)
            sign = np.where(explanation.output.numpy() < 0, -1.0, 1.0) if outputs == 1 else np.ones(len(part))
            found.append(explanation.per_base.numpy() * sign[:, None])
        return np.concatenate(found)


def evidence_for_prediction(method: str | Method, *, batch_size: int | None = None) -> EvidenceForPrediction:
    """Make an importance function of an attribution method: its relevance for what the model predicts.

    Labels are never used: a map for the true class would tell it through the mask. Of a model with one output, maps of
    sequences with a negative score are turned in sign, so that the evidence for the negative class comes first.

    Parameters
    ----------
    method : str or Method
        As `seqplrp.explain` takes it.
    batch_size : int, optional
        Sequences at a time.
    """
    return EvidenceForPrediction(resolve_method(method), batch_size)


def _function_described(function: ImportanceFunction) -> str:
    """Say what a function is: what it says itself, or else its name and a hash of its source text."""
    said = getattr(function, "description", None)
    if isinstance(said, str):
        return said
    name = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # built in, or of an object or a session that keeps no source
        return f"function {name}"
    return f"function {name}, source {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _differing(before: str, now: str) -> str:
    """Say what two descriptions are, where they are words and not hashes of maps."""
    return f": {before} before, {now} now" if " " in before and " " in now else ""


def order_of(importance: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Order each row's positions from the highest value down, equal values at random: (N, L)."""
    values = np.asarray(importance)
    return np.asarray(np.lexsort((rng.random(values.shape), -values), axis=-1))


def top_mask(order: npt.NDArray[np.intp], codes: Codes, percent: float) -> Masks:
    """Mark the first `percent` of each sequence's known bases in an order, at least one: (N, L).

    Unknown bases (N) are passed over: there is nothing to replace.
    """
    known = np.take_along_axis(codes, order, axis=1) < _UNKNOWN
    wanted = np.maximum(1, np.round(percent / 100 * known.sum(axis=1, keepdims=True)))
    taken = known & (known.cumsum(axis=1) <= wanted)
    mask = np.zeros(codes.shape, dtype=bool)
    np.put_along_axis(mask, order, taken, axis=1)
    return mask


def replaced_at(codes: Codes, mask: Masks, composition: Floats, rng: np.random.Generator) -> Codes:
    """Draw the masked bases anew, independently of what they were: one that must differ would tell what was there."""
    drawn = codes.copy()
    drawn[mask] = rng.choice(4, size=int(mask.sum()), p=composition)
    return drawn


def mask_alone(mask: Masks) -> Codes:
    """Write a mask as codes that a DNA model reads: A where it is, N (a column of zeros) elsewhere."""
    return np.where(mask, 0, _UNKNOWN).astype(np.uint8)


def roar_summary(table: pd.DataFrame, *, up_to: float | None = None) -> pd.DataFrame:
    """Put each curve of `run_roar` into one number: the area under AUROC against the share replaced.

    Parameters
    ----------
    table : DataFrame
        From `run_roar`.
    up_to : float, optional
        Leave out larger shares, at which the masks tell the class more and more.

    Returns
    -------
    DataFrame
        One row a method and input, the lowest area of sequences first: ``area``, the mean AUROC over the shares from 0
        to the largest (trapezoids; 0 is ``unchanged``), as mean, lowest and highest over seeds; ``below_random``, how
        far it lies below random order of the same seed, likewise (NaN for masks).

    Raises
    ------
    SeqplrpError
        If the table lacks a column, or the unchanged models, or no share is left.
    """
    wanted = ["method", "input", "percent", "seed", "auroc"]
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise SeqplrpError("table", f"lacks {', '.join(missing)}", "give what run_roar() returned")
    if up_to is not None:
        table = table[table["percent"] <= up_to]
    unchanged = table[table["method"] == UNCHANGED]
    start = dict(zip(unchanged["seed"].tolist(), unchanged["auroc"].tolist(), strict=True))
    areas = {}
    changed = table[table["method"] != UNCHANGED]
    if changed.empty:
        raise SeqplrpError("table", "holds no share to replace", "give a larger up_to" if up_to else "run more shares")
    for key, part in changed.groupby(["method", "input", "seed"], sort=False):
        method, kind, seed = key
        if seed not in start:
            raise SeqplrpError("table", f"has no unchanged model of seed {seed}", "give all that run_roar() returned")
        curve = part.sort_values("percent")
        # what a mask of no position tells is nothing
        first = float(start[seed]) if kind == "sequence" else 0.5
        percent = np.concatenate([[0.0], curve["percent"]])
        areas[method, kind, seed] = float(np.trapezoid([first, *curve["auroc"]], percent) / percent[-1])
    rows = []
    for method, kind in dict.fromkeys((method, kind) for method, kind, _ in areas):
        own = {seed: area for (m, k, seed), area in areas.items() if (m, k) == (method, kind)}
        below = [
            areas[RANDOM, "sequence", seed] - area
            for seed, area in own.items()
            if kind == "sequence" and (RANDOM, "sequence", seed) in areas
        ]
        rows.append(
            {"method": method, "input": kind, **_spread("area", own.values()), **_spread("below_random", below)}
        )
    frame = pd.DataFrame(rows)
    return frame.sort_values(["input", "area"], ascending=[False, True], ignore_index=True)


def _spread(name: str, values: Any) -> dict[str, float]:
    found = np.array(list(values), dtype=np.float64)
    if not found.size:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan}
    return {name: float(found.mean()), f"{name}_low": float(found.min()), f"{name}_high": float(found.max())}


def _checked(
    importance: Mapping[str, npt.ArrayLike | ImportanceFunction], data: SequenceData
) -> dict[str, Floats | ImportanceFunction]:
    found: dict[str, Floats | ImportanceFunction] = {}
    for name, one in importance.items():
        if not isinstance(name, str) or not name.strip() or name in CONTROLS:
            raise SeqplrpError(
                "importance", f"a method is called {name!r}", f"choose another name than {', '.join(CONTROLS)}"
            )
        found[name] = one if callable(one) else _checked_map(one, name, data)
    return found


def _checked_map(values: npt.ArrayLike, name: str, data: SequenceData) -> Floats:
    array = np.asarray(values)
    if array.shape != data.codes.shape or array.dtype.kind not in "fiub":
        raise SeqplrpError(
            f"importance {name!r}",
            f"has shape {array.shape} and type {array.dtype} for sequences {data.codes.shape}",
            "give a number for every base of every sequence, all splits",
        )
    if not np.isfinite(array).all():
        raise SeqplrpError(f"importance {name!r}", "holds values that are not finite", "mend the maps")
    return array.astype(np.float64)


def _checked_truth(truth: npt.ArrayLike | None, data: SequenceData) -> Masks | None:
    if truth is None:
        return None
    array = np.asarray(truth)
    if array.shape != data.codes.shape or not np.isin(array, (0, 1)).all():
        raise SeqplrpError(
            "truth", f"has shape {array.shape}, or other values than 0 and 1", f"give a mask {data.codes.shape}"
        )
    if not array.any():
        raise SeqplrpError("truth", "marks no position", "leave it out")
    return array.astype(bool)


def _opened(out: Path | str | None) -> Path | None:
    if out is None:
        return None
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise SeqplrpError(folder, "is a file", "name a directory")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _STUDY_FILE).exists():
        raise SeqplrpError(folder, "holds other files than a study's", "choose another directory")
    for name in ("parts", "maps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def _digest(*arrays: npt.NDArray[Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _read_json(path: Path, remedy: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SeqplrpError(path, "is damaged", remedy) from error
    if not isinstance(content, dict):
        raise SeqplrpError(path, "is damaged", remedy)
    return content


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it: a part is there as a whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _save_atomically(path: Path, array: npt.NDArray[Any]) -> None:
    from io import BytesIO

    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=False)
    _write_atomically(path, buffer.getvalue())
