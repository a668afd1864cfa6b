"""Sequences with motifs planted in them, and the removal of matches that nobody planted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif, scan
from seqplrp.genomics.simulation.backgrounds import BackgroundModel
from seqplrp.genomics.simulation.instances import Scorer, along_strand, draw_instances
from seqplrp.genomics.simulation.planted import Planted
from seqplrp.genomics.simulation.task import Single, Task

Codes = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]
_ROUNDS = 100
_PATIENCE = 4  # rounds after which more than the background under a hit is drawn again
_TOO_ALIKE = 0.5
_TRIALS = 400


@dataclass(frozen=True)
class Ingredients:
    """All that is fixed while sequences are made.

    Parameters
    ----------
    task : Task
    model : BackgroundModel
    scorers : tuple of Scorer
        One for each motif of the task.
    """

    task: Task
    model: BackgroundModel
    scorers: tuple[Scorer, ...]

    @classmethod
    def of(cls, task: Task, model: BackgroundModel) -> Ingredients:
        """Put them together."""
        composition = tuple(model.composition.tolist())
        scorers = tuple(Scorer(use.motif, composition, task.p_value) for use in task.motifs)
        return cls(task, model, scorers)


@dataclass(frozen=True)
class Block:
    """Some sequences in the making.

    Parameters
    ----------
    background : ndarray of uint8, shape (N, L)
        Codes below and between the instances.
    planted : Planted
    words : ndarray of uint8, shape (N, K, W)
        Letters of the instances as they read on the forward strand, from the left; W is the widest motif's width.
    """

    background: Codes
    planted: Planted
    words: Codes

    def __len__(self) -> int:
        return len(self.background)

    def rows(self, index: npt.NDArray[np.int64]) -> Block:
        """Return some of the sequences (copies)."""
        return Block(self.background[index], self.planted.rows(index), self.words[index])

    def replace_rows(self, index: npt.NDArray[np.int64], new: Block) -> None:
        """Put sequences back; their instances' places have not changed."""
        self.background[index] = new.background
        self.words[index] = new.words

    def codes(self) -> Codes:
        """Lay the instances over the background: (N, L)."""
        codes = self.background.copy()
        for row, column, where in self._cells():
            codes[row, where] = self.words[row, column, where - self.planted.start[row, column]]
        return codes

    def occupied(self) -> Bools:
        """Mark the bases of instances: (N, L)."""
        marked = np.zeros(self.background.shape, dtype=bool)
        for row, _, where in self._cells():
            marked[row, where] = True
        return marked

    def _cells(self) -> Iterator[tuple[npt.NDArray[np.int64], int, npt.NDArray[np.int64]]]:
        """Walk over the bases of instances: rows, column in `planted`, and places in the sequence."""
        width = self.planted.end - self.planted.start
        for column in range(self.planted.motif.shape[1]):
            for offset in range(self.words.shape[2]):
                row = np.flatnonzero(width[:, column] > offset)
                if row.size:
                    yield row, column, self.planted.start[row, column].astype(np.int64) + offset


def make_block(mix: Ingredients, planted: Planted, rng: np.random.Generator) -> Block:
    """Draw the background and the instances of some sequences."""
    widest = max(use.motif.width for use in mix.task.motifs)
    words = np.zeros((*planted.motif.shape, widest), dtype=np.uint8)
    block = Block(mix.model.draw(len(planted), rng), planted, words)
    draw_words(mix, block, planted.motif >= 0, rng)
    return block


def draw_words(mix: Ingredients, block: Block, chosen: Bools, rng: np.random.Generator) -> None:
    """Draw the letters of some instances, where `chosen` (N, K) says."""
    for number, (use, scorer) in enumerate(zip(mix.task.motifs, mix.scorers)):
        row, column = np.nonzero(chosen & (block.planted.motif == number))
        if row.size:
            read = draw_instances(use, row.size, scorer, rng)
            block.words[row, column, : use.motif.width] = along_strand(read, block.planted.reverse[row, column])


def accidental_hits(mix: Ingredients, codes: Codes, planted: Planted) -> pd.DataFrame:
    """Find the matches of the rules' motifs that nobody planted.

    A match that shares at least half of its bases with an instance of the same motif is that instance (palindromes
    match on both strands, repeats a few bases aside). Those that run over the edge of an instance, or lie within an
    instance of another motif, are accidents like any other.

    Returns
    -------
    DataFrame
        As `seqplrp.genomics.motifs.scan` makes it, with a column ``motif``: its number.
    """
    found = []
    for motif in mix.task.scanned:
        number = mix.task.number[motif.name]
        hits = _scan(mix, motif, codes)
        row = hits["sequence"].to_numpy()
        shared = np.minimum(hits["end"].to_numpy()[:, None], planted.end[row])
        shared = shared - np.maximum(hits["start"].to_numpy()[:, None], planted.start[row])
        is_instance = (planted.motif[row] == number) & (2 * shared >= motif.width)
        found.append(hits[~is_instance.any(axis=1)].assign(motif=number))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _scan(mix: Ingredients, motif: Motif, codes: Codes) -> pd.DataFrame:
    scorer = mix.scorers[mix.task.number[motif.name]]
    return scan(codes, motif, p_value=scorer.reachable_p, background=scorer.composition)


