"""Is a profile over positions flat? Edges, combs and uneven stretches, each against a null of its own.

The input is one row a sequence, (n, P), of non-negative numbers: |relevance| by position, or a motif's mass by the
offset at which it stands. Sequences are independent, positions are not, so the null turns each row by a random number
of positions (a circular shift): that keeps every row's distribution and autocorrelation, however sparse, and takes away
what is tied to the position. Tests within one question share the largest statistic of each draw (Westfall and Young's
maxT), which holds the chance of any false alarm at alpha.

A network with a weight for each position is uneven everywhere, so an edge must differ from the interior by more than
the interior's own stretches of the same width differ among each other, and a comb must stand out of the spectrum around
its harmonics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqplrp.evaluate import holm
from seqplrp.recovery.audit.findings import Range, ranges_of

Floats = npt.NDArray[np.float64]

LONGEST_PERIOD = 64
"""Periods up to this are looked for by themselves; longer ones only where the model's strides name them."""

_FEWEST_CYCLES = 4
_ENDS: tuple[Literal["start", "end"], ...] = ("start", "end")
_MOST_COMBS = 3


@dataclass(frozen=True, kw_only=True)
class AuditLimits:
    """When something is worth telling.

    Parameters
    ----------
    alpha : float
        Chance of a false alarm, for each kind of artifact in each check.
    draws : int
        Random shifts behind every null; 1 / (draws + 1) is the smallest p.
    edge, spot : float
        Least relative deviation of an edge, or of a stretch, from the interior's level.
    comb : float
        Least difference between a comb's highest and lowest phase, over the level.
    mass : float
        Share of the relevance that lies elsewhere than in a flat profile, below which a finding is only a note.
    negligible : float
        Share of what the score answers to the motif that the model uses, up to which its answer to another motif is
        called negligible. What can't be shown to be below it is not laid to the explanation.

    Notes
    -----
    All but `alpha` and `draws` are choices of ours, of what would mislead a reader of the maps; no theory gives them.
    What stays below them is not told, and is not shown to be absent.
    """

    alpha: float = 0.005
    draws: int = 499
    edge: float = 0.2
    spot: float = 0.25
    comb: float = 0.1
    mass: float = 0.01
    negligible: float = 0.1


@dataclass(frozen=True)
class Edge:
    """One end that stands apart: its extent in positions, its mean over the interior's, and p."""

    end: Literal["start", "end"]
    positions: Range
    ratio: float
    p: float


@dataclass(frozen=True)
class Comb:
    """A period: each phase's mean over the level (the phase of position l is l mod period), peak less trough, and p."""

    period: int
    phases: tuple[float, ...]
    contrast: float
    p: float


@dataclass(frozen=True)
class Spot:
    """A stretch of the interior that stands apart, and its mean over the level."""

    positions: Range
    ratio: float


@dataclass(frozen=True)
class Profile:
    """A profile and what is uneven about it.

    Attributes
    ----------
    mean : ndarray, shape (P,)
        Over the rows.
    noise : float
        Standard deviation of a position's mean under the null.
    level : float
        Mean of the interior, between the ends that stand apart.
    rows : int
        Rows that went in.
    edges, combs, spots : tuple
        What stands apart.
    spot_p : float
        Of the stretches, all together; 1 where nothing was tested.
    variation : float
        Standard deviation of the interior's positions over the level, less what noise explains.
    """

    mean: Floats
    noise: float
    level: float
    rows: int
    edges: tuple[Edge, ...]
    combs: tuple[Comb, ...]
    spots: tuple[Spot, ...]
    spot_p: float
    variation: float

    def displaced(self, ranges: Sequence[Range]) -> float:
        """Share of the whole that lies on some positions beyond the level, or that is missing there."""
        return float(sum(np.abs(self.mean[a:b] - self.level).sum() for a, b in ranges) / self.mean.sum())

    def comb_mass(self, comb: Comb) -> float:
        """Share of the whole that a comb moves from its low phases to its high ones."""
        phases = np.array(comb.phases)
        return float(np.abs(phases - phases.mean()).mean() / 2)


def normalised(values: npt.ArrayLike) -> Floats:
    """Bring each row (n, P) of non-negative numbers to a mean of 1, and leave out those that are 0 throughout."""
    rows = np.asarray(values, dtype=np.float64)
    size = rows.mean(axis=1, keepdims=True)
    kept = size[:, 0] > 0
    return np.asarray(rows[kept] / size[kept])


