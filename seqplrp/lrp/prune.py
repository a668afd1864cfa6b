"""Pruning of relevance: thresholds per sign, and the mass given back to what is kept (METHODS.md, section 3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError

DEFAULT_BUDGET = 0.5
"""The share of the relevance that the whole network may prune where neither p nor a budget is given."""


@dataclass(frozen=True)
class Pruning:
    """How relevance is pruned at every activation that feeds a conv or a linear layer.

    Parameters
    ----------
    p : float or mapping, optional
        Largest share of the positive relevance that may be pruned at one activation, 0 <= p < 1; or a mapping from
        module-path patterns of the reading layers to such shares. p = 0 prunes nothing.
    budget : float, optional
        Largest share for the whole network; with n pruned activations on the longest path from input to output each
        gets ``p = 1 - (1 - budget)^(1/n)``. Give `p` or `budget`, not both; neither means a budget of
        0.5, chosen on the benchmark's development tasks.
    p_neg : float, optional
        The share for negative relevance; p/2 unless given.
    mode : {"lambda", "matrix"}
        How pruned mass is given back: by scaling what is kept, or by propagating again among the kept inputs.
    threshold : {"mass", "gain"}
        The criterion: cumulative mass, or sparsity gain.
    gain : float
        The g of the gain threshold: entries below g times the mean of the nonzero entries of their sign are pruned.
    tau : float
        Guard of matrix mode; 0 is the plain reading, without guard and final scaling.
    prune_input : bool
        Whether the map itself is pruned too; off in the paper.

    Notes
    -----
    Our implementation of PLRP (Yanez Sarmiento et al., arXiv 2404.14271, section 3.2), reconstructed from secondary
    sources; METHODS.md, section 3.
    """

    p: float | Mapping[str, float] | None = None
    budget: float | None = None
    p_neg: float | None = None
    mode: Literal["lambda", "matrix"] = "lambda"
    threshold: Literal["mass", "gain"] = "mass"
    gain: float = 1.0
    tau: float = 0.2
    prune_input: bool = False

    def __post_init__(self) -> None:
        if self.p is not None and self.budget is not None:
            raise SeqplrpError("p, budget", "both are given, but each sets the share to prune", "give one of them")
        shares = {"budget": self.budget, "p_neg": self.p_neg}
        if isinstance(self.p, Mapping):
            shares |= {f"p[{pattern!r}]": share for pattern, share in self.p.items()}
        else:
            shares["p"] = self.p
        for name, share in shares.items():
            if share is not None and not (isinstance(share, int | float) and 0 <= share < 1):
                raise SeqplrpError(name, f"{share!r} is not a share in [0, 1)", "give a number such as 0.5")
        _check_choice("mode", self.mode, ("lambda", "matrix"))
        _check_choice("threshold", self.threshold, ("mass", "gain"))
        if not isinstance(self.prune_input, bool):
            raise SeqplrpError("prune_input", f"{self.prune_input!r} is neither", "use True or False")
        for name, value in (("gain", self.gain), ("tau", self.tau)):
            if not (isinstance(value, int | float) and 0 <= value < math.inf):
                raise SeqplrpError(name, f"{value!r} is not a number >= 0", "give a number such as 1.0")


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SeqplrpError(name, f"{value!r} is not known", f"use one of {', '.join(map(repr, allowed))}")


@dataclass(frozen=True)
class Shares:
    """The shares that one activation may lose, per sign."""

    positive: float
    negative: float

    @property
    def prunes(self) -> bool:
        """Whether anything can be pruned."""
        return self.positive > 0 or self.negative > 0


def shares_of(pruning: Pruning, readers: tuple[str, ...], depth: int) -> Shares:
    """Work out one activation's shares.

    Parameters
    ----------
    pruning : Pruning
        The settings.
    readers : tuple of str
        Module paths of the layers that read the activation; the first pattern that matches any of them decides.
    depth : int
        Number of pruned activations on the longest path from input to output.
    """
    if isinstance(pruning.p, Mapping):
        matches = (share for pattern, share in pruning.p.items() if any(fnmatchcase(r, pattern) for r in readers))
        found = next(matches, None)
        if found is None:
            raise SeqplrpError(
                f"p at {' + '.join(readers)}",
                "no pattern of the mapping matches this layer",
                "add a '*' pattern",
            )
        p = found
    elif pruning.p is not None:
        p = pruning.p
    else:
        budget = DEFAULT_BUDGET if pruning.budget is None else pruning.budget
        p = 1.0 - (1.0 - budget) ** (1.0 / max(depth, 1))
    return Shares(p, p / 2 if pruning.p_neg is None else pruning.p_neg)


def described(pruning: Pruning, shares: Shares) -> str:
    """Say in a few characters how one activation is pruned, for the plan's table and the ledger."""
    if pruning.threshold == "gain":
        return f"gain {pruning.gain:g}"
    return f"mass {shares.positive:.3g} (-{shares.negative:.3g})"


