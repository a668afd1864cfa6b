"""From seqlets to motifs: cluster, align, count. The light path, without TF-MoDISco."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.stats import binom

from seqplrp.errors import SeqplrpError
from seqplrp.genomics import dinucleotide_shuffle
from seqplrp.genomics.motifs import Motif
from seqplrp.recovery.informative_cores import background_of, informative_core

FEWEST_SEQLETS = 20
"""Seqlets that a pattern must have, as TF-MoDISco's smallest cluster."""

MEMBER_COLUMNS = ("sequence", "start", "end", "strand", "sign", "mass", "similarity")

FEWEST_BITS = 6.0
"""Information that a pattern must have: with less it matches by chance in every 32 bases of both strands."""

MOST_CHANCE = 1e-6
"""How probable a pattern's number of seqlets may be by chance. On random words 82 clusters (of 600 to 1,500 seqlets,
ten times) had 5e-4 and above; the rarest motif that was planted in a simulated task, in 28 of 196 seqlets, 6e-30."""

_HALF = 15  # bases of a window at each side of its middle
_WIDTH = 2 * _HALF + 1
_MOST_SHIFT = 10  # bases by which two windows may be moved against one another
_ALIKE = 0.6  # similarity at which seqlets are put into one cluster (average linkage)
_MEMBER = 0.45  # similarity to a pattern's profile that makes a seqlet a member
_SAME = 0.7  # similarity of two patterns' matrices that makes them one
_MOST_CLUSTERED = 2000
_ROUNDS = 3
_WEAKEST = 0.25  # share of the members that may score below what counts as a match of the matrix
_MOST_SHUFFLED = 100_000  # bases
_PSEUDOCOUNT = 1.0  # sites of background composition

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Codes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pattern:
    """A motif that was found, and the seqlets it was made of.

    Attributes
    ----------
    motif : Motif
        Base frequencies of the aligned members, with one site of the background as pseudocount, from the first to the
        last position that stands out from the background. Its name is the pattern's: ``pos_0`` has the most members of
        the patterns of positive relevance, ``neg_0`` of those of negative.
    sign : int
        +1 or -1.
    contributions : ndarray of float64, shape (W, 4)
        Mean relevance of each base at each position of the motif.
    members : DataFrame
        ``sequence``, ``start`` and ``end`` (of the motif there, 0-based, half-open, which may reach over the sequence's
        ends), ``strand`` (where the motif reads), ``sign``, ``mass`` (of the seqlet) and ``similarity`` (to the
        pattern's profile, 0 to 1), the most similar first.
    p : float
        How probable it is that as many seqlets hold the motif, if their letters were those of shuffled sequences; NaN
        where nobody tested it.
    """

    motif: Motif
    sign: int
    contributions: npt.NDArray[np.float64]
    members: pd.DataFrame
    p: float = float("nan")

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self.members)

    @property
    def bits(self) -> float:
        """Information of the motif."""
        return float(self.motif.information_content().sum())

    def __repr__(self) -> str:
        return f"<Pattern {self.motif.name}, {len(self)} seqlets, {self.motif.iupac}>"