def remove_accidents(mix: Ingredients, block: Block, rng: np.random.Generator) -> None:
    """Draw again whatever makes an accidental hit, until there is none.

    First the background under a hit; where that does not help, or there is none, more of the background around it
    and the letters of the instances that it touches (never their places).

    Raises
    ------
    SeqplrpError
        If hits remain, as when an instance of one motif is always a match of another.
    """
    todo = np.arange(len(block))
    for round_ in range(_ROUNDS):
        part = block.rows(todo)
        hits = accidental_hits(mix, part.codes(), part.planted)
        if hits.empty:
            return
        hit_rows, inverse = np.unique(hits["sequence"].to_numpy(), return_inverse=True)
        todo = todo[hit_rows]
        part = part.rows(hit_rows)
        _draw_again(mix, part, inverse, hits, round_, rng)
        block.replace_rows(todo, part)
    raise _still_there(mix, block, hits)


def _draw_again(
    mix: Ingredients,
    part: Block,
    row: npt.NDArray[np.int64],
    hits: pd.DataFrame,
    round_: int,
    rng: np.random.Generator,
) -> None:
    start, end = hits["start"].to_numpy()[:, None], hits["end"].to_numpy()[:, None]
    widen = 2 * (round_ // _PATIENCE)
    places = np.arange(part.background.shape[1])
    mask = np.zeros(part.background.shape, dtype=bool)
    np.logical_or.at(mask, row, (places >= start - widen) & (places < end + widen))
    covered = np.all(part.occupied()[row] | (places < start) | (places >= end), axis=1)
    part.background[:] = mix.model.redraw(part.background, mask, rng)
    touched = np.zeros(part.planted.motif.shape, dtype=bool)
    overlap = (part.planted.start[row] < end) & (part.planted.end[row] > start)
    np.logical_or.at(touched, row, overlap & (covered | (round_ >= _PATIENCE))[:, None])
    draw_words(mix, part, touched & (part.planted.motif >= 0), rng)


def check_distinct(mix: Ingredients) -> None:
    """Refuse motifs so alike that an instance of one mostly is a match of another, which a rule speaks of.

    Raises
    ------
    SeqplrpError
        With the two motifs and how often it happens.
    """
    task = mix.task
    planted = {s.motif for s in task.decoys}
    for group in task.groups:
        for plant in group.plants:
            planted |= {plant.motif} if isinstance(plant, Single) else {plant.first, plant.second}
    rng = np.random.default_rng(0)
    for use, scorer in zip(task.motifs, mix.scorers):
        if use.motif.name not in planted:
            continue
        words = draw_instances(use, _TRIALS, scorer, rng)
        for other in task.scanned:
            if other.name == use.motif.name:
                continue
            share = _share_matched(mix, words, other, rng)
            if share > _TOO_ALIKE:
                raise SeqplrpError(
                    f"{task.source}, motifs",
                    f"{share:.0%} of the instances of {use.motif.name} are matches of {other.name} too, so nothing "
                    "tells the two apart",
                    "choose motifs less alike, lower accidental.p_value, or set accidental: flag",
                )


def _share_matched(mix: Ingredients, words: Codes, other: Motif, rng: np.random.Generator) -> float:
    """Return the share of words (n, W) that another motif matches, over their edges too."""
    edge = other.width - 1
    composition = mix.model.composition.cumsum()[:3]
    flanks = np.searchsorted(composition, rng.random((len(words), 2 * edge)), side="right").astype(np.uint8)
    hits = _scan(mix, other, np.concatenate([flanks[:, :edge], words, flanks[:, edge:]], axis=1))
    return hits["sequence"].nunique() / len(words)


def _still_there(mix: Ingredients, block: Block, hits: pd.DataFrame) -> SeqplrpError:
    name = mix.task.motifs[int(hits["motif"].mode()[0])].motif.name
    return SeqplrpError(
        f"{mix.task.source}, accidental",
        f"{hits['sequence'].nunique()} of {len(block)} sequences still hold matches of {name} that were not planted, "
        f"after {_ROUNDS} rounds of drawing them again",
        "lower accidental.p_value, set accidental: flag, or choose motifs less alike",
    )