@dataclass(frozen=True)
class Cut:
    """Where one activation is cut, and what that leaves of each sign.

    Attributes
    ----------
    positive, negative : Tensor
        (N, 1) in the relevance's dtype: entries above `positive` or below ``-negative`` are kept.
    total, kept : Tensor
        (N, 2) float64: sum of the size of the positive and of the negative entries, of all and of those kept.
    """

    positive: Tensor
    negative: Tensor
    total: Tensor
    kept: Tensor

    def masks(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Return 1 at the kept positive, and at the kept negative, entries of the flattened relevance (N, units).

        In the relevance's dtype: torch compares into floats three times as fast as into booleans, and multiplies by
        them five times as fast as it selects.
        """
        return _greater(flat, self.positive), torch.lt(flat, -self.negative, out=torch.empty_like(flat))


def scaled(flat: Tensor, cut: Cut, scales: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the kept entries, those of each sign times their factor (N, 2), and 0 elsewhere.

    Also how many are kept, and how many there were that are not 0: each (N,).
    """
    factors = scales.to(flat.dtype)
    result = torch.empty_like(flat)
    kept, before = [], []
    for rows in _parts(flat):
        part = result[rows]
        before.append(count_nonzero(flat[rows]))
        torch.gt(flat[rows], cut.positive[rows], out=part)
        negative = torch.lt(flat[rows], -cut.negative[rows], out=torch.empty_like(part))
        kept.append(count(part) + count(negative))
        part.mul_(factors[rows, :1]).addcmul_(negative, factors[rows, 1:]).mul_(flat[rows])
    return result, torch.cat(kept), torch.cat(before)


_ENTRIES_AT_ONCE = 1 << 18


def _parts(flat: Tensor) -> Iterator[slice]:
    """Take the rows apart, so that on a CPU what is made of some of them stays in its cache."""
    samples, units = flat.shape
    # torch adds into histograms row by row, so that each thread needs a row of its own
    rows = samples if flat.is_cuda else max(torch.get_num_threads(), _ENTRIES_AT_ONCE // max(units, 1))
    for start in range(0, samples, rows):
        yield slice(start, start + rows)


def count(mask: Tensor) -> Tensor:
    """Count the ones of a mask (N, units) in a float dtype, exactly: (N,), float64."""
    if mask.dtype == torch.float32 and mask.shape[1] >= 1 << 24:  # beyond, float32 can't hold every whole number
        return mask.sum(1, dtype=torch.float64)
    return mask.sum(1).to(torch.float64)


def _greater(flat: Tensor, limit: Tensor | float) -> Tensor:
    """Return 1 where an entry is greater and 0 elsewhere, in the entries' dtype."""
    return torch.gt(flat, limit, out=torch.empty_like(flat))


def find_cut(flat: Tensor, pruning: Pruning, shares: Shares) -> Cut:
    """Find the thresholds of a flattened relevance (N, units), per sample and sign."""
    if pruning.threshold == "gain":
        return _gain_cut(flat, pruning.gain, shares)
    return _mass_cut(flat, shares)


def count_nonzero(flat: Tensor) -> Tensor:
    """Count the nonzero entries: (N, units) -> (N,), float64."""
    return count(torch.ne(flat, 0, out=torch.empty_like(flat)))


def _gain_cut(flat: Tensor, gain: float, shares: Shares) -> Cut:
    """Gain thresholds: prune v < gain * mean of the nonzero entries of that sign, but never the largest."""
    measured = [_by_sign(flat[rows]) for rows in _parts(flat)]
    total, entries, largest = (torch.cat(one) for one in zip(*measured, strict=True))
    limit = (gain * total / entries.clamp(min=1)).to(flat.dtype)
    # rounding may lift the mean of equal entries above them all, and gain > 1 does so at will
    limit = torch.minimum(limit, largest)
    may_go = torch.tensor([shares.positive > 0, shares.negative > 0], device=flat.device)
    # entries below the limit go and those at it stay
    cut = torch.nextafter(torch.where(may_go, limit, 0), torch.zeros_like(limit))
    positive, negative = cut[:, :1], cut[:, 1:]
    kept = []
    for rows in _parts(flat):
        part, scratch = flat[rows], torch.empty_like(flat[rows])
        above = torch.gt(part, positive[rows], out=scratch).mul_(part).sum(1)
        below = torch.lt(part, -negative[rows], out=scratch).mul_(part).sum(1).neg_()
        kept.append(torch.stack([above, below], 1))
    return Cut(positive, negative, total, torch.cat(kept).to(torch.float64))


def _by_sign(part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum, the number and the largest of the sizes of the positive and of the negative entries: (N, 2)."""
    scratch = torch.empty_like(part)
    totals = (torch.clamp(part, min=0, out=scratch).sum(1), torch.clamp(part, max=0, out=scratch).sum(1).neg_())
    entries = (count(torch.gt(part, 0, out=scratch)), count(torch.lt(part, 0, out=scratch)))
    # two passes: on a CPU, aminmax takes forty times as long
    largest = torch.stack([part.amax(1).clamp(min=0), part.amin(1).clamp(max=0).neg_()], 1)
    return torch.stack(totals, 1).to(torch.float64), torch.stack(entries, 1), largest


# The bits of a float, read as an integer, order non-negative floats as their values do. So its leading bits (sign,
# exponent, a few of the fraction) bin the entries by sign and size without a sort; only the entries of the bin where
# the cumulative mass crosses its limit need a closer look. More bits make that look shorter and the histogram longer:
# there are about as many bins as entries.
_MOST_LEADING_BITS = 14


def _leading_bits(units: int, width: int) -> int:
    sign_and_exponent = 9 if width == 32 else 12
    return max(sign_and_exponent, min(_MOST_LEADING_BITS, units.bit_length()))


def _mass_cut(flat: Tensor, shares: Shares) -> Cut:
    """Mass thresholds: prune v > 0 where the sum of all positive entries <= v is at most p times their total."""
    samples = flat.shape[0]
    width = torch.finfo(flat.dtype).bits
    leading = _leading_bits(flat.shape[1], width)
    half = 1 << (leading - 1)
    bits = flat.contiguous().view(torch.int32 if width == 32 else torch.int64)
    # the sign bit leads, so the shift gives negative entries [-half, 0) and positive ones [0, half), each by size
    histogram = torch.zeros(samples, 2 * half, dtype=torch.float64, device=flat.device)
    bins = []
    for rows in _parts(flat):
        bins.append((bits[rows] >> (width - leading)).add_(half))
        histogram[rows].scatter_add_(1, bins[-1].long(), flat[rows].to(torch.float64))
    cumulative = histogram.abs_().view(samples, 2, half).cumsum(2)
    share = torch.tensor([shares.negative, shares.positive], dtype=torch.float64, device=flat.device)
    total = cumulative[:, :, -1]
    limit = torch.minimum(total * share, torch.nextafter(total, torch.zeros_like(total)))
    crossing = torch.searchsorted(cumulative, limit.unsqueeze(2), right=True).squeeze(2).clamp_(max=half - 1)
    below = cumulative.gather(2, (crossing - 1).clamp(min=0).unsqueeze(2)).squeeze(2)
    below = torch.where(crossing > 0, below, 0.0)
    # everything in the bins below the crossing bin goes: the cut is the largest float below that bin's lowest one
    lowest = (crossing << (width - leading)) - 1
    cut = lowest.clamp(min=0).to(bits.dtype).view(flat.dtype).clone()
    chosen = (crossing + torch.tensor([0, half], device=flat.device)).to(bits.dtype)
    inside = torch.empty(flat.shape, dtype=torch.uint8, device=flat.device)
    for rows, some in zip(_parts(flat), bins, strict=True):
        torch.eq(some, chosen[rows, :1], out=inside[rows])
        inside[rows].bitwise_or_(torch.eq(some, chosen[rows, 1:], out=torch.empty_like(inside[rows])))
    place = _where_true(inside.view(-1))
    sample, unit = place // flat.shape[1], place % flat.shape[1]
    pruned = below.clone()
    if len(sample):
        is_top = cumulative.gather(2, crossing.unsqueeze(2)).squeeze(2) == total
        _refine(cut.view(-1), pruned.view(-1), limit.flatten(), is_top.flatten(), flat[sample, unit], sample)
    return Cut(cut[:, 1:], cut[:, :1], total.flip(1), (total - pruned).flip(1))


def _where_true(mask: Tensor) -> Tensor:
    """Return the places of the few entries of a flat mask of bytes that are not 0, looking at eight at a time."""
    whole = len(mask) // 8 * 8
    words = mask[:whole].view(torch.int64).nonzero()  # (words, 1)
    near = (words * 8 + torch.arange(8, device=mask.device)).view(-1)
    near = torch.cat([near, torch.arange(whole, len(mask), device=mask.device)])
    return near[mask[near] != 0]


def _refine(cut: Tensor, pruned: Tensor, limit: Tensor, is_top: Tensor, values: Tensor, sample: Tensor) -> None:
    """Raise each cut to the largest entry of its crossing bin that can still go, and what is pruned with it.

    `cut`, `pruned` (so far: the mass below the bin), `limit` and `is_top` (no bin above holds anything) are flat over
    (sample, sign), negative first. Each group is summed by itself, in order of size, so that rounding can't make one
    sample's cut depend on another's entries; nor can it take the largest entry of all along.
    """
    group = sample * 2 + (values > 0)
    size, by_size = values.abs().sort()
    group, by_group = group[by_size].sort(stable=True)
    size = size[by_group]
    counts = torch.bincount(group, minlength=cut.numel())
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(group), device=group.device) - starts[group]
    rows = size.new_zeros((cut.numel(), int(counts.max())), dtype=torch.float64)
    rows[group, place] = size.to(torch.float64)
    mass = pruned[group] + rows.cumsum(1)[group, place]
    is_last_of_equals = torch.ones_like(group, dtype=torch.bool)
    is_last_of_equals[:-1] = (size[1:] != size[:-1]) | (group[1:] != group[:-1])
    is_largest = (place == counts[group] - 1) & is_top[group]
    goes = is_last_of_equals & (mass <= limit[group]) & ~is_largest
    cut.scatter_reduce_(0, group[goes], size[goes], reduce="amax")
    pruned.scatter_reduce_(0, group[goes], mass[goes], reduce="amax")
