#!/usr/bin/env python3
"""How much maps depend on the batch size, and why: near-ties in a max pool, above all.

    python benchmarks/batch_sizes.py [--subject NAME]... [--sequences N] [--threads N] [--out DIR]

Random and simulated sequences are explained in batches of 1, 2, 7, 64 and 256. A sequence differs if its map is more
than 1e-5 of its largest |relevance| away from that of batch 1, for any batch size. Why is tried, not guessed:

one factor        both maps are the same but for one factor: the score, which a map shares out, is near 0, and its own
                  rounding is more than 1e-5 of it
a pool's winner   explained alone once more, with the winners that its max pools had in the other batch, the sequence
                  has that batch's map; how far apart the candidates were is told in roundings of float32 (2^-24) of
                  the largest value of that layer
what is pruned    the same with the entries that were kept in the other batch
units near 0      both maps are the same once units are left out whose sum is less than a thousand times the rule's
                  epsilon: what they pass on is large, adds up to next to nothing, and depends on the sum's rounding

The controls have no max pool, or float64.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from reported import RESULTS, listed, machine, save, table
from scipy.stats import binomtest
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.genomics import codes_to_one_hot
from seqplrp.genomics.simulation import parse_task, simulate
from seqplrp.lrp.ops import branches, pooling
from seqplrp.lrp.prune import Cut
from seqplrp.methods import batching
from seqplrp.models import TrainOptions, build_model, make_dataset, train_model

propagate = import_module("seqplrp.lrp.propagate")  # of that name in the room is the function
SIZES = (1, 2, 7, 64, 256)
LIMIT = 1e-5
ROUNDING = 2.0**-24
METHODS: dict[str, sp.methods.Method] = {
    "PLRP, its default": sp.PLRP(),
    "LRP, its default rules": sp.LRP(rule="default"),
    "LRP epsilon": sp.LRP(rule="epsilon"),
}
TASK = """
kind: binary
length: {length}
motifs: {{GATA1: GATA1}}
classes: {{has: GATA1}}
"""
FACTOR, POOL, PRUNED, ZERO = "one factor", "a pool's winner", "what is pruned", "units near 0"
OTHER = "something else"
CAUSES = (FACTOR, POOL, PRUNED, ZERO, OTHER)
NEAR = 1000
"""Units whose sum is less than so many times epsilon are near 0."""

CONTROL = ["PLRP, its default", "LRP, its default rules"]


@dataclass(frozen=True)
class Subject:
    """A network and how many sequences it explains.

    Attributes
    ----------
    title : str
        What the table calls it.
    architecture : str
        Of the zoo.
    length : int
        Bases of a sequence.
    sequences : int
        How many at least: half of them random, half simulated.
    epochs : int
        For how long it is trained; 0: as it was drawn.
    options : dict
        Of the architecture.
    methods : list of str
        Which of `METHODS`.
    dtype : torch.dtype
        Of weights and inputs.
    average : bool
        Whether average pools stand in the place of its max pools.
    """

    title: str
    architecture: str
    length: int
    sequences: int
    epochs: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    methods: list[str] = field(default_factory=lambda: list(METHODS))
    dtype: torch.dtype = torch.float32
    average: bool = False


SUBJECTS = {
    "small": Subject("basset-small, trained", "basset-small", 200, 1000, 8),
    "small-untrained": Subject("basset-small, untrained", "basset-small", 200, 1000),
    "deepbind": Subject("deepbind, trained", "deepbind", 200, 1000, 8),
    "basset": Subject("basset, untrained", "basset", 600, 200),
    "bpnet": Subject("BPNet-like (no pool), trained", "dilated-residual", 200, 500, 4),
    "small-average": Subject(
        "basset-small, average pools", "basset-small", 200, 1000, 8, methods=CONTROL, average=True
    ),
    "small-float64": Subject("basset-small, float64", "basset-small", 200, 1000, 8, dtype=torch.float64),
}


def model_and_inputs(subject: Subject, sequences: int) -> tuple[nn.Module, Tensor]:
    """Return the network, and sequences (N, 4, L): random ones, then as many simulated."""
    task = parse_task(TASK.format(length=subject.length))
    half = -(-sequences // 2)
    if subject.epochs:
        made = simulate(task, n=4000, seed=1)
        data = make_dataset(made.sequences, made.labels, kind="binary", classes=made.classes)
        training = TrainOptions(epochs=subject.epochs, device="cpu")
        model: nn.Module = train_model(data, subject.architecture, options=subject.options, training=training).model
    else:
        torch.manual_seed(0)
        model = build_model(subject.architecture, length=subject.length, n_outputs=1, **subject.options)
    generator = torch.Generator().manual_seed(2)
    random = torch.randint(0, 4, (half, subject.length), generator=generator, dtype=torch.uint8)
    planted = torch.from_numpy(simulate(task, n=half, seed=2).sequences)
    if subject.average:
        _average(model)
    return model.eval().to(subject.dtype), codes_to_one_hot(torch.cat([random, planted]).numpy()).to(subject.dtype)


def _average(model: nn.Module) -> None:
    """Put average pools in the place of a model's max pools."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool1d):
                setattr(module, name, nn.AvgPool1d(child.kernel_size, child.stride))


