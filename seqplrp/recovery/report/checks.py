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
_MANY_TURNED = 0.1  # of the maps that sum to the other sign than their score
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
    yield from scores(runs, accounts)
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
    centred = "center='" in run.found.method
    state, shares = _shares(account, size, known, "before centring" if centred else "")
    if (gap[known] <= _SUM_LIMIT).all():
        return state, f"What arrived at the bases is the sum of the map. {shares}".strip()
    moved = f"{_median(account.end[known]):.3g} arrived in the median, the maps sum to {_median(total[known]):.3g}"
    if centred:
        return state, f"The maps were then centred, which changes sums: {moved}. {shares}".strip()
    if account.unclaimed:
        return "open", f"The maps' sums are not claimed to be those of the scores: {moved}."
    return "warn", f"But the maps are not what arrived: {moved}. Explain again."


def _shares(account: Account, size: Floats, known: npt.NDArray[np.bool_], when: str) -> tuple[State, str]:
    """Say how much of the scores the bases explain, over the sequences, and how many maps sum to the other sign."""
    known = known & (account.start != 0)
    if not known.any():
        return "good", ""
    start, end, bias = account.start[known], account.end[known], account.bias[known]
    low, middle, high = np.percentile(100 * end / start, [5, 50, 95])
    text = f"The bases explain {_percent(middle)} of the score"
    if len(start) > 1:
        text += (
            f" in the median, {_percent(low)} to {_percent(high)} from the 5th to the 95th percentile of the sequences"
        )
    by_biases = (np.abs(start - bias - end) <= 0.01 * np.maximum(np.abs(start), size[known])).all()
    text += "; biases make up the rest" if by_biases else "; where the rest went, the ledgers say"
    rest = "biases" if by_biases else "biases and other terms"
    if high > 100:
        text += f" (above 100 %, {rest} take some of it back)"
    other = int((end * start < 0).sum())
    comma = f", {when}," if when else ""
    if not other:
        return "good", f"{text}. Every map{comma} sums to the sign of its score."
    many = other > _MANY_TURNED * len(start)
    told = (
        f"{other:,} of {len(start):,} maps{comma} sum to the other sign than the score: there {rest} outweigh the bases"
    )
    warning = ", and a map does not tell why its score has the sign it has" if many else ""
    return "warn" if many else "good", f"{text}. {told}{warning}."


def _percent(value: float) -> str:
    return f"{value:.0f} %".replace("-", "\u2212")


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
        the = f"{run.title}: the" if len(runs.runs) > 1 else "The"
        told.append(
            f"{the} maps of the two strands have a median cosine of {np.median(known):.2f}; "
            f"{few:,} of {len(known):,} sequences are below {_DOUBTFUL:g} (the lowest, {worst}, {known.min():.2f})."
        )
    if not told:
        text = (
            "Not tested: each sequence was explained as it was read. `seqplrp explain --reverse-complement` explains "
            "both strands, averages them, and tells how far they agree."
        )
        return PageCheck("Reverse complement", "open", text)
    return PageCheck("Reverse complement", "warn" if low else "good", "\n".join(told))


def scores(runs: Runs, accounts: Sequence[Account | None]) -> Iterator[PageCheck]:
    """Which scores are explained, and what speaks for a negative one: in the words of an explanation's own notes."""
    each: list[tuple[Run, str]] = []
    below_any = False
    for run, account in zip(runs.runs, accounts, strict=True):
        score = run.numbers("output")
        known = score[np.isfinite(score)]
        if not len(known):
            continue
        below = int((known < 0).sum())
        below_any |= below > 0
        median = f"the median is {np.median(known):.3g}"
        if not below:
            each.append((run, f"All {len(known):,} scores are 0 or above; {median}."))
            continue
        for_it, against = ("negative", "positive") if _turned(run, account) else ("positive", "negative")
        text = (
            f"{below:,} of {len(known):,} scores are negative: those maps share out a negative number; {for_it} "
            f"relevance is the evidence for the output, {against} relevance the evidence against it"
        )
        each.append((run, f"{text}. Of all scores {median}."))
    if not each:
        yield PageCheck("Scores", "open", "Not known: the run wrote no summary.tsv (`seqplrp export DIR --to tsv`).")
        return
    if len({text for _, text in each}) == 1 or (not below_any and not _scores_differ(runs)):
        told = [each[0][1]]
    else:
        told = [f"{run.title}: {text}" for run, text in each]
    yield PageCheck("Scores", "warn" if below_any else "good", "\n".join(told))


def _turned(run: Run, account: Account | None) -> bool:
    """Say whether signs turn with the score's, as `seqplrp.methods` has it: under R-LRP, of one model and strand."""
    models = run.manifest.get("models")
    method = run.found.method
    if "reverse_complement=True" in method or (isinstance(models, list) and len(models) > 1):
        return False
    if account is None:
        return "rule='relative'" in method or "rule=Relative(" in method
    # the layer that makes the score comes first
    firsts = [next((rule for *_, rule in one.steps if rule), "") for one in account.accounts.patterns]
    return bool(firsts) and all(rule.startswith("Relative(") for rule in firsts)


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
