"""The page of explained sequences, put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqplrp.plot import PageColumn, PagePlaces, PageTrack, TracksPage
from seqplrp.recovery.report.accounts import Account, read_account
from seqplrp.recovery.report.checks import checks_of
from seqplrp.recovery.report.marks import Marked, MarkOptions, marks_of
from seqplrp.recovery.report.runs import Run, Runs, read_runs

MOST_SEQUENCES = 2000
"""Sequences of a page, unless the user says otherwise."""

_SUMMARY = {
    "probability": ("probability", "What the model's kind makes of the explained score"),
    "strand_consistency": ("strands agree", "Cosine of the maps of the two strands"),
    "relevance_sum": ("sum", "Sum of the relevance over all bases"),
    "gini": ("Gini", "Sparsity of |relevance|: 0 where all bases are equal, near 1 where few have all"),
    "kept_share": ("kept", "Share of the known bases that have any relevance"),
    "top_relevance": ("peak", "The highest relevance of a base"),
    "top_position": ("peak at", "Its place on the contig, 0-based"),
}
"""Columns of summary.tsv that the table shows: label and note."""

_LABEL = 24  # letters of a column's label
_NAMED = 4  # models that are named in the line under the title

Floats = npt.NDArray[np.float64]


def tracks_page(
    directories: Sequence[Path],
    *,
    marks: MarkOptions | None = None,
    most: int = MOST_SEQUENCES,
    hypothetical: bool = True,
    title: str | None = None,
) -> TracksPage:
    """Read directories that ``seqplrp explain`` wrote, and make the page of their sequences.

    Parameters
    ----------
    directories : sequence of path
        Of the same sequences; each output of each becomes a track, in this order.
    marks : MarkOptions, optional
        What is marked under the tracks; seqlets alone if None.
    most : int
        How many sequences are shown, see `read_runs`.
    hypothetical : bool
        Whether the page holds hypothetical contributions, where there are such: they are two thirds of it.
    title : str, optional
        The first directory's name if None.

    Raises
    ------
    SeqplrpError
        If a directory is none of ``seqplrp explain``, or they are of other sequences than the first, or the truth is.
    """
    runs = read_runs(directories, most=most)
    ids = runs.places.ids.tolist()
    accounts = [read_account(run, ids) for run in runs.runs]
    found = marks_of(runs, marks or MarkOptions())
    agreement = [_cosine(runs, run) for run in runs.runs[1:]]
    places = runs.places
    return TracksPage(
        title=title or ", ".join(dict.fromkeys(run.found.directory.resolve().name for run in runs.runs)),
        lead=_lead(runs),
        places=PagePlaces(
            ids=ids,
            contigs=places.contigs.tolist(),
            starts=places.starts.tolist(),
            ends=places.ends.tolist(),
            strands=places.strands.tolist(),
            offsets=runs.offsets,
            codes=runs.codes,
        ),
        tracks=[_track(runs, run, account, hypothetical) for run, account in zip(runs.runs, accounts, strict=True)],
        columns=list(_columns(runs, found, agreement)),
        checks=list(checks_of(runs, accounts, agreement, found.on_motifs)),
        lanes=found.lanes,
        marks=found.marks,
        details=list(_details(runs, marks or MarkOptions())),
    )


def _track(runs: Runs, run: Run, account: Account | None, hypothetical: bool) -> PageTrack:
    arrays = run.found.arrays
    wide = arrays.hypothetical if hypothetical else None
    return PageTrack(
        title=run.title,
        note=run.found.method,
        per_base=runs.flat(run, arrays.per_base),
        hypothetical=None if wide is None else runs.flat(run, wide),
        spread=None if arrays.relevance_spread is None else runs.flat(run, arrays.relevance_spread),
        there=None if run.there.all() else run.there,
        accounts=None if account is None else account.accounts,
    )


def _cosine(runs: Runs, other: Run) -> Floats:
    """Return the cosine of another run's maps with the first one's; NaN where one is 0 or lacking: (N,)."""
    a, b = (runs.flat(run, run.found.arrays.per_base).astype(np.float64) for run in (runs.runs[0], other))

    def per_sequence(flat: Floats) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(flat)])
        return np.asarray(sums[runs.offsets[1:]] - sums[runs.offsets[:-1]])

    size = np.sqrt(np.maximum(per_sequence(a * a) * per_sequence(b * b), 0))
    defined = (size > 0) & other.there
    return np.where(defined, per_sequence(a * b) / np.where(size > 0, size, 1), np.nan)


def _columns(runs: Runs, found: Marked, agreement: Sequence[Floats]) -> Iterator[PageColumn]:
    places, first = runs.places, runs.runs[0]
    yield PageColumn("id", "sequence", places.ids.tolist())
    if (places.contigs != places.ids).any() and not _named_by_place(runs):
        where = zip(places.contigs.tolist(), places.starts.tolist(), places.ends.tolist(), places.strands.tolist())
        yield PageColumn("place", "place", [f"{c}:{a:,}-{b:,} ({s})" for c, a, b, s in where])
    lengths = np.diff(runs.offsets)
    if len(np.unique(lengths)) > 1:
        yield PageColumn("length", "bp", lengths.tolist())
    if any(names := first.texts("class")):
        yield PageColumn("class", "class", names, "The explained class")
    if first.texts("predicted") not in (first.texts("target"), [""] * len(places)):
        yield PageColumn("predicted", "predicted", _predicted(first), "The most probable output")
    yield from _scores(runs)
    if found.on_motifs is not None:
        note = "Share of the positive relevance that lies on motifs of the explained class, all their positions counted"
        yield PageColumn("on-motif", "on motif", found.on_motifs.tolist(), note)
    several = len(found.seqlets) > 1
    for run, count in zip(runs.runs[:1], found.seqlets):
        note = f"Stretches where relevance gathers{f' in {run.title}' if several else ''}"
        yield PageColumn("seqlets", "seqlets", count.tolist(), note)
    for number, (run, cosine) in enumerate(zip(runs.runs[1:], agreement, strict=True), 2):
        yield PageColumn(
            f"like-{number}",
            _short(f"like {run.title}"),
            cosine.tolist(),
            f"Cosine of the first map with that of {run.title}",
        )
    for name, (label, note) in _SUMMARY.items():
        values = first.numbers(name)
        known = values[np.isfinite(values)]
        if len(known) and (len(runs.rows) == 1 or known.min() < known.max()):
            yield PageColumn(name, label, values.tolist(), note)
    for number, (run, count) in enumerate(zip(runs.runs[1:], found.seqlets[1:]), 2):
        note = f"Stretches where relevance gathers in {run.title}"
        yield PageColumn(f"seqlets-{number}", _short(f"seqlets of {run.title}"), count.tolist(), note)


def _short(label: str) -> str:
    return label if len(label) <= _LABEL else label[: _LABEL - 1] + "\u2026"


def _named_by_place(runs: Runs) -> bool:
    """Say whether every name tells the place already: ``chr1:100-200``, with the strand behind it where that is -."""
    at = runs.places
    return all(
        id == f"{contig}:{start}-{end}({strand})" or (id == f"{contig}:{start}-{end}" and strand != "-")
        for id, contig, start, end, strand in zip(
            at.ids.tolist(), at.contigs.tolist(), at.starts.tolist(), at.ends.tolist(), at.strands.tolist()
        )
    )


def _predicted(run: Run) -> list[str]:
    """Return the names of the most probable outputs, or their numbers where they have no names."""
    classes = run.manifest.get("classes")
    names = {str(i): str(name) for i, name in enumerate(classes)} if isinstance(classes, list) else {}
    return [names.get(text, text) for text in run.texts("predicted")]


def _scores(runs: Runs) -> Iterator[PageColumn]:
    """Yield the explained score, once where all tracks explain the same."""
    shown: list[Floats] = []
    for number, run in enumerate(runs.runs, 1):
        score = run.numbers("output")
        if not np.isfinite(score).any() or any(np.allclose(score, s, 1e-3, 1e-3, equal_nan=True) for s in shown):
            continue
        key = "score" if not shown else f"score-{number}"
        label = " ".join(["score", *([run.output] if run.output else [f"track {number}"] if shown else [])])
        yield PageColumn(key, label, score.tolist(), f"The explained score, before a closing sigmoid: {run.title}")
        shown.append(score)


def _lead(runs: Runs) -> str:
    bases = int(runs.offsets[-1])
    of = f" of {runs.total:,}" if len(runs.rows) < runs.total else ""
    names = "; ".join(run.title for run in runs.runs)
    sequences = f"{len(runs.rows):,}{of} sequence{'s' * (runs.total != 1)}"
    what = f"{sequences}, {bases:,} base{'s' * (bases != 1)}, explained by {names}"
    targets, models = _distinct(_targets(run) for run in runs.runs), _distinct(_models(run) for run in runs.runs)
    for word, found in (("target", targets), ("model", models)):
        if found:
            more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
            what += f"; {word}{'s' * (len(found) > 1)}: {', '.join(found[:_NAMED])}{more}"
    return what


def _targets(run: Run) -> list[str]:
    """Return the explained output's name, a class's where a number has one."""
    target = run.output or run.manifest.get("target")
    classes = run.manifest.get("classes")
    if isinstance(target, int) and isinstance(classes, list) and 0 <= target < len(classes):
        return [f"{target} ({classes[target]})"]
    return [] if target is None else [", ".join(map(str, target)) if isinstance(target, list) else str(target)]


def _models(run: Run) -> list[str]:
    models = run.manifest.get("models")
    named = (model.get("name") for model in models if isinstance(model, dict)) if isinstance(models, list) else ()
    return [str(name) for name in named if name]


def _distinct(names: Iterable[list[str]]) -> list[str]:
    return list(dict.fromkeys(name for some in names for name in some))


def _details(runs: Runs, marks: MarkOptions) -> Iterator[tuple[str, str]]:
    for number, run in enumerate(runs.runs, 1):
        head = f"track {number}" if len(runs.runs) > 1 else "track"
        yield head, run.title
        yield f"{head}, method", run.found.method
        yield f"{head}, directory", str(run.found.directory)
        if run.number == 0:  # further outputs are of the same run
            yield from ((f"{head}, {key}", text) for key, text in _of_manifest(run))
    if marks.seqlets:
        whose = "of each track" if len(runs.runs) > 1 else "of the track"
        yield "seqlets", f"{whose}, at a false discovery rate of {marks.fdr:g} within its own values"
    if marks.motifs:
        filled = (
            "; filled where a seqlet of the first track covers them" if marks.seqlets and len(runs.runs) > 1 else ""
        )
        yield "matches", f"{', '.join(m.name for m in marks.motifs)}, p <= {marks.p_value:g} on either strand{filled}"


def _of_manifest(run: Run) -> Iterator[tuple[str, str]]:
    manifest = run.manifest
    models = manifest.get("models")
    for model in models if isinstance(models, list) else []:
        if isinstance(model, dict):
            yield "model", f"{model.get('name', '')} (weights sha256 {str(model.get('weights_sha256', ''))[:16]})"
    given = manifest.get("input")
    if isinstance(given, dict):
        yield "input", f"{given.get('path', '')} (sha256 {str(given.get('sha256', ''))[:16]})"
    for key in ("target", "finished", "device"):
        if manifest.get(key) is not None:
            yield key, str(manifest[key])
    versions = manifest.get("versions")
    if isinstance(versions, dict):
        yield "versions", ", ".join(f"{name} {value}" for name, value in versions.items())