# ---- what depends on roundings: which unit wins a pool, and which entries are pruned


@dataclass
class Choices:
    """What was chosen while a batch was explained, in the order in which it was chosen.

    Attributes
    ----------
    winners : list of (N, ...) Tensor
        The places of each max pool's winners.
    kept : list of (N, units) Tensor
        Which entries were not pruned, at each place where it is pruned.
    """

    winners: list[Tensor] = field(default_factory=list)
    kept: list[Tensor] = field(default_factory=list)

    def of(self, row: int) -> Choices:
        """Return those of one sequence."""
        some = slice(row, row + 1)
        return Choices([places[some] for places in self.winners], [kept[some] for kept in self.kept])


Win = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Says what comes of a max pool: told its input, its winners' values and their places, it returns the latter two."""

Prune = Callable[[Tensor, Cut, tuple[Tensor, ...]], tuple[Tensor, ...]]
"""Says what pruning leaves: told the relevance, its cut and what `scaled` returns, it returns the latter."""


@contextmanager
def choosing(win: Win | None = None, prune: Prune | None = None) -> Iterator[None]:
    """Let functions choose instead of the engine."""
    pooled, scaled = pooling._max_pooled, propagate.scaled
    with ExitStack() as stack:
        if win is not None:
            chosen = lambda step, values: win(values, *pooled(step, values))  # noqa: E731
            stack.enter_context(mock.patch.object(pooling, "_max_pooled", chosen))
        if prune is not None:
            left = lambda flat, cut, scales: prune(flat, cut, scaled(flat, cut, scales))  # noqa: E731
            stack.enter_context(mock.patch.object(propagate, "scaled", left))
        yield