def find_patterns(
    seqlets: pd.DataFrame,
    codes: npt.ArrayLike,
    relevance: Any,
    *,
    fewest: int = FEWEST_SEQLETS,
    chance: float = MOST_CHANCE,
    bits: float = FEWEST_BITS,
) -> list[Pattern]:
    """Cluster seqlets by what they have in common, and make a motif of each cluster.

    Parameters
    ----------
    seqlets : DataFrame
        As `call_seqlets` returns it.
    codes : array of integers, shape (N, L)
        The sequences, A = 0 ... T = 3, N = 4.
    relevance : array-like or Tensor, shape (N, L) or (N, 4, L)
        Relevance of each position; or contributions of each base there, projected or hypothetical. With hypothetical
        ones seqlets may be alike in what the model would have liked to see, not only in what is there.
    fewest, chance, bits
        Patterns of fewer members, with a higher `Pattern.p`, or of less information are dropped.

    Returns
    -------
    list of Pattern
        Those of positive relevance first, and of either sign the one of most members first. The same input gives the
        same patterns; nothing is drawn at random.

    Raises
    ------
    SeqplrpError
        If the arrays or the table do not fit.

    Notes
    -----
    A seqlet's profile is the share of its relevance of its own sign at each position and base; the similarity of two
    is the Bhattacharyya coefficient of their profiles, the sum of sqrt(a b), the highest over both strands and all
    shifts of up to 10 bases: 1 if they are the same, 0 if they have nothing in common. Of the seqlets of the highest
    scores, up to 2,000 are clustered by average linkage, cut at 0.6. The members of a cluster are
    aligned to its medoid, then to their own mean profile, twice, while each seqlet goes to the pattern that it is
    most similar to, if to any (0.45). Patterns whose matrices are alike (cosine of the departures from the background
    of 0.7 or above) are merged. Members whose letters are more probable in the background than in the motif are
    dropped, the letters under the rest are counted, and the matrix is cut to where it stands out from the background.

    Words that are clustered by their likeness look like a motif, whatever they are. So a matrix counted from the
    members in every other sequence is looked for in all seqlets of the rest, and the other way round: `Pattern.p` is
    the binomial probability of so many matches, had seqlets the letters of dinucleotide shuffles.
    """
    letters, contributions = _checked(codes, relevance)
    _check_table(seqlets, letters)
    if isinstance(fewest, bool) or not isinstance(fewest, int) or fewest < 2:
        raise SeqplrpError("fewest", f"is {fewest!r}", "give a whole number of 2 or more")
    background = background_of(np.bincount(letters.ravel(), minlength=5)[:4])
    background = (background + background[::-1]) / 2  # members lie on both strands
    shuffled = _shuffles(letters)
    found = []
    for sign, name in ((1, "pos"), (-1, "neg")):
        of_sign = seqlets[seqlets["sign"] == sign]
        if len(of_sign) < fewest:
            continue
        windows = _Windows.of(of_sign, letters, sign * contributions)
        aligned = _merged(_refined(windows, _clusters(windows, fewest), fewest), windows, background, fewest)
        aligned = [_agreeing(one, windows, background) for one in aligned]
        patterns = [_pattern(one, windows, background, shuffled, sign, contributions) for one in aligned]
        kept = [p for p in patterns if p is not None and len(p) >= fewest and p.p <= chance and p.bits >= bits]
        kept.sort(key=lambda p: -len(p))
        found += [_named(pattern, f"{name}_{number}") for number, pattern in enumerate(kept)]
    return found


