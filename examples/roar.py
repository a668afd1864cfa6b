#!/usr/bin/env python3
"""ROAR on simulated DNA: replace what each method calls important, retrain from scratch, see what is still learnt.

    python examples/roar.py OUT [--task FILE_OR_PRESET] [--sequences N] [--epochs N] [--seeds N] [--percents K ...]

Six methods beside random order, the planted motifs themselves and, for each, the mask alone (what the pattern of
replaced positions gives away). A run that was stopped goes on. OUT gets roar.tsv, roar_summary.tsv and roar.svg|png.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

import seqplrp as sp
from seqplrp.genomics.simulation import SimulatedData, load_task, simulate
from seqplrp.models import TrainOptions, make_dataset
from seqplrp.plot import roar_curves, save_figure
from seqplrp.recovery import RoarOptions, evidence_for_prediction, roar_summary, run_roar

HERE = Path(__file__).parent
METHODS = {
    "plrp": sp.PLRP(center="composition"),
    "lrp-gamma": sp.LRP(rule="gamma", center="composition"),
    "gradient-x-input": sp.GradientTimesInput(center="composition"),
    "neuron-mct": sp.NeuronMCT(center="composition"),
    "integrated-gradients": sp.IntegratedGradients(center="composition"),
    "deeplift-shap": sp.DeepLIFTSHAP(center="composition"),
}


def planted(simulated: SimulatedData) -> npt.NDArray[np.bool_]:
    """Return the positions of the motifs that support each sequence's own class, (N, L)."""
    mask = np.zeros(np.shape(simulated.sequences), dtype=bool)
    for row in simulated.truth[simulated.truth["supports"]].itertuples():
        mask[row.sequence, row.start : row.end] = True
    return mask


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--task", default=str(HERE / "benchmark" / "tasks" / "short-motifs.yaml"))
    parser.add_argument("--sequences", type=int, default=4000, help="1,000 of them, at most a third, for testing")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--percents", type=float, nargs="+", default=[1, 2, 5, 10, 30, 50], help="of the bases")
    given = parser.parse_args(arguments)

    simulated = simulate(load_task(given.task), n=given.sequences, seed=21)
    split = np.full(given.sequences, "", dtype="U10")
    split[-min(1000, given.sequences // 3) :] = "test"
    data = make_dataset(
        simulated.sequences,
        simulated.labels,
        kind=simulated.kind,
        classes=simulated.classes,
        ids=simulated.ids,
        split=split,
        seed=21,
        source={"task": given.task, "sequences": given.sequences, "seed": 21},
    )
    table = run_roar(
        data,
        {name: evidence_for_prediction(method) for name, method in METHODS.items()},
        truth=planted(simulated),
        options=RoarOptions(
            percents=tuple(given.percents),
            seeds=tuple(range(given.seeds)),
            training=TrainOptions(epochs=given.epochs),
        ),
        out=given.out / "study",
        progress=lambda done, total: print(f"{done} of {total} trainings", flush=True),
    )
    table.to_csv(given.out / "roar.tsv", sep="\t", index=False, float_format="%.6g")
    summary = roar_summary(table)
    summary.to_csv(given.out / "roar_summary.tsv", sep="\t", index=False, float_format="%.6g")
    for kind in ("svg", "png"):
        save_figure(roar_curves(table, title=Path(given.task).stem), given.out / f"roar.{kind}")
    print(summary.to_string(index=False))


if __name__ == "__main__":
    main()
