"""What DNA brings to the benchmark: tasks with known motifs, the zoo's networks, protocols, logos, words."""

from __future__ import annotations

from pathlib import Path

from seqplrp.benchmark import BenchmarkConfig, Domain, Words
from seqplrp.benchmark import read_config as read_any_config
from seqplrp.genomics import REFERENCES
from seqplrp.recovery.benchmark.logos import LOGOS
from seqplrp.recovery.benchmark.model_protocols import MODEL_PROTOCOLS
from seqplrp.recovery.benchmark.networks import FACTS, read_architecture, read_training
from seqplrp.recovery.benchmark.protocols import PROTOCOLS
from seqplrp.recovery.benchmark.scenes import Candidates, scene_of
from seqplrp.recovery.benchmark.tasks import read_task
from seqplrp.recovery.source import SOURCE

SHOWN = (
    "auprc",
    "rra",
    "rma",
    "gini",
    "abpc",
    "deletion_early",
    "insertion_abpc",
    "substitution_ratio",
    "flip_correlation",
    "randomised_spearman_abs",
)


WORDS = Words(
    title="Motif recovery benchmark",
    command="seqplrp benchmark",
    one="sequence",
    many="sequences",
    a="a sequence",
    part="base",
    parts="bases",
    learned=(
        "a model whose AUROC on its test sequences (mean over classes) is below the task's bound ({least}) did not "
        "learn and is left out"
    ),
    scored="only sequences with a truth are scored that the model gets right with a score above 0",
)

DNA = Domain(
    name="DNA",
    words=WORDS,
    read_task=read_task,
    read_architecture=read_architecture,
    read_training=read_training,
    draw=Candidates.of,
    scene=scene_of,
    protocols=PROTOCOLS,
    model_protocols=MODEL_PROTOCOLS,
    examples=LOGOS,
    source=SOURCE,
    facts=FACTS,
    learned="auroc",
    least=0.8,
    shown=SHOWN,
    references=REFERENCES,
    own_references="shuffled",
    common=("center", "reverse_complement"),
    libraries=("torch", "numpy", "scipy", "scikit-learn", "tangermeme", "captum"),
    trained_by=("seqplrp", "torch", "numpy"),
    keeps_hypothetical=True,
)


def read_config(path: Path | str) -> BenchmarkConfig:
    """Read a DNA benchmark from YAML: the keys of `seqplrp.benchmark.read_config`.

    ``tasks`` are NAME: {group: development | report | control, kind: simulated, task: PRESET or FILE, n, test, seed}
    or {group, kind: chipseq, directory, factor, motif, p_value}; ``architectures`` are NAME: {architecture, options,
    training}; ``training`` holds fields of `seqplrp.models.TrainOptions`; ``common`` are center and reverse_complement
    of every method that does not set its own; ``protocols`` are NAME: OPTIONS, of `PROTOCOLS` and `MODEL_PROTOCOLS`.

    Raises
    ------
    SeqplrpError
        With file, line and key, for every key or value that can't be, for a peer that no protocol measures, and for a
        protocol whose library is missing.
    """
    return read_any_config(path, DNA)
