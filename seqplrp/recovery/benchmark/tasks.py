"""What models are trained on and explained for: simulated tasks; real peaks, with scanned sites as truth."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.benchmark import TASK_KEYS, BenchmarkTask, Entry, task_head
from seqplrp.errors import SeqplrpError
from seqplrp.genomics import motifs, read_fasta
from seqplrp.genomics.motifs import Motif, read_motifs, scan
from seqplrp.genomics.simulation import Task, dump_task, load_task, simulate
from seqplrp.models import ReadOptions, SequenceData, make_dataset, read_positives_negatives

TRUTH_COLUMNS = ("chrom", "start", "end", "name", "strand", "motif", "class")


@dataclass(frozen=True)
class TaskData:
    """A task's sequences, and the motifs in its test sequences.

    Attributes
    ----------
    data : SequenceData
        With its split; the same whatever model is trained.
    truth : DataFrame
        ``chrom`` (a test sequence's id), ``start, end, name, strand, motif, class``; see `seqplrp.recovery.truth`.
    matrices : mapping of str to Motif
        The truth's motifs by name.
    """

    data: SequenceData
    truth: pd.DataFrame
    matrices: Mapping[str, Motif]


@dataclass(frozen=True)
class SimulatedTask(BenchmarkTask):
    """Sequences that `seqplrp.genomics.simulation` makes.

    Parameters
    ----------
    task : Task
    n, test : int
        Sequences to train (and validate) on, and to test on.
    """

    task: Task
    n: int
    test: int

    keys: ClassVar[tuple[str, ...]] = ("kind", "task", "n", "test", *TASK_KEYS)

    def load(self) -> TaskData:
        """Make or read the data."""
        simulated = simulate(self.task, n=self.n + self.test, seed=self.seed)
        split = np.full(len(simulated), "", dtype="U10")
        split[self.n :] = "test"  # groups of sequences come in random order, so the last are like the others
        data = make_dataset(
            simulated.sequences,
            simulated.labels,
            kind=cast(Any, simulated.kind),
            classes=simulated.classes,
            ids=simulated.ids,
            split=split,
            seed=self.seed,
            source={"task": self.task.name, "n": self.n, "test": self.test, "seed": self.seed},
        )
        truth = simulated.truth[simulated.truth["sequence"] >= self.n]
        ids = np.asarray(simulated.ids, dtype=object)
        truth = truth.assign(chrom=ids[truth["sequence"]])[list(TRUTH_COLUMNS)].reset_index(drop=True)
        return TaskData(data, truth, {use.motif.name: use.motif for use in self.task.motifs})

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the data, as plain values."""
        # not the whole text: its first line is a comment with the version, which is told apart
        text = "\n".join(line for line in dump_task(self.task).splitlines() if not line.startswith("#"))
        return {"kind": "simulated", "task": _hash(text.encode()), "n": self.n, "test": self.test, "seed": self.seed}

    @property
    def says(self) -> str:
        """One line for reports."""
        return f"simulated, {self.task.name}: {' '.join(self.task.description.split())} ({self.n} + {self.test} test)"


@dataclass(frozen=True)
class ChipSeqTask(BenchmarkTask):
    """Real peaks against their dinucleotide shuffles; the truth is what a scan finds in test peaks.

    Parameters
    ----------
    directory : Path
        Holds ``FACTOR.train.pos.fa``, ``FACTOR.test.pos.fa`` and ``FACTOR.test.neg.fa``.
    factor : str
    motifs : tuple of Motif
        Whose sites are the truth.
    p_value : float
        The scan's false-positive rate: the chance of a site at one place of one strand of random DNA.
    train : int or None
        At most so many sequences to train on; all if None.
    """

    directory: Path
    factor: str
    motifs: tuple[Motif, ...]
    p_value: float
    train: int | None

    keys: ClassVar[tuple[str, ...]] = (
        "kind",
        "directory",
        "factor",
        "motif",
        "motif_file",
        "p_value",
        "train",
        *TASK_KEYS,
    )

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """Training peaks, test peaks and test negatives."""
        parts = ("train.pos", "test.pos", "test.neg")
        first, second, third = (self.directory / f"{self.factor}.{part}.fa" for part in parts)
        return first, second, third

    def load(self) -> TaskData:
        """Make or read the data."""
        train, positives, negatives = self.files
        data = read_positives_negatives(
            train, "shuffle", test_positives=positives, test_negatives=negatives, options=ReadOptions(seed=self.seed)
        )
        data = _fewer(data, self.train, self.seed)
        rows = data.rows("test")
        rows = rows[data.labels[rows, 0] == 1]
        found = [self._sites(motif, data, rows) for motif in self.motifs]
        return TaskData(data, pd.concat(found, ignore_index=True), {motif.name: motif for motif in self.motifs})

    def _sites(self, motif: Motif, data: SequenceData, rows: npt.NDArray[np.intp]) -> pd.DataFrame:
        hits = scan(data.codes[rows], motif, p_value=self.p_value)
        ids = np.asarray([data.ids[row] for row in rows], dtype=object)
        sites = hits.assign(chrom=ids[hits["sequence"]], name=motif.name, motif=motif.name)
        return sites.assign(**{"class": data.classes[0]})[list(TRUTH_COLUMNS)]

    def recipe(self) -> dict[str, Any]:
        """Return all that decides the data, as plain values."""
        return {
            "kind": "chipseq",
            "files": {path.name: _hash(path.read_bytes()) for path in self.files},
            "motifs": {one.name: _hash(one.probabilities.round(6).tobytes()) for one in self.motifs},
            "p_value": self.p_value,
            "train": self.train,
            "seed": self.seed,
        }

    @property
    def says(self) -> str:
        """One line for reports."""
        names = ", ".join(f"{one.name} {one.accession}".strip() for one in self.motifs)
        return (
            f"ChIP-seq peaks of {self.factor} against their dinucleotide shuffles; truth: sites of {names} at a "
            f"false-positive rate of {self.p_value:g} a place and strand"
        )


def read_task(name: str, entry: Entry) -> BenchmarkTask:
    """Read one task of a configuration.

    Raises
    ------
    SeqplrpError
        With file, line and key, whatever is wrong with it: files and motifs that are not there, too.
    """
    given = entry.mapping(required=("group",))
    kind = given["kind"].choice(("simulated", "chipseq")) if "kind" in given else "simulated"
    known = (SimulatedTask if kind == "simulated" else ChipSeqTask).keys
    required = ("task", "n", "test") if kind == "simulated" else ("directory", "factor", "motif")
    entry.mapping(known, required)
    head = task_head(name, given)
    if kind == "simulated":
        made = given["task"].told(lambda: load_task(_beside(given["task"])))
        return SimulatedTask(*head, made, given["n"].whole(20), given["test"].whole(10))
    directory = _directory(given["directory"])
    task = ChipSeqTask(
        *head,
        directory=directory,
        factor=given["factor"].text(),
        motifs=_motifs(given["motif"], given.get("motif_file")),
        p_value=given["p_value"].number(1e-12, 0.1) if "p_value" in given else 1e-4,
        train=given["train"].whole(20) if "train" in given else None,
    )
    for path in task.files:
        if not path.is_file():
            raise given["factor"].error(f"there is no {path}", "name a factor whose three FASTA files are there")
    given["factor"].told(lambda: next(iter(read_fasta(task.files[1]))))
    return task


def _beside(entry: Entry) -> str:
    """Return a preset's name, or a path that stands beside the configuration unless it is absolute."""
    named = entry.text()
    beside = Path(entry.file).parent / named
    return str(beside) if named.endswith((".yaml", ".yml")) and beside.is_file() else named


def _directory(entry: Entry) -> Path:
    path = entry.location()
    if not path.is_dir():
        raise entry.error(f"there is no directory {path}", "name the one that holds FACTOR.train.pos.fa")
    return path


def _motifs(entry: Entry, file: Entry | None) -> tuple[Motif, ...]:
    if file is None:
        return tuple(one.told(partial(motifs.load, one.text())) for one in entry.items())
    known = {motif.name: motif for motif in file.told(lambda: read_motifs(file.location()))}
    return tuple(known[one.choice(list(known))] for one in entry.items())


def _fewer(data: SequenceData, most: int | None, seed: int) -> SequenceData:
    """Keep at most so many training sequences, drawn at random."""
    rows = data.rows("train")
    if most is None or len(rows) <= most:
        return data
    kept = np.random.default_rng([seed, 7]).permutation(rows)[:most]
    stays = np.sort(np.concatenate([kept, np.flatnonzero(data.split != "train")]))
    if data.labels[kept].min(axis=0).max() == 1 or data.labels[kept].max(axis=0).min() == 0:
        raise SeqplrpError("train", f"{most} sequences leave a class out", "keep more")
    return replace(
        data,
        codes=data.codes[stays],
        labels=data.labels[stays],
        ids=[data.ids[row] for row in stays],
        split=data.split[stays],
    )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
