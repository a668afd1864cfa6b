"""What can be asked of explanations as a whole, answered in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqplrp.plot import PageCheck
from seqplrp.recovery.report.accounts import LIMIT, Account
from seqplrp.recovery.report.runs import Run, Runs

State = Literal["good", "warn", "open"]

_SUM_LIMIT = 1e-3  # of the |relevance| that arrived: float32 sums of many positions
_DOUBTFUL = 0.5  # cosine of the two strands' maps
Floats = npt.NDArray[np.float64]


def checks_of(
    runs: Runs, accounts: Sequence[Account | None], agreement: Sequence[Floats], on_motifs: Floats | None
) -> Iterator[PageCheck]:
    """Yield the checks.

    Parameters
    ----------
    runs : Runs
    accounts : sequence of Account or None
        One a run.
    agreement : sequence of (N,) array
        Cosine of each further run's maps with the first one's.
    on_motifs : (N,) array, optional
        The share of the first run's positive relevance that lies on motifs of the explained class.
    """
    yield conservation(runs, accounts)
    yield strands(runs)
    yield from scores(runs)
    if agreement:
        yield methods(runs, agreement)
    if on_motifs is not None and np.isfinite(on_motifs).any():
        yield truth(on_motifs)
    yield from remarks(runs)


def conservation(runs: Runs, accounts: Sequence[Account | None]) -> PageCheck:
    """Does what the layers hand on, and lose, add up to the score?"""
    told = [_conserved(runs, run, account) for run, account in zip(runs.runs, accounts, strict=True)]
    states = [state for state, _ in told]
    state: State = "warn" if "warn" in states else "good" if "good" in states else "open"
    several = len(told) > 1
    texts = [f"{run.title}: {text}" if several else text for run, (_, text) in zip(runs.runs, told, strict=True)]
    return PageCheck("Conservation", state, "\n".join(texts))


def _conserved(runs: Runs, run: Run, account: Account | None) -> tuple[State, str]:
    if account is None:
        if not run.found.method.startswith(("PLRP", "LRP")):
            return "open", "keeps no ledger, so nothing is claimed of its sums."
        return "open", "Not known: the run wrote no ledger.tsv (`seqplrp export DIR --to tsv` makes it)."
    if not account.layers:
        return "open", "Its rule scales each layer by a number of its own and does not claim that sums are kept."
    if not account.worst <= LIMIT:
        record, layer = account.worst_at
        what = f"{account.worst:.2g} of the relevance at layer {layer} of {record} is unaccounted for"
        return "warn", f"A ledger does not balance: {what}, above {LIMIT:g}. Explain in float64."
    text = (
        f"Every account balances: of {account.layers:,}, one a layer and sequence, the worst leaves "
        f"{account.worst:.1g} of its relevance unexplained (limit {LIMIT:g})."
    )
    state, further = _sums(runs, run, account)
    return state, f"{text} {further}".strip()


def _sums(runs: Runs, run: Run, account: Account) -> tuple[State, str]:
    """Compare the maps' sums with what the ledgers say arrived at the bases."""
    per_base = runs.flat(run, run.found.arrays.per_base).astype(np.float64)
    total, size = _per_sequence(runs, per_base), _per_sequence(runs, np.abs(per_base))
    gap = np.abs(total - account.end) / np.maximum(np.maximum(size, np.abs(account.end)), 1e-30)
    known = np.isfinite(gap) & run.there
    if not known.any():
        return "good", ""
    if (gap[known] <= _SUM_LIMIT).all():
        share = _median(account.bias[known] / np.where(account.start[known] == 0, np.nan, account.start[known]))
        return "good", f"What arrived at the bases is the sum of the map.{_biases(share)}"
    moved = f"{_median(account.end[known]):.3g} arrived in the median, the maps sum to {_median(total[known]):.3g}"
    if "center='" in run.found.method:
        return "good", f"The maps were then centred, which changes sums: {moved}."
    if account.unclaimed:
        return "open", f"The maps' sums are not claimed to be those of the scores: {moved}."
    return "warn", f"But the maps are not what arrived: {moved}. Explain again."


def _biases(share: float) -> str:
    """Say what the biases took of the score, or gave: what lowers a score leaves more to explain."""
    if not np.isfinite(share):
        return ""
    if share < 0:
        return f" The bases explain {100 * (1 - share):.0f} % of the score, as biases lower it (medians)."
    return f" The bases explain {100 * (1 - share):.0f} % of the score, biases the rest (medians)."