def examine(rows: Floats, rng: np.random.Generator, *, limits: AuditLimits, strides: Sequence[int] = ()) -> Profile:
    """Look for edges, combs and uneven stretches in a profile.

    Parameters
    ----------
    rows : ndarray, shape (n, P)
        One row a sequence, brought to a common size by `normalised`.
    rng : numpy.random.Generator
        Of the null's shifts.
    limits : AuditLimits
        When something is told.
    strides : sequence of int
        Periods to look for beside those up to `LONGEST_PERIOD`.
    """
    mean = rows.mean(axis=0)
    length = len(mean)
    centre = _centre(length)
    null = _shifted_means(rows, limits.draws, rng)
    noise = float(null.std())
    edges = _edges(mean, null, float(mean[centre].mean()), limits)
    first = max([length // 20, *(e.positions[1] for e in edges if e.end == "start")])
    last = min([length - length // 20, *(e.positions[0] for e in edges if e.end == "end")])
    inside = slice(first, last) if last - first >= 8 else centre
    level = float(mean[inside].mean())
    edges = tuple(replace(edge, ratio=float(mean[slice(*edge.positions)].mean() / level)) for edge in edges)
    null = _shifted_means(rows[:, inside], limits.draws, rng)
    combs, flattened = _combs(mean, inside, level, limits, strides, null)
    spots, spot_p = _spots(flattened, null, inside.start, level, limits)
    variation = max(0.0, float(flattened[inside].var() - null.var(axis=1).mean())) ** 0.5 / level
    return Profile(mean, noise, level, len(rows), edges, combs, spots, spot_p, variation)


def _centre(length: int) -> slice:
    return slice(length // 4, length - length // 4)


def _shifted_means(rows: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Means over rows that are each turned by a random number of positions: (draws, P)."""
    n, length = rows.shape
    turned = np.lib.stride_tricks.sliding_window_view(np.concatenate([rows, rows], axis=1), length, axis=1)
    each = np.arange(n)
    return np.stack([turned[each, rng.integers(length, size=n)].mean(axis=0) for _ in range(draws)])


def _edges(mean: Floats, null: Floats, level: float, limits: AuditLimits) -> tuple[Edge, ...]:
    length = len(mean)
    centre = _centre(length)
    widths = [w for w in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233) if w <= length // 5] or [1]

    def contrasts(profiles: Floats) -> Floats:  # (..., P) to (..., ends, widths)
        inside = profiles[..., centre].mean(axis=-1)
        starts = [profiles[..., :w].mean(axis=-1) - inside for w in widths]
        ends = [profiles[..., length - w :].mean(axis=-1) - inside for w in widths]
        return np.stack([np.stack(starts, axis=-1), np.stack(ends, axis=-1)], axis=-2)

    drawn, seen = contrasts(null), contrasts(mean)
    spread = drawn.std(axis=0) + 1e-300
    largest = np.abs(drawn / spread).max(axis=(1, 2))
    p = (1 + (largest[:, None, None] >= np.abs(seen / spread)).sum(axis=0)) / (limits.draws + 1)
    inner = np.array([_window_spread(mean[centre], w) for w in widths])
    told = (p <= limits.alpha) & (np.abs(seen) > 3 * inner) & (np.abs(seen) > limits.edge * level)
    found = []
    for row, end in enumerate(_ENDS):
        if told[row].any():
            best = int(np.where(told[row], np.abs(seen / spread)[row], 0).argmax())
            from_end = mean if end == "start" else mean[::-1]
            deviation = np.sign(seen[row, best]) * (from_end - level)
            least = max(2 * float(null.std()), min(2 * float(inner[0]), 0.5 * level), 0.5 * limits.edge * level)
            extent = _extent(deviation, max(least, 0.25 * float(deviation[: widths[best]].max())))
            place = (0, extent) if end == "start" else (length - extent, length)
            found.append(Edge(end, place, float(mean[slice(*place)].mean() / level), float(p[row, best])))
    return tuple(found)


def _window_spread(profile: Floats, width: int) -> float:
    """How much stretches of a width differ among each other; of few, they are not enough to say."""
    if len(profile) < 2 * width:
        return float("inf")
    return float(np.convolve(profile, np.full(width, 1 / width), mode="valid").std())


def _extent(deviation: Floats, least: float) -> int:
    """How many positions from the end deviate by more than the least; two in a row that do not end it."""
    apart = deviation > least
    half = apart[: len(apart) // 2]
    gaps = np.flatnonzero(~half[:-1] & ~half[1:])
    stop = int(gaps[0]) if gaps.size else len(half)
    inside = np.flatnonzero(half[:stop])
    return int(inside[-1]) + 1 if inside.size else 1


def _combs(
    mean: Floats, inside: slice, level: float, limits: AuditLimits, strides: Sequence[int], null: Floats
) -> tuple[tuple[Comb, ...], Floats]:
    """Find periods one after the other, each in what the ones before it leave; return the rest, too.

    A period must pass two tests: its phases differ more than those of turned rows do, and its lines stand out of the
    profile's own spectrum, so that a profile that is uneven anyhow is no comb.
    """
    longest = (inside.stop - inside.start) // _FEWEST_CYCLES
    periods = sorted({*range(2, min(LONGEST_PERIOD, longest) + 1), *(s for s in strides if 2 <= s <= longest)})
    rest, found, where = mean.copy(), list[Comb](), np.arange(len(mean))
    if not periods:
        return (), rest
    drawn = np.stack([_phase_spread(null, period) for period in periods])
    expected, spread = drawn.mean(axis=1), drawn.std(axis=1) + 1e-300
    largest = ((drawn - expected[:, None]) / spread[:, None]).max(axis=0)
    while len(found) < _MOST_COMBS:
        part = rest[inside]
        seen = np.array([_phase_spread(part, period) for period in periods])
        p = (1 + (largest >= ((seen - expected) / spread)[:, None]).sum(axis=1)) / (limits.draws + 1)
        lines = holm([_line_p(part, period) for period in periods])
        phases = [_phase_means(rest, inside, period) for period in periods]
        certain = (p <= limits.alpha) & (lines <= limits.alpha)
        told = [i for i in np.flatnonzero(certain).tolist() if np.ptp(phases[i]) > limits.comb * level]
        if not told:
            break
        best = _simplest(told, min(told, key=lambda i: _bic(part, periods[i])), periods, phases)
        period, offsets = periods[best], phases[best] - phases[best].mean()
        ratios = tuple((phases[best] / level).tolist())
        found.append(Comb(period, ratios, float(np.ptp(offsets) / level), float(max(p[best], lines[best]))))
        rest = rest - offsets[where % period]
    return tuple(found), rest


def _phase_spread(profiles: Floats, period: int) -> Floats:
    """Variance of the phases' means of profiles (..., P), cut to whole cycles: (...)."""
    cycles = profiles.shape[-1] // period
    whole = profiles[..., : cycles * period].reshape(*profiles.shape[:-1], cycles, period)
    return np.asarray(whole.mean(axis=-2).var(axis=-1))


def _phase_means(profile: Floats, inside: slice, period: int) -> Floats:
    phase = np.arange(inside.start, inside.stop) % period
    sums = np.bincount(phase, weights=profile[inside], minlength=period)
    return np.asarray(sums / np.bincount(phase, minlength=period))


def _simplest(told: Sequence[int], best: int, periods: Sequence[int], phases: Sequence[Floats]) -> int:
    """Return the shortest period that divides the best one and holds most of what it does."""
    most = 0.7 * float(phases[best].var())
    return min(i for i in told if periods[best] % periods[i] == 0 and float(phases[i].var()) >= most)


def _bic(part: Floats, period: int) -> float:
    """Schwarz's criterion of the model that each phase has a mean of its own: a period's multiples explain no more."""
    fitted = _phase_means(part, slice(0, len(part)), period)[np.arange(len(part)) % period]
    residual = float(((part - fitted) ** 2).mean()) + 1e-12 * float(part.var()) + 1e-300
    return float(len(part) * np.log(residual) + period * np.log(len(part)))


def _line_p(part: Floats, period: int) -> float:
    """Whether the spectrum at a period's harmonics stands above the spectrum around them (an F test).

    The profile is cut to whole cycles, so that the harmonics are bins of the discrete spectrum, and a parabola is taken
    out. Noise of any smooth spectrum has independent exponential powers with the local mean at each bin; a share of the
    mean power is added to the local one, as spectra of short windows have gaps.
    """
    from scipy import stats

    cycles = len(part) // period
    used = part[: cycles * period]
    smooth = np.linalg.qr(np.vander(np.linspace(-1.0, 1.0, len(used)), 3))[0]
    power = np.abs(np.fft.rfft(used - smooth @ (smooth.T @ used))) ** 2
    bins = len(power)
    harmonics = np.arange(cycles, bins, cycles)
    beside = np.ones(bins, dtype=bool)
    beside[harmonics] = beside[0] = False
    near = (np.abs(np.arange(bins) - harmonics[:, None]) <= max(1, min(8, cycles // 2))) & beside
    floor = (near @ power) / near.sum(axis=1) + 0.05 * power[beside].mean() + 1e-24 * (used**2).sum()
    freedom = np.full(len(harmonics), 2.0)
    freedom[-1] -= len(used) % 2 == 0 and harmonics[-1] == bins - 1  # the last bin is real
    ratio = float((power[harmonics] / floor) @ freedom / freedom.sum())
    return float(stats.f.sf(ratio, freedom.sum(), 2 * near.any(axis=0).sum()))


def _spots(
    flattened: Floats, null: Floats, first: int, level: float, limits: AuditLimits
) -> tuple[tuple[Spot, ...], float]:
    """Find stretches of the interior above or below the level; windows of several widths share one null."""
    size = null.shape[1]
    part = flattened[first : first + size]
    base = float(part.mean())
    widths = [w for w in (1, 3, 9, 27, 81) if w <= max(1, size // 6)]
    high, low = np.zeros(len(flattened), dtype=bool), np.zeros(len(flattened), dtype=bool)
    smoothed = [(_boxed(part - base, w), _boxed(null - null.mean(axis=1, keepdims=True), w)) for w in widths]
    spread = [drawn.std() + 1e-300 for _, drawn in smoothed]
    largest = np.max([np.abs(drawn).max(axis=1) / s for (_, drawn), s in zip(smoothed, spread)], axis=0)
    seen = max(float(np.abs(box).max() / s) for (box, _), s in zip(smoothed, spread))
    p = float((1 + (largest >= seen).sum()) / (limits.draws + 1))
    critical = float(np.quantile(largest, 1 - limits.alpha))
    for (box, _), width, s in zip(smoothed, widths, spread):
        told = (np.abs(box) / s > critical) & (np.abs(box) > limits.spot * level)
        for flags, sign in ((high, 1), (low, -1)):
            centres = first + width // 2 + np.flatnonzero(told & (np.sign(box) == sign))
            flags[centres] = True
    wide = [*ranges_of(high, gap=2), *ranges_of(low, gap=2)]
    stretches = sorted(_trimmed(one, flattened - base) for one in wide)
    return tuple(Spot(one, float(flattened[slice(*one)].mean() / level)) for one in stretches), p


def _trimmed(stretch: Range, deviation: Floats) -> Range:
    """Take positions off both ends that only a window's other positions brought in."""
    inside = deviation[slice(*stretch)]
    held = np.flatnonzero(inside * np.sign(inside.mean()) > 0.3 * abs(inside.mean()))
    return stretch[0] + int(held[0]), stretch[0] + int(held[-1]) + 1


def _boxed(profiles: Floats, width: int) -> Floats:
    """Means of windows of a width along the last axis: (..., P - width + 1)."""
    sums = np.concatenate([np.zeros((*profiles.shape[:-1], 1)), profiles.cumsum(axis=-1)], axis=-1)
    return np.asarray((sums[..., width:] - sums[..., :-width]) / width)


def slopes_on(pattern: Floats, rows: Floats) -> Floats:
    """How far each of other rows (n, P) follows a pattern: 1 as much, 0 not at all: (n,).

    Parameters
    ----------
    pattern : ndarray, shape (P,)
        Relative deviations from a level; 0 where nothing stands apart.
    rows : ndarray, shape (n, P)
        Brought to a mean of 1 each; deviations are from their own mean off the pattern.
    """
    off = pattern == 0
    level = float(rows[:, off].mean()) if off.any() else 1.0
    return np.asarray(((rows / level - 1.0) * pattern).sum(axis=1) / (pattern**2).sum())
