"""Marginalisation: what a motif does to the score on average, put into sequences that have nothing else in common.

The effect of an instance where it stands depends on what surrounds it. Over many backgrounds the surroundings average
out, and what is left is what the model makes of the motif itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.evaluate import (
    Score,
    as_target,
    batched_scores,
    bootstrap_mean,
    holm,
    paired_wilcoxon,
    row_generators,
)
from seqplrp.genomics import codes_to_one_hot, encode
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.perturbation import UNKNOWN, Codes, codes_of, shuffled_windows

FloatArray = npt.NDArray[np.float64]
Strand = Literal["+", "-"]


@dataclass(frozen=True)
class Marginal:
    """What motifs do to the score in background sequences.

    Attributes
    ----------
    table : DataFrame
        One row a motif: ``motif``, ``start``, ``width``; ``effect`` (mean rise of the score) with its 95 % bootstrap
        interval ``low``, ``high`` over backgrounds; ``shuffled`` (the same of the motif's letters in random order, what
        any insertion of that composition does); ``specific`` (effect - shuffled) with ``specific_low``,
        ``specific_high``; ``p`` of a paired Wilcoxon test of that; ``backgrounds``; ``p_holm`` over the motifs.
    effects, shuffled : dict of str to ndarray, shape (N,)
        Rise of the score in each background, by motif.
    """

    table: pd.DataFrame
    effects: dict[str, FloatArray]
    shuffled: dict[str, FloatArray]


def marginalise(
    score: Score,
    backgrounds: Tensor,
    target: Any,
    motifs: Mapping[str, Motif | str] | Sequence[Motif | str],
    *,
    start: int | None = None,
    letters: Literal["consensus", "drawn"] = "consensus",
    strand: Strand = "+",
    seed: int = 0,
    batch_size: int = 256,
) -> Marginal:
    """Put motifs into background sequences and measure what each does to the score on average.

    Parameters
    ----------
    score : callable
        See :func:`seqplrp.evaluate.model_score`; give logits.
    backgrounds : Tensor, shape (N, 4, L)
        One-hot DNA without the motifs, such as dinucleotide shuffles of real sequences (`DinucleotideShuffle`).
    target : int or (N,) integers
        The output.
    motifs : mapping or sequence of Motif or str
        Found or known motifs, or letters over ACGTN; an N keeps the background's base. A motif without a name in a
        mapping goes by its own, letters by themselves.
    start : int, optional
        Where the motif begins; by default its middle comes to the middle of the sequence.
    letters : {"consensus", "drawn"}
        What stands for a matrix: its likeliest word, or a word drawn from it for each background.
    strand : {"+", "-"}
        "-" puts in the reverse complement.
    seed : int
        Of drawn and shuffled letters.
    batch_size : int
        Sequences that are scored at a time.

    Returns
    -------
    Marginal

    Raises
    ------
    SeqplrpError
        If a motif does not fit into the sequences, two have one name, or an argument is out of its range.

    Notes
    -----
    Global importance analysis: Koo, Majdandzic, Ploenzke, Anand, Paul, PLoS Computational Biology 17:e1008925 (2021),
    eq. 2. ``tangermeme.marginalize`` gives the same two scores for one word.
    """
    codes, goal = codes_of(backgrounds), as_target(target, backgrounds)
    named = _named(motifs)
    if letters not in ("consensus", "drawn"):
        raise SeqplrpError("letters", f"is {letters!r}", "choose consensus or drawn")
    if strand not in ("+", "-"):
        raise SeqplrpError("strand", f"is {strand!r}", "choose + or -")

    def scores(changed: Codes) -> FloatArray:
        one_hot = codes_to_one_hot(changed, backgrounds.dtype).to(backgrounds.device)
        return batched_scores(score, one_hot, goal, batch_size)

    before = scores(codes)
    rows, effects, shuffled = [], {}, {}
    for number, (name, motif) in enumerate(named.items()):
        words = _words(motif, codes, letters, strand, (seed, number, 0))
        at = _begin(name, words.shape[1], codes.shape[1], start)
        effects[name] = scores(_inserted(codes, words, at)) - before
        mixed = shuffled_windows(words, 1, row_generators(codes, seed, number, 1))[:, 0]
        shuffled[name] = scores(_inserted(codes, mixed, at)) - before
        rows.append({"motif": name, "start": at, "width": words.shape[1], **_summary(effects[name], shuffled[name])})
    if not rows:
        raise SeqplrpError("motifs", "is empty", "give at least one motif")
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"].to_numpy(dtype=np.float64))
    return Marginal(table, effects, shuffled)


def random_word_effects(
    score: Score,
    backgrounds: Tensor,
    target: Any,
    width: int,
    *,
    words: int = 199,
    start: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
) -> FloatArray:
    """Measure what random words do to the score on average, put into the same place of background sequences.

    They are the null of `marginalise`: a found motif that does no more than words of its length is none to the model.

    Parameters
    ----------
    score, backgrounds, target, start, batch_size
        See `marginalise`.
    width : int
        Bases of each word; each is drawn by itself, as likely as in the backgrounds.
    words : int
        How many.
    seed : int
        Of the words: those of one seed and width are the same whatever the model.

    Returns
    -------
    ndarray, shape (words,)
        Mean rise of the score over the backgrounds, by word.

    Raises
    ------
    SeqplrpError
        If the words do not fit into the sequences, or an argument is out of its range.
    """
    codes, goal = codes_of(backgrounds), as_target(target, backgrounds)
    for name, value in (("width", width), ("words", words)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise SeqplrpError(name, f"is {value!r}", "give a whole number of 1 or more")
    at = _begin("of random letters", width, codes.shape[1], start)
    counts = np.bincount(codes.ravel(), minlength=UNKNOWN + 1)[:UNKNOWN]
    drawn = np.random.default_rng([seed, width]).choice(UNKNOWN, size=(words, width), p=counts / counts.sum())
    before = batched_scores(score, backgrounds, goal, batch_size)
    effects, at_once = [], max(1, batch_size // len(codes))
    for first in range(0, words, at_once):
        some = drawn[first : first + at_once].astype(np.uint8)
        changed = np.repeat(codes[None], len(some), axis=0)
        changed[:, :, at : at + width] = some[:, None]
        x = codes_to_one_hot(changed.reshape(-1, codes.shape[1]), backgrounds.dtype).to(backgrounds.device)
        after = batched_scores(score, x, goal.repeat(len(some)), batch_size).reshape(len(some), -1)
        effects.append((after - before).mean(axis=1))
    return np.concatenate(effects)


def _named(motifs: Mapping[str, Motif | str] | Sequence[Motif | str]) -> dict[str, Motif | str]:
    if isinstance(motifs, str | Motif):
        motifs = [motifs]
    if isinstance(motifs, Mapping):
        return dict(motifs)
    named: dict[str, Motif | str] = {}
    for motif in motifs:
        name = motif if isinstance(motif, str) else motif.name
        if name in named:
            raise SeqplrpError("motifs", f"two are called {name!r}", "give a mapping from names of your own")
        named[name] = motif
    return named


def _words(motif: Motif | str, codes: Codes, letters: str, strand: Strand, key: tuple[int, ...]) -> Codes:
    """Return the word that is put into each background: (N, W)."""
    n = len(codes)
    if isinstance(motif, Motif):
        p = motif.probabilities
        if letters == "drawn":
            drawn = np.stack([generator.random(len(p)) for generator in row_generators(codes, *key)])
            up_to = p.cumsum(axis=1)
            words = (up_to <= drawn[:, :, None] * up_to[:, -1:]).sum(axis=2).astype(np.uint8)
        else:
            words = np.repeat(p.argmax(axis=1).astype(np.uint8)[None], n, axis=0)
    else:
        words = np.repeat(encode(motif), n, axis=0)
    if strand == "-":
        words = words[:, ::-1]
        words = np.where(words == UNKNOWN, words, 3 - words)
    return np.ascontiguousarray(words)


def _begin(name: str, width: int, length: int, start: int | None) -> int:
    begin = length // 2 - width // 2 if start is None else start
    if begin < 0 or begin + width > length:
        raise SeqplrpError(
            f"motif {name!r}",
            f"of {width} bases does not fit at {begin} into backgrounds of {length}",
            "give longer backgrounds or another start",
        )
    return begin


def _inserted(codes: Codes, words: Codes, start: int) -> Codes:
    changed = codes.copy()
    window = changed[:, start : start + words.shape[1]]
    window[...] = np.where(words == UNKNOWN, window, words)
    return changed


def _summary(effect: FloatArray, shuffled: FloatArray) -> dict[str, float]:
    mean, control, specific = (bootstrap_mean(values) for values in (effect, shuffled, effect - shuffled))
    return {
        "effect": mean.mean,
        "low": mean.low,
        "high": mean.high,
        "shuffled": control.mean,
        "specific": specific.mean,
        "specific_low": specific.low,
        "specific_high": specific.high,
        "p": paired_wilcoxon(effect, shuffled).p,
        "backgrounds": mean.n,
    }