def strands(runs: Runs) -> PageCheck:
    """Does the map of the reverse complement agree?"""
    told, low = [], False
    for run in runs.runs:
        cosine = run.numbers("strand_consistency")
        known = cosine[np.isfinite(cosine)]
        if not len(known):
            continue
        few = int((known < _DOUBTFUL).sum())
        low |= few > 0.1 * len(known)
        worst = str(runs.places.ids[int(np.nanargmin(cosine))])
        name = f"{run.title}: " if len(runs.runs) > 1 else ""
        told.append(
            f"{name}the maps of the two strands have a median cosine of {np.median(known):.2f}; "
            f"{few:,} of {len(known):,} sequences are below {_DOUBTFUL:g} (the lowest, {worst}, {known.min():.2f})."
        )
    if not told:
        text = (
            "Not tested: each sequence was explained as it was read. `seqplrp explain --reverse-complement` explains "
            "both strands, averages them, and tells how far they agree."
        )
        return PageCheck("Reverse complement", "open", text)
    text = "\n".join(told)
    return PageCheck("Reverse complement", "warn" if low else "good", text[0].upper() + text[1:])


def scores(runs: Runs) -> Iterator[PageCheck]:
    """Which scores are explained: that of a negative one reads the other way round."""
    told, below_any = [], False
    for run in runs.runs:
        score = run.numbers("output")
        known = score[np.isfinite(score)]
        if not len(known):
            continue
        below = int((known < 0).sum())
        below_any |= below > 0
        name = f"{run.title}: " if len(runs.runs) > 1 and _scores_differ(runs) else ""
        text = f"{name}{len(known) - below:,} of {len(known):,} scores are 0 or above (median {np.median(known):.3g})"
        if below:
            text += f"; {below:,} are negative: there positive relevance is evidence for the negative score"
        told.append(text + ".")
    if not told:
        yield PageCheck("Scores", "open", "Not known: the run wrote no summary.tsv (`seqplrp export DIR --to tsv`).")
        return
    if not _scores_differ(runs):
        told = told[:1]
    yield PageCheck("Scores", "warn" if below_any else "good", "\n".join(told))


def _scores_differ(runs: Runs) -> bool:
    first = runs.runs[0].numbers("output")
    return any(not np.allclose(first, run.numbers("output"), rtol=1e-3, atol=1e-3, equal_nan=True) for run in runs.runs)


def methods(runs: Runs, agreement: Sequence[Floats]) -> PageCheck:
    """How like the first run's maps are those of the others?"""
    told = [
        f"{run.title} {_median(cosine):.2f}" if np.isfinite(cosine).any() else f"{run.title} undefined"
        for run, cosine in zip(runs.runs[1:], agreement, strict=True)
    ]
    text = f"Median cosine with the maps of {runs.runs[0].title}: {'; '.join(told)}."
    return PageCheck("Likeness of the tracks", "good", text)


def truth(on_motifs: Floats) -> PageCheck:
    """How much of the relevance lies where it should?"""
    known = on_motifs[np.isfinite(on_motifs)]
    text = (
        f"In {len(known):,} sequences with a motif of the explained class, {100 * known.mean():.0f} % of the first "
        "track's positive relevance lies on such motifs, on average. `seqplrp score` measures this with intervals."
    )
    return PageCheck("Known motifs", "good", text)


def remarks(runs: Runs) -> Iterator[PageCheck]:
    """What the runs noted, and what is not shown."""
    told = list(runs.notes)
    shown = len(runs.rows)
    if shown < runs.total:
        by = "of the highest |score|" if runs.first.summary is not None else "that come first"
        told.insert(0, f"{shown:,} of {runs.total:,} sequences are shown, those {by} (--most shows more)")
    for run in runs.runs:
        if run.number == 0:
            notes = run.manifest.get("notes")
            told += [str(note) for note in notes] if isinstance(notes, list) else []
    if told:
        yield PageCheck("To be known", "warn", ". ".join(dict.fromkeys(told)) + ".")


def _per_sequence(runs: Runs, flat: Floats) -> Floats:
    sums = np.concatenate([[0.0], np.cumsum(flat)])
    return np.asarray(sums[runs.offsets[1:]] - sums[runs.offsets[:-1]])


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
