"""ROAR: take away what an explanation calls important, retrain, and see what the network can still learn."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from seqplrp.models import SequenceData, TrainedModel, build_model, train_model
from seqplrp.recovery.roar.importance import (
    ImportanceFunction,
    checked_importance,
    checked_map,
    checked_truth,
)
from seqplrp.recovery.roar.kept import Cell, Kept, described
from seqplrp.recovery.roar.masks import UNKNOWN, Codes, Floats, Masks, mask_alone, order_of, replaced_at, top_mask
from seqplrp.recovery.roar.options import RANDOM, TRUTH, UNCHANGED, RoarOptions


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
    kept = Kept(out)
    with kept.alone():
        study = _Study(data, checked_importance(importance, data), checked_truth(truth, data), chosen, kept)
        kept.check_same(described(data, study.importance, study.truth, chosen))
        cells = list(study.cells())
        rows = []
        for done, cell in enumerate(cells, start=1):
            rows.append(study.row(cell))
            if progress is not None:
                progress(done, len(cells))
        kept.warn_of_others(len(cells))
    return pd.DataFrame(rows)


class _Study:
    """The trainings of one run."""

    def __init__(
        self,
        data: SequenceData,
        importance: Mapping[str, Floats | ImportanceFunction],
        truth: Masks | None,
        options: RoarOptions,
        kept: Kept,
    ) -> None:
        self.data, self.importance, self.truth, self.options, self.kept = data, importance, truth, options, kept
        known = data.codes[data.rows("train")]
        counts = np.bincount(known[known < UNKNOWN], minlength=4)
        self.composition = counts / counts.sum()
        self._base: tuple[int, TrainedModel] | None = None
        self._order: tuple[tuple[str, int], npt.NDArray[np.intp]] | None = None

    def cells(self) -> Iterator[Cell]:
        """List the trainings, seed by seed and method by method, so that a model and an order are made once."""
        methods = [RANDOM, *([TRUTH] if self.truth is not None else []), *self.importance]
        for seed in self.options.seeds:
            yield Cell(UNCHANGED, "sequence", 0.0, seed)
            for method in methods:
                for percent in self.options.percents:
                    yield Cell(method, "sequence", percent, seed)
                    # a random mask knows nothing of the class
                    if self.options.mask_only and method != RANDOM:
                        yield Cell(method, "mask", percent, seed)

    def row(self, cell: Cell) -> dict[str, Any]:
        """Return one training's row, the kept one if there is one."""
        row = self.kept.row(cell)
        if row is None:
            row = self._trained(cell)
            self.kept.keep_row(cell, row)
        return row

    def _trained(self, cell: Cell) -> dict[str, Any]:
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
        cell = Cell(method, "sequence", 0, seed)
        known = self.kept.map_of(cell)
        if known is not None:
            return known
        found = checked_map(given(self._base_model(seed).model, self.data.codes), method, self.data).astype(np.float32)
        self.kept.keep_map(cell, found)
        return found
