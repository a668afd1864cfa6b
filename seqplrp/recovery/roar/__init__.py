"""ROAR: take away what an explanation calls important, retrain, and see what the network can still learn.

Source: Hooker, Erhan, Kindermans and Kim, "A Benchmark for Interpretability Methods in Deep Neural Networks", NeurIPS
2019; for DNA as METHODS.md, section 6, has it: the top K % of each sequence's bases become random background bases in
all splits.

What is replaced can itself tell the class (a mask that hugs a motif shows where it was), and a network may learn from
that; so every order is also run with the mask alone as input: what it reaches there is leakage, not information that
the bases left behind. Random order and, where it is known, the true order are the floor and the ceiling.
"""

from __future__ import annotations

from seqplrp.recovery.roar.importance import EvidenceForPrediction, ImportanceFunction, evidence_for_prediction
from seqplrp.recovery.roar.masks import mask_alone, order_of, replaced_at, top_mask
from seqplrp.recovery.roar.options import CONTROLS, PERCENTS, RANDOM, TRUTH, UNCHANGED, RoarOptions
from seqplrp.recovery.roar.study import run_roar
from seqplrp.recovery.roar.summary import roar_summary

__all__ = [
    "CONTROLS",
    "PERCENTS",
    "RANDOM",
    "TRUTH",
    "UNCHANGED",
    "EvidenceForPrediction",
    "ImportanceFunction",
    "RoarOptions",
    "evidence_for_prediction",
    "mask_alone",
    "order_of",
    "replaced_at",
    "roar_summary",
    "run_roar",
    "top_mask",
]