def _shuffles(letters: Codes) -> Codes:
    """Shuffle as many of the sequences, evenly taken, as are enough to count matches in."""
    some = max(1, min(len(letters), _MOST_SHUFFLED // letters.shape[1]))
    rows = np.linspace(0, len(letters) - 1, some).astype(np.int64)
    return dinucleotide_shuffle(letters[rows], np.random.default_rng(0))


def _checked(codes: npt.ArrayLike, relevance: Any) -> tuple[Codes, npt.NDArray[np.float64]]:
    letters = np.asarray(codes)
    values = np.asarray(relevance.detach().cpu() if hasattr(relevance, "detach") else relevance, dtype=np.float64)
    if letters.ndim != 2 or letters.dtype.kind not in "iu" or letters.size == 0 or letters.max() > 4:
        what = f"has shape {letters.shape} and dtype {letters.dtype}, not codes 0..4 of shape (N, L)"
        raise SeqplrpError("codes", what, "give what genomics.encode returns")
    n, length = letters.shape
    if values.shape not in ((n, length), (n, 4, length)):
        what = f"has shape {values.shape}, not {(n, length)} or {(n, 4, length)}"
        raise SeqplrpError("relevance", what, "give the maps of the same sequences")
    if not np.isfinite(values).all():
        raise SeqplrpError("relevance", "holds NaN or infinite values", "check the model's weights")
    if values.ndim == 2:
        values = values[:, None, :] * (letters[:, None, :] == np.arange(4)[:, None])
    return letters.astype(np.uint8), values


def _check_table(seqlets: pd.DataFrame, letters: Codes) -> None:
    missing = {"sequence", "start", "end", "sign", "mass", "score"} - set(seqlets.columns)
    if missing:
        raise SeqplrpError("seqlets", f"has no column {min(missing)!r}", "give the table of call_seqlets")
    n, length = letters.shape
    row, start, end = (seqlets[name].to_numpy() for name in ("sequence", "start", "end"))
    if len(seqlets) and not ((row >= 0) & (row < n) & (start >= 0) & (start < end) & (end <= length)).all():
        raise SeqplrpError("seqlets", f"holds some that do not lie on {n} sequences of {length}", "call them anew")


@dataclass(frozen=True)
class _Windows:
    """Seqlets as windows of 2 x 15 + 1 bases about their middles, the highest score first."""

    table: pd.DataFrame
    middle: Integers  # (n,) positions in their sequences
    profile: Floats  # (n, 4, _WIDTH) square roots of shares, of norm 1
    letters: Codes  # (N, L), of all sequences

    @classmethod
    def of(cls, seqlets: pd.DataFrame, letters: Codes, contributions: npt.NDArray[np.float64]) -> _Windows:
        """Cut windows out; relevance of the other sign, and beyond the seqlet itself, counts nothing."""
        table = seqlets.sort_values(["score", "sequence", "start"], ascending=[False, True, True], ignore_index=True)
        row, start, end = (table[name].to_numpy(dtype=np.int64) for name in ("sequence", "start", "end"))
        length = letters.shape[1]
        at = (start + end)[:, None] // 2 + np.arange(-_HALF, _HALF + 1)
        own = (at >= start[:, None]) & (at < end[:, None])
        cut = contributions[row[:, None], :, np.clip(at, 0, length - 1)].transpose(0, 2, 1)
        share = np.where(own[:, None, :], np.maximum(cut, 0.0), 0.0)
        total = share.sum(axis=(1, 2), keepdims=True)
        profile = np.sqrt(share / np.where(total > 0, total, 1.0)).astype(np.float32)
        return cls(table, (start + end) // 2, profile, letters)

    def __len__(self) -> int:
        return len(self.middle)


@dataclass(frozen=True)
class _Aligned:
    """A pattern while it is being made: its profile, and where it lies on each of its members."""

    profile: Floats  # (4, _WIDTH), of norm 1
    member: Integers  # rows of the windows
    middle: Integers  # where the profile's middle lies in each member's sequence
    reverse: npt.NDArray[np.bool_]
    similarity: Floats


def _shifted(profiles: Floats, shift: int) -> Floats:
    """Move profiles (..., W) to the right by `shift`, filling with zeros."""
    moved = np.zeros_like(profiles)
    if shift >= 0:
        moved[..., shift:] = profiles[..., : profiles.shape[-1] - shift]
    else:
        moved[..., :shift] = profiles[..., -shift:]
    return moved


def _best_fits(queries: Floats, targets: Floats) -> tuple[Floats, npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
    """Compare each of n queries with each of m targets: the highest similarity over shifts and strands, (n, m) each.

    The second is the shift and the third the strand at which the target, turned first and then moved, lies on the
    query. Ties go to the smallest shift, forward first, so that equal inputs give equal alignments.
    """
    n, m = len(queries), len(targets)
    flat = np.ascontiguousarray(queries.reshape(n, -1))
    best = np.full((n, m), -1.0, dtype=np.float32)
    shift_at, reverse_at = np.zeros((n, m), dtype=np.int8), np.zeros((n, m), dtype=bool)
    turned = targets[:, ::-1, ::-1]
    for shift in sorted(range(-_MOST_SHIFT, _MOST_SHIFT + 1), key=lambda s: (abs(s), s)):
        for reverse, side in ((False, targets), (True, turned)):
            similarity = flat @ _shifted(side, shift).reshape(m, -1).T
            better = similarity > best + np.float32(1e-6)
            np.copyto(best, similarity, where=better)
            shift_at[better] = shift
            reverse_at[better] = reverse
    return best, shift_at, reverse_at


def _clusters(windows: _Windows, fewest: int) -> list[Floats]:
    """Return the profiles of the medoids of all clusters of the seqlets of the highest scores, the largest first."""
    profiles = windows.profile[:_MOST_CLUSTERED]
    similarity, _, _ = _best_fits(profiles, profiles)
    similarity = np.maximum(similarity, similarity.T)
    np.fill_diagonal(similarity, 1.0)
    distance = squareform(np.maximum(1.0 - similarity, 0.0), checks=False)
    label = fcluster(linkage(distance, "average"), 1.0 - _ALIKE, "distance") - 1
    sizes = np.bincount(label)
    # Seqlets beyond those clustered may join, so a cluster need not yet be as large as a pattern.
    least = max(2, int(np.ceil(0.5 * fewest * len(profiles) / len(windows))))
    medoids = []
    for cluster in np.argsort(-sizes, kind="stable"):
        if sizes[cluster] < least:
            break
        inside = np.flatnonzero(label == cluster)
        medoids.append(profiles[inside[similarity[np.ix_(inside, inside)].sum(axis=1).argmax()]])
    return medoids


def _refined(windows: _Windows, profiles: Sequence[Floats], fewest: int) -> list[_Aligned]:
    """Give each seqlet to the profile it is most similar to, make profiles of the members' means, and again."""
    aligned: list[_Aligned] = []
    for _ in range(_ROUNDS):
        if not profiles:
            return []
        aligned = _assigned(windows, np.stack(profiles))
        aligned = [one for one in aligned if len(one.member) >= max(2, fewest // 2)]
        profiles = [one.profile for one in aligned]
    return [one for one in aligned if len(one.member) >= fewest]


def _assigned(windows: _Windows, profiles: Floats) -> list[_Aligned]:
    similarity, shift, reverse = _best_fits(windows.profile, profiles)
    choice = similarity.argmax(axis=1)
    rows = np.arange(len(windows))
    fits = similarity[rows, choice] >= _MEMBER
    aligned = []
    for number in range(len(profiles)):
        member = np.flatnonzero(fits & (choice == number))
        if not len(member):
            continue
        moved, turned = shift[member, number].astype(np.int64), reverse[member, number]
        # The profile, turned and then moved by `moved`, lies on the window; so the window, moved the other way and then
        # turned, lies on the profile.
        wide = np.pad(windows.profile[member], ((0, 0), (0, 0), (_MOST_SHIFT, _MOST_SHIFT)))
        at = np.arange(_WIDTH) + moved[:, None] + _MOST_SHIFT
        mine = np.take_along_axis(wide, at[:, None, :], axis=2)
        mine = np.where(turned[:, None, None], mine[:, ::-1, ::-1], mine)
        mean = mine.mean(axis=0)
        norm = float(np.linalg.norm(mean))
        if norm == 0:
            continue
        middle = windows.middle[member] + moved
        one = _Aligned(mean / np.float32(norm), member, middle, turned, similarity[member, number])
        aligned.append(_once_each(one, windows))
    return aligned


def _once_each(one: _Aligned, windows: _Windows) -> _Aligned:
    """Keep one member where several seqlets of a sequence are parts of the same site."""
    row = windows.table["sequence"].to_numpy()[one.member]
    order = np.lexsort((-one.similarity, one.middle, row))
    same = (np.diff(row[order]) == 0) & (np.diff(one.middle[order]) <= 2)
    return _only(one, np.sort(order[np.concatenate([[True], ~same])]))


def _only(one: _Aligned, keep: npt.NDArray[np.intp]) -> _Aligned:
    return replace(
        one,
        member=one.member[keep],
        middle=one.middle[keep],
        reverse=one.reverse[keep],
        similarity=one.similarity[keep],
    )


def _counts(one: _Aligned, windows: _Windows, half: int = _HALF) -> npt.NDArray[np.int64]:
    """Count the letters under the aligned members: (2 half + 1, 4). Beyond a sequence's ends nothing is counted."""
    words = _words(one, windows, half)
    return np.stack([(words == base).sum(axis=0) for base in range(4)], axis=1)


def _words(one: _Aligned, windows: _Windows, half: int) -> Codes:
    row = windows.table["sequence"].to_numpy(dtype=np.int64)[one.member]
    at = one.middle[:, None] + np.arange(-half, half + 1)
    length = windows.letters.shape[1]
    inside = (at >= 0) & (at < length)
    words = np.where(inside, windows.letters[row[:, None], np.clip(at, 0, length - 1)], 4)
    turned = np.where(words < 4, 3 - words, 4)[:, ::-1]
    return np.where(one.reverse[:, None], turned, words).astype(np.uint8)


def _merged(
    aligned: list[_Aligned], windows: _Windows, background: npt.NDArray[np.float64], fewest: int
) -> list[_Aligned]:
    """Merge patterns whose matrices are alike, the most alike first, until none are."""
    while len(aligned) > 1:
        matrices = np.stack([_departure(one, windows, background) for one in aligned])
        similarity, _, _ = _best_fits(matrices, matrices)
        np.fill_diagonal(similarity, 0.0)
        first, second = np.unravel_index(int(similarity.argmax()), similarity.shape)
        if similarity[first, second] < _SAME:
            break
        smaller = min((first, second), key=lambda i: len(aligned[i].member))
        aligned = _assigned(windows, np.stack([one.profile for i, one in enumerate(aligned) if i != smaller]))
        aligned = [one for one in aligned if len(one.member) >= fewest]
    return aligned


def _departure(one: _Aligned, windows: _Windows, background: npt.NDArray[np.float64]) -> Floats:
    """Return how a pattern's base frequencies depart from the background, of norm 1: (4, _WIDTH)."""
    counts = _counts(one, windows)
    frequencies = (counts + background) / (counts.sum(axis=1, keepdims=True) + 1.0)
    departure = (frequencies - background).T
    norm = np.linalg.norm(departure)
    return np.asarray(departure / (norm if norm > 0 else 1.0), dtype=np.float32)


def _agreeing(one: _Aligned, windows: _Windows, background: npt.NDArray[np.float64]) -> _Aligned:
    """Drop members whose letters are more probable in the background than in the motif."""
    counts = _counts(one, windows)
    core = informative_core(counts, background)
    if core is None:
        return one
    first, last = core
    table = _log_odds(counts[first:last], background)
    words = _words(one, windows, _HALF)[:, first:last]
    keep = table[np.arange(last - first), words].sum(axis=1) > 0
    return _only(one, np.flatnonzero(keep))


def _log_odds(counts: npt.NDArray[Any], background: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return bits of each base and, last, of N: (W, 5), with one site of the background as pseudocount."""
    smoothed = counts + background
    bits = np.log2(smoothed / smoothed.sum(axis=1, keepdims=True) / background)
    return np.concatenate([bits, np.zeros((len(bits), 1))], axis=1)


def _pattern(
    one: _Aligned,
    windows: _Windows,
    background: npt.NDArray[np.float64],
    shuffled: Codes,
    sign: int,
    contributions: npt.NDArray[np.float64],
) -> Pattern | None:
    """Count, trim and describe; None where no part stands out from the background."""
    counts = _counts(one, windows)
    core = informative_core(counts, background)
    if core is None:
        return None
    first, last = core
    p = _enrichment(one, windows, core, background, shuffled)
    kept = counts[first:last]
    motif = Motif(
        "pattern", kept / kept.sum(axis=1, keepdims=True), nsites=len(one.member), background=background
    ).with_pseudocount(_PSEUDOCOUNT)
    row = windows.table["sequence"].to_numpy(dtype=np.int64)[one.member]
    # Turned round, the motif's positions count from the other end.
    start = np.where(one.reverse, one.middle + _HALF + 1 - last, one.middle - _HALF + first)
    members = pd.DataFrame(
        {
            "sequence": row,
            "start": start,
            "end": start + (last - first),
            "strand": np.where(one.reverse, "-", "+"),
            "sign": sign,
            "mass": windows.table["mass"].to_numpy()[one.member],
            "similarity": np.minimum(one.similarity, 1.0).astype(np.float64),
        },
        columns=list(MEMBER_COLUMNS),
    ).sort_values(["similarity", "sequence", "start"], ascending=[False, True, True], ignore_index=True)
    return Pattern(motif, sign, _mean_contributions(members, contributions, last - first), members, p)


def _enrichment(
    one: _Aligned, windows: _Windows, core: tuple[int, int], background: npt.NDArray[np.float64], shuffled: Codes
) -> float:
    """Return how probable so many seqlets with the motif were if their letters were those of shuffled sequences.

    Any cluster of alike words agrees with itself. So the matrix is counted from the members in every other sequence
    and looked for in the seqlets of the rest, then the other way round.
    """
    first, last = core
    row = windows.table["sequence"].to_numpy(dtype=np.int64)
    span = (windows.table["end"] - windows.table["start"]).to_numpy()
    words = _words(one, windows, _HALF)[:, first:last]
    hits, chance = 0, np.zeros(len(row))
    for half in (0, 1):
        mine, rest = row[one.member] % 2 == half, np.flatnonzero(row % 2 != half)
        if not mine.any() or not len(rest):
            return 1.0
        table = _log_odds(np.stack([(words[mine] == base).sum(axis=0) for base in range(4)], axis=1), background)
        # The same word, added up in another order, must not fall below itself.
        threshold = np.quantile(table[np.arange(len(table)), words[mine]].sum(axis=1), _WEAKEST) - 1e-9
        rate = float((_best_scores(shuffled, table) >= threshold).mean())
        at = windows.table["start"].to_numpy()[rest, None] + np.arange(span[rest].max()) - len(table) // 2
        best = _best_scores_at(windows.letters, row[rest], at, table)
        inside = np.arange(best.shape[1]) < span[rest, None]
        hits += int(((best >= threshold) & inside).any(axis=1).sum())
        chance[rest] = 1.0 - (1.0 - rate) ** span[rest]
    return float(binom.sf(hits - 1, len(row), chance.mean()))


def _best_scores(codes: Codes, table: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Score every whole window of some sequences, by the better of both strands."""
    row = np.arange(len(codes))
    at = np.broadcast_to(np.arange(codes.shape[1] - len(table) + 1), (len(codes), codes.shape[1] - len(table) + 1))
    return _best_scores_at(codes, row, at, table)


def _best_scores_at(
    codes: Codes, row: Integers, at: npt.NDArray[np.int64], table: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Score windows by where they start, (n, m), by the better of both strands; beyond the ends every base is N."""
    length = codes.shape[1]
    turned = np.concatenate([table[::-1, 3::-1], table[::-1, 4:]], axis=1)
    forward, reverse = np.zeros(at.shape), np.zeros(at.shape)
    for offset in range(len(table)):
        place = at + offset
        letter = np.where((place >= 0) & (place < length), codes[row[:, None], np.clip(place, 0, length - 1)], 4)
        forward += table[offset, letter]
        reverse += turned[offset, letter]
    return np.maximum(forward, reverse)


def _mean_contributions(
    members: pd.DataFrame, contributions: npt.NDArray[np.float64], width: int
) -> npt.NDArray[np.float64]:
    """Average the contributions over the members, along the motif: (W, 4)."""
    length = contributions.shape[2]
    at = members["start"].to_numpy()[:, None] + np.arange(width)
    inside = (at >= 0) & (at < length)
    cut = contributions[members["sequence"].to_numpy()[:, None], :, np.clip(at, 0, length - 1)]
    cut = np.where(inside[:, :, None], cut, 0.0)
    turned = (members["strand"] == "-").to_numpy()
    return np.asarray(np.where(turned[:, None, None], cut[:, ::-1, ::-1], cut).mean(axis=0))


def _named(pattern: Pattern, name: str) -> Pattern:
    return replace(pattern, motif=replace(pattern.motif, name=name))