def noted(explainer: sp.Explainer, batch: Tensor) -> tuple[Tensor, Choices]:
    """Explain sequences as one batch; return their maps, and what was chosen."""
    found = Choices()

    def win(values: Tensor, pooled: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        found.winners.append(places)
        return pooled, places

    def prune(flat: Tensor, cut: Cut, left: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        found.kept.append(left[0] != 0)
        return left

    with choosing(win, prune):
        return explainer(batch, target=0, batch_size=len(batch)).relevance, found


def again(explainer: sp.Explainer, one: Tensor, choices: Choices, *, pools: bool, cuts: bool) -> tuple[Tensor, float]:
    """Explain one sequence with what was chosen in another batch.

    Returns
    -------
    (1, 4, L) Tensor
        Its map.
    float
        The farthest that a winner was from the one in whose place it came, in roundings of its layer's largest value.
    """
    winners, kept, farthest = iter(choices.winners), iter(choices.kept), 0.0

    def win(values: Tensor, pooled: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal farthest
        other = next(winners)
        taken = values.gather(-1, other)
        if not torch.equal(other, places):
            farthest = max(farthest, float((pooled - taken).max() / values.abs().max() / ROUNDING))
        return taken, other

    def prune(flat: Tensor, cut: Cut, left: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        flat = flat * next(kept)
        signs = torch.stack([flat.clamp(min=0), flat.clamp(max=0)], 1)
        factors = propagate._factors(cut.total, signs.sum(2, dtype=torch.float64).abs())
        return (signs * factors.to(flat.dtype)[:, :, None]).sum(1), *left[1:]

    with choosing(win if pools else None, prune if cuts else None):
        return explainer(one, target=0, batch_size=1).relevance, farthest


def without_units_near_zero(explainer: sp.Explainer, batch: Tensor) -> Tensor:
    """Explain sequences as one batch; units whose sum is near 0 pass nothing on."""
    own = branches.stabilised

    def stabilised(denominator: Tensor, eps: float, **more: Any) -> Tensor:
        return own(denominator, eps, **more).masked_fill(denominator.abs() < NEAR * eps, torch.inf)

    with mock.patch.object(branches, "stabilised", stabilised):
        return explainer(batch, target=0, batch_size=len(batch)).relevance


# ---- what differs


@dataclass
class Found:
    """What came of one network and method.

    Attributes
    ----------
    subject, method : str
        Which.
    sequences : int
        How many were explained.
    causes : dict of str to int
        How many differ, for any batch size, by what makes them do so.
    scores : list of float
        Of those that differ by one factor the size of the score, in the median of all.
    candidates : list of float
        For each tie in a pool how far apart the candidates were, in roundings.
    largest : float
        The largest difference, in a sequence's largest |relevance|.
    usual : float
        The median over all sequences of the largest difference.
    """

    subject: str
    method: str
    sequences: int = 0
    causes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CAUSES, 0))
    scores: list[float] = field(default_factory=list)
    candidates: list[float] = field(default_factory=list)
    largest: float = 0.0
    usual: float = 0.0

    @property
    def row(self) -> dict[str, Any]:
        """A line of the table."""
        differ = sum(self.causes.values())
        low, high = binomtest(differ, self.sequences).proportion_ci(method="exact")
        told = {cause: str(self.causes[cause]) for cause in CAUSES}
        if self.scores:
            told[FACTOR] += f" (score at most {max(self.scores):.2g} of the median)"
        if self.candidates:
            told[POOL] += f" (candidates at most {max(self.candidates):.1f} roundings apart)"
        return {
            "network": self.subject,
            "method": self.method,
            "sequences": self.sequences,
            "differ": differ,
            "rate (95 % interval)": f"{differ / self.sequences:.2%} ({low:.2%} to {high:.2%})",
            **told,
            "largest difference": f"{self.largest:.1e}",
            "usual": f"{self.usual:.1e}",
        }


def away(maps: Tensor, from_: Tensor) -> Tensor:
    """Return how far maps (N, 4, L) are from others, each in the largest |relevance| of the other."""
    return (maps - from_).abs().amax((1, 2)) / from_.abs().amax((1, 2))


def alike(one: Tensor, other: Tensor) -> bool:
    """Say whether two maps (1, 4, L) are the same, or would be with another score to share out."""
    return bool(away(one, other) <= LIMIT) or by_a_factor(one, other)


def by_a_factor(one: Tensor, other: Tensor) -> bool:
    """Say whether two maps (1, 4, L) differ by little else than a factor."""
    factor = (one * other).sum() / (other * other).sum()
    return bool(away(one / factor, other) <= LIMIT) and abs(float(factor) - 1) > LIMIT / 2


def compare(subject: Subject, model: nn.Module, x: Tensor, method: str) -> Found:
    """Explain sequences in batches of all sizes, and find out what makes those that differ do so."""
    explainer = sp.Explainer(model, x[:1], method=METHODS[method])
    whole = explainer(x, target=0, batch_size=1)
    alone, size = whole.relevance, whole.output.abs() / whole.output.abs().median()
    found = Found(subject.title, method, len(x))
    worst, batch_of = torch.zeros(len(x), dtype=x.dtype), torch.ones(len(x), dtype=torch.int64)
    for batch in SIZES[1:]:
        apart = away(explainer(x, target=0, batch_size=batch).relevance, alone)
        batch_of[apart > worst] = batch
        worst = torch.maximum(worst, apart)
    found.largest, found.usual = float(worst.max()), statistics.median(worst.tolist())
    for i in (worst > LIMIT).nonzero().flatten().tolist():
        first = i // int(batch_of[i]) * int(batch_of[i])
        batch = x[first : first + int(batch_of[i])]
        cause, farthest = cause_of(explainer, batch, i - first, alone[i : i + 1], *noted(explainer, batch))
        found.causes[cause] += 1
        if cause == FACTOR:
            found.scores.append(float(size[i]))
        if cause == POOL:
            found.candidates.append(farthest)
    return found


def cause_of(
    explainer: sp.Explainer, x: Tensor, row: int, alone: Tensor, maps: Tensor, choices: Choices
) -> tuple[str, float]:
    """Say what makes a sequence's map another than that of the sequence alone; and see `again`.

    Parameters
    ----------
    explainer : Explainer
        The explainer.
    x : (N, 4, L) Tensor
        The batch.
    row : int
        Which of it.
    alone : (1, 4, L) Tensor
        The sequence's map where it is explained alone.
    maps : (N, 4, L) Tensor
        Those of the batch.
    choices : Choices
        What was chosen for the batch.
    """
    some = slice(row, row + 1)
    one, in_batch, choices = x[some], maps[some], choices.of(row)
    if by_a_factor(in_batch, alone):
        return FACTOR, 0.0
    forced, farthest = again(explainer, one, choices, pools=True, cuts=False)
    if alike(in_batch, forced):
        return POOL, farthest
    for pools in (False, True):
        if alike(in_batch, again(explainer, one, choices, pools=pools, cuts=True)[0]):
            return PRUNED, 0.0
    if alike(without_units_near_zero(explainer, x)[some], without_units_near_zero(explainer, one)):
        return ZERO, 0.0
    return OTHER, 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", action="append", choices=list(SUBJECTS), help="repeatable; all unless given")
    parser.add_argument("--sequences", type=int, help="of each network; its own number unless given")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS, help="a folder for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    told, found = machine(), list[Found]()
    # or no batch on a CPU is larger than its caches hold
    with mock.patch.object(batching, "CACHED", 1 << 60):
        for name in given.subject or SUBJECTS:
            subject = SUBJECTS[name]
            model, x = model_and_inputs(subject, given.sequences or subject.sequences)
            for method in subject.methods:
                found.append(compare(subject, model, x, method))
                print(", ".join(f"{key}: {value}" for key, value in found[-1].row.items()), flush=True)
    title = f"# Maps of one batch size and another: more than {LIMIT:g} of a sequence's largest |relevance| apart\n\n"
    text = f"{title}{listed(told)}- batch sizes: {', '.join(map(str, SIZES))}, against 1\n\n"
    text += table([one.row for one in found])
    print(text, end="")
    save(given.out, f"{told['date'][:10]}-batch-sizes", text, {"facts": told, "found": [asdict(one) for one in found]})


if __name__ == "__main__":
    main()
