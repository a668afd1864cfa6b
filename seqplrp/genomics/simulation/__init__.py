"""Synthetic DNA with motifs whose places are known, for judging models and their explanations.

>>> from seqplrp.genomics.simulation import load_task, simulate
>>> data = simulate(load_task("and-pair"), n=100, seed=0)
>>> data.sequences.shape, data.classes, int(data.labels.sum())
((100, 200), ['both'], 50)

A task is a preset or a YAML file. The smallest says which motifs there are and what makes the class; the groups of
sequences are then derived, one for every combination that the rules tell apart:

.. code-block:: yaml

    kind: binary
    length: 200
    motifs: {GATA1: GATA1, TAL1: TAL1::TCF3}
    classes:
      both: {and: [GATA1, TAL1]}

``examples/tasks/annotated.yaml`` explains every key, `seqplrp.genomics.simulation.grammar` the rules.

Labels are a function of what was planted: each sequence's instances are checked against the classes' rules, and
matches of the rules' motifs that arise by chance, in the background or over an instance's edge, are removed.
"""

from __future__ import annotations

from seqplrp.genomics.simulation.generate import SimulatedData, simulate
from seqplrp.genomics.simulation.output import write_simulated
from seqplrp.genomics.simulation.reading import PRESETS, load_task, parse_task
from seqplrp.genomics.simulation.simdna import SimdnaTable, read_simdna, write_simdna
from seqplrp.genomics.simulation.task import Task, dump_task

__all__ = [
    "PRESETS",
    "SimdnaTable",
    "SimulatedData",
    "Task",
    "dump_task",
    "load_task",
    "parse_task",
    "read_simdna",
    "simulate",
    "write_simdna",
    "write_simulated",
]
