"""Shuffles that keep what a network may read from composition alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqplrp.genomics.encoding import check_codes, codes_to_one_hot, decode, encode

_CELLS_AT_ONCE = 1 << 20  # edges worked on together: 8 MiB of sort keys


def dinucleotide_shuffle(codes: npt.ArrayLike, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Shuffle each sequence, keeping its counts of every dinucleotide and its first and last base exactly.

    Parameters
    ----------
    codes : array of integers, shape (N, L)
        Codes 0..4 as `encode` makes them. N is a fifth letter: its neighbours are kept too.
    rng : numpy.random.Generator
        Source of randomness; the same state and input give the same shuffle.

    Returns
    -------
    ndarray of uint8, shape (N, L)
        For each sequence one of all sequences with these counts and ends, each with equal probability
        (the sequence itself among them; some sequences, such as ``AAAA``, have no other).

    Raises
    ------
    SeqplrpError
        If `codes` is not an (N, L) array of codes.

    Notes
    -----
    A sequence is an Eulerian path in the multigraph whose vertices are letters and whose edges are its
    dinucleotides. A uniform path (Altschul and Erickson 1985, Mol. Biol. Evol. 2:526) takes a random tree of
    last exits towards the last letter, then a random order of the other exits of each letter. The published
    algorithm finds the tree by trial; here all trees are listed (125 for five letters) and one is drawn by
    its weight, so low-complexity sequences cost no more than others.
    """
    checked = check_codes(codes)
    n, length = checked.shape
    if n == 0 or length < 3:
        return checked.copy()
    shuffled = np.empty_like(checked)
    # short sequences are no cheaper than long ones to draw trees for, so they do not come by the million
    rows = max(1, _CELLS_AT_ONCE // max(length, 128))
    for start in range(0, n, rows):
        shuffled[start : start + rows] = _shuffle_rows(checked[start : start + rows], rng)
    return shuffled


def shuffled_references(x: Tensor, n: int, seed: int) -> Tensor:
    """Draw dinucleotide shuffles of one-hot sequences, as methods take their references.

    Parameters
    ----------
    x : Tensor, shape (N, 4, L)
        One-hot; an all-zero column is an N, shuffled as a fifth letter.
    n : int
        How many shuffles of each sequence.
    seed : int
        A sequence's shuffles depend on it and on the sequence alone, not on what else is in the batch.

    Returns
    -------
    Tensor, shape (N, n, 4, L)
        Of the dtype and on the device of `x`.

    Raises
    ------
    SeqplrpError
        If a column is neither one-hot nor all zero.
    """
    codes = encode(decode(x))
    shuffled = [dinucleotide_shuffle(np.tile(row, (n, 1)), np.random.default_rng(seed)) for row in codes]
    return torch.stack([codes_to_one_hot(one, x.dtype) for one in shuffled]).to(x.device)


REFERENCES: Mapping[str, Callable[[Tensor, int, int], Tensor] | None] = {
    "shuffled": shuffled_references,
    "tangermeme": None,
}
"""What draws references of a sequence, by the names that configurations and the command line have for it; None leaves
it to the method, which takes tangermeme's dinucleotide shuffles."""


def _shuffle_rows(codes: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    letters = 5 if (codes == 4).any() else 4
    counts = _dinucleotide_counts(codes, letters)
    last_exit = _draw_last_exits(counts, codes[:, -1], rng)
    exits = _order_exits(codes, last_exit, rng)
    return _walk(codes[:, 0], exits, counts.sum(axis=2))


def _dinucleotide_counts(codes: npt.NDArray[np.uint8], letters: int) -> npt.NDArray[np.int64]:
    """Count the dinucleotides: (N, letters, letters), from the first letter to the second."""
    n = len(codes)
    pair = codes[:, :-1].astype(np.int64) * letters + codes[:, 1:]
    pair += np.arange(n)[:, None] * letters * letters
    counts: npt.NDArray[np.int64] = np.bincount(pair.ravel(), minlength=n * letters * letters)
    return counts.reshape(n, letters, letters)


@cache
def _trees(letters: int, root: int) -> npt.NDArray[np.int64]:
    """List every tree of exits that leads to `root`: row t, column v holds the letter that v exits to."""
    choices = [[root] if v == root else [u for u in range(letters) if u != v] for v in range(letters)]
    trees: npt.NDArray[np.int64] = np.array(list(product(*choices)), dtype=np.int64)
    reached = trees
    for _ in range(letters):  # following any exit this often ends at the root, or runs in a circle
        reached = np.take_along_axis(trees, reached, axis=1)
    trees = trees[(reached == root).all(axis=1)]
    trees.setflags(write=False)
    return trees


def _draw_last_exits(
    counts: npt.NDArray[np.int64], last: npt.NDArray[np.uint8], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw a tree for each sequence, weighted by the number of ways to choose its edges: (N, letters)."""
    n, letters, _ = counts.shape
    weight_of = counts.astype(np.float64)
    absent = counts.sum(axis=2) == 0
    chosen = np.empty((n, letters), dtype=np.int64)
    for root in range(letters):
        rows = np.flatnonzero(last == root)
        if not rows.size:
            continue
        trees = _trees(letters, root)
        exits = weight_of[rows]
        # A letter without edges gets one, straight to the root, which leaves it out of the draw.
        exits[:, :, root][absent[rows]] = 1.0
        weights = np.ones((rows.size, len(trees)))
        for v in range(letters):
            if v != root:
                weights *= exits[:, v, :][:, trees[:, v]]
        cumulative = weights.cumsum(axis=1)
        # the first sum strictly above the draw: never a tree of weight 0, always one, as the draw is below 1
        drawn = rng.random((rows.size, 1)) * cumulative[:, -1:]
        pick = (cumulative <= drawn).sum(axis=1)
        chosen[rows] = trees[pick]
    return chosen


def _order_exits(
    codes: npt.NDArray[np.uint8], last_exit: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Order the exits of every letter at random, the chosen one last: (N, L - 1), grouped by letter.

    The key of an edge holds, from the top: letter left, whether it is the last exit, 52 random bits, letter
    entered. One plain sort of each row then yields the entered letters in order.
    """
    left, entered = codes[:, :-1], codes[:, 1:]
    keys = rng.integers(0, 1 << 52, size=left.shape, dtype=np.uint64)
    keys <<= np.uint64(3)
    keys |= entered
    keys |= left.astype(np.uint64) << np.uint64(56)
    for v in range(last_exit.shape[1]):
        is_exit = (left == v) & (entered == last_exit[:, v, None])
        position = is_exit.argmax(axis=1)  # equal edges are interchangeable, so the first one will do
        rows = np.flatnonzero((codes[:, -1] != v) & is_exit[np.arange(len(codes)), position])
        keys[rows, position[rows]] |= np.uint64(1 << 55)
    keys.sort(axis=1)
    return (keys & np.uint64(7)).astype(np.uint8)


def _walk(
    first: npt.NDArray[np.uint8], exits: npt.NDArray[np.uint8], exits_of: npt.NDArray[np.int64]
) -> npt.NDArray[np.uint8]:
    """Follow the ordered exits from the first letter, all sequences a step at a time."""
    n, steps = exits.shape
    letters = exits_of.shape[1]
    # position in the flat `exits` of the next unused exit of each letter, flat over (sequence, letter)
    next_exit = exits_of.cumsum(axis=1) - exits_of + np.arange(n)[:, None] * steps
    next_exit = np.ascontiguousarray(next_exit).ravel()
    offset = np.arange(n) * letters
    flat = exits.ravel()
    path = np.empty((steps + 1, n), dtype=np.uint8)
    path[0] = first
    for step in range(steps):
        vertex = offset + path[step]
        edge = next_exit[vertex]
        next_exit[vertex] = edge + 1
        path[step + 1] = flat[edge]
    return np.ascontiguousarray(path.T)
