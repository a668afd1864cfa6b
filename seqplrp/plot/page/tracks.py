"""Explained sequences as one page: a table of them, their logos to zoom into, and where their relevance went."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from seqplrp._version import __version__
from seqplrp.errors import SeqplrpError
from seqplrp.plot.logos import ALPHABET, BASE_COLOURS
from seqplrp.plot.page.document import Document, escaped
from seqplrp.plot.page.glyphs import glyph_paths
from seqplrp.plot.page.packing import COARSE, FINE, blocks_of, number_list, packed, profile, quantised, scales
from seqplrp.plot.panels import DECOY_COLOUR, TRUTH_COLOUR

DARK_BASE_COLOURS: dict[str, str] = {"A": "#21DCA9", "C": "#547BFC", "G": "#FFE26C", "T": "#F05B46"}
"""The bases on a dark page: as far apart, whatever cones one has, as `BASE_COLOURS` are on a white one."""

PROFILE_BINS = 64
"""Stretches of the small picture of each sequence in the table."""

ACCOUNT_COLUMNS = (
    "relevance_out",
    "relevance_in",
    "bias",
    "stabiliser",
    "fixed_inputs",
    "residue",
    "unexplained",
    "size",
    "pruned",
    "kept_share",
    "lambda",
)
"""The numbers of a layer's account that the page shows; see `seqplrp.lrp.NUMBERS`."""

_SCRIPTS = ("base.js", "cards.js", "grid.js", "filters.js", "packs.js", "logo.js", "view.js", "ledger.js", "tracks.js")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PagePlaces:
    """The sequences, in the table's first order.

    Parameters
    ----------
    ids, contigs, strands : sequence of str, length N
        A sequence whose contig is its id has no place on a genome.
    starts, ends : sequence of int, length N
        0-based, half-open, on the contig.
    offsets : (N + 1,) array of int
        Where each begins in the flat arrays.
    codes : (total,) array of uint8
        Its letters, as read: 0 to 3 for ACGT, 4 for N.
    """

    ids: Sequence[str]
    contigs: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    strands: Sequence[str]
    offsets: Integers
    codes: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class AccountPattern:
    """The layers of a ledger, from the score down, and which numbers each has.

    Parameters
    ----------
    steps : sequence of (layer, op, rule)
    cells : sequence of (step, column)
        Which of `ACCOUNT_COLUMNS` each step has, by their numbers.
    mean : sequence of float
        One a cell: the mean over all sequences whose ledger is of this pattern.
    """

    steps: Sequence[tuple[str, str, str]]
    cells: Sequence[tuple[int, int]]
    mean: Sequence[float]


@dataclass(frozen=True)
class PageAccounts:
    """The ledgers of all sequences by one method.

    Parameters
    ----------
    labels : sequence of str
        What tells the ledgers of one sequence apart: strands, models. One empty text where there is one.
    patterns : sequence of AccountPattern
    which : (N, labels) array of int
        The pattern of each; -1 where there is none.
    values : mapping of (sequence, label) to array of float
        One number a cell of the pattern.
    """

    labels: Sequence[str]
    patterns: Sequence[AccountPattern]
    which: Integers
    values: Mapping[tuple[int, int], npt.NDArray[np.float64]]


@dataclass(frozen=True)
class PageTrack:
    """What one method says of all sequences.

    Parameters
    ----------
    title, note : str
        The note stands in the tooltip: all settings.
    per_base : (total,) array
        Relevance of each position, 0 at N.
    hypothetical : (4, total) array, optional
        What each of the four bases would contribute; that of the base present is its relevance.
    spread : (total,) array, optional
        Standard deviation over several models.
    there : (N,) array of bool, optional
        Which sequences it explains; all if None.
    accounts : PageAccounts, optional
    """

    title: str
    note: str
    per_base: npt.NDArray[np.float32]
    hypothetical: npt.NDArray[np.float32] | None = None
    spread: npt.NDArray[np.float32] | None = None
    there: npt.NDArray[np.bool_] | None = None
    accounts: PageAccounts | None = None


@dataclass(frozen=True)
class PageColumn:
    """A column of the table.

    Parameters
    ----------
    key : str
        By which a filter names it: one word.
    label, note : str
        The note stands in the tooltip of the header.
    values : sequence, length N
        Texts or numbers; a number that is not finite is an empty cell.
    """

    key: str
    label: str
    values: Sequence[Any]
    note: str = ""

    @property
    def is_number(self) -> bool:
        """Whether it is sorted by size."""
        return not any(isinstance(value, str) for value in self.values)


Style = Literal["truth", "hit", "seqlet"]


@dataclass(frozen=True)
class PageLane:
    """One row of marks under the logos: what it holds, and how its marks look.

    One of a single track's, by its number, is shown where that track is.
    """

    title: str
    style: Style
    track: int | None = None


@dataclass(frozen=True)
class PageMark:
    """A stretch of a sequence that a lane marks.

    Parameters
    ----------
    sequence, lane : int
    start, end : int
        0-based, half-open, in the sequence's letters.
    name : str
    strand : str
        ``+``, ``-`` or ``.``.
    strong : bool
        Filled; a hollow one is a decoy, a hit without relevance, or negative relevance.
    note : str
        What its tooltip adds.
    """

    sequence: int
    lane: int
    start: int
    end: int
    name: str
    strand: str = "."
    strong: bool = True
    note: str = ""


@dataclass(frozen=True)
class PageCheck:
    """A question about the whole that the page answers in words.

    Parameters
    ----------
    title : str
    state : {"good", "warn", "open"}
        Open: it was not looked at.
    text : str
    """

    title: str
    state: Literal["good", "warn", "open"]
    text: str


@dataclass(frozen=True)
class TracksPage:
    """All that the page shows.

    Parameters
    ----------
    title : str
    lead : str
        One line under the title.
    places : PagePlaces
    tracks : sequence of PageTrack
        From top to bottom; one or more.
    columns : sequence of PageColumn
    checks : sequence of PageCheck
    lanes : sequence of PageLane
    marks : sequence of PageMark
    details : sequence of (str, str)
        Where it comes from: names and values.
    """

    title: str
    lead: str
    places: PagePlaces
    tracks: Sequence[PageTrack]
    columns: Sequence[PageColumn]
    checks: Sequence[PageCheck] = ()
    lanes: Sequence[PageLane] = ()
    marks: Sequence[PageMark] = ()
    details: Sequence[tuple[str, str]] = field(default=())

    def __post_init__(self) -> None:
        total = int(self.places.offsets[-1])
        if not self.tracks or not len(self.places):
            raise SeqplrpError("tracks", "there is nothing to show", "give at least one track and one sequence")
        for track in self.tracks:
            if track.per_base.shape != (total,) or not np.isfinite(track.per_base).all():
                what = f"has relevance of shape {track.per_base.shape}, not {total} finite numbers"
                raise SeqplrpError(f"track {track.title!r}", what, "give one number a position")

    @cached_property
    def blocks(self) -> list[tuple[int, int]]:
        """The sequences that are unpacked together."""
        return blocks_of(self.places.offsets)

    def html(self) -> str:
        """Return the page: one file that needs nothing else."""
        packs = dict(self._codes())
        tracks = []
        for number, track in enumerate(self.tracks):
            one = _Packed(track, self.places, self.blocks, number)
            packs.update(one.packs())
            tracks.append(one.described())
        return Document(
            title=self.title,
            body=_BODY.format(title=escaped(self.title), lead=escaped(self.lead)),
            data=self._data(tracks),
            packs=packs,
            styles=("base.css", "tracks.css"),
            scripts=_SCRIPTS,
        ).html()

    def _codes(self) -> Iterator[tuple[str, str]]:
        for number, (first, last) in enumerate(self.blocks):
            yield f"c{number}", packed(self.places.codes[_span(self.places.offsets, first, last)])

    def _data(self, tracks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        places = self.places
        names = sorted({mark.name for mark in self.marks} | {mark.note for mark in self.marks})
        number = {name: i for i, name in enumerate(names)}
        marks: list[list[list[Any]]] = [[] for _ in range(len(places))]
        for m in self.marks:
            marks[m.sequence].append([m.lane, m.start, m.end, number[m.name], m.strand, int(m.strong), number[m.note]])
        return {
            "version": __version__,
            "glyphs": glyph_paths(),
            "colours": {"light": BASE_COLOURS, "dark": DARK_BASE_COLOURS},
            "marked": {"truth": TRUTH_COLOUR, "decoy": DECOY_COLOUR},
            "bins": PROFILE_BINS,
            "ids": list(places.ids),
            "contigs": list(places.contigs),
            "starts": [int(v) for v in places.starts],
            "ends": [int(v) for v in places.ends],
            "strands": list(places.strands),
            "lengths": np.diff(places.offsets).tolist(),
            "blocks": self.blocks,
            "tracks": tracks,
            "accountColumns": ACCOUNT_COLUMNS,
            "columns": [
                {"key": c.key, "label": c.label, "note": c.note, "number": c.is_number,
                 "values": number_list(c.values) if c.is_number else [str(v) for v in c.values]}
                for c in self.columns
            ],
            "lanes": [{"title": lane.title, "style": lane.style, "track": lane.track} for lane in self.lanes],
            "names": names,
            "marks": marks,
            "checks": [{"title": c.title, "state": c.state, "text": c.text} for c in self.checks],
            "details": [list(pair) for pair in self.details],
        }  # fmt: skip


@dataclass(frozen=True)
class _Packed:
    """A track as the page holds it.

    Relevance has two bytes a position, and a step for each sequence. Of the hypothetical contributions those of the
    three bases that are not there have one byte each, in the order in which ACGT goes on after the letter (of an N: C,
    G, T; its A stands where the relevance of others does, as an N has none).
    """

    track: PageTrack
    places: PagePlaces
    blocks: Sequence[tuple[int, int]]
    number: int

    @cached_property
    def _fine(self) -> npt.NDArray[np.float32]:
        hypothetical = self.track.hypothetical
        if hypothetical is None:
            return self.track.per_base
        return np.where(self.places.codes < len(ALPHABET), self.track.per_base, hypothetical[0])

    @cached_property
    def _others(self) -> npt.NDArray[np.float32] | None:
        hypothetical = self.track.hypothetical
        if hypothetical is None:
            return None
        letter = self.places.codes % len(ALPHABET)
        at = np.arange(len(letter))
        return np.stack([hypothetical[(letter + 1 + k) % len(ALPHABET), at] for k in range(len(ALPHABET) - 1)])

    @cached_property
    def _steps(self) -> dict[str, npt.NDArray[np.float32]]:
        offsets = self.places.offsets
        found = {"fine": scales(self._fine, offsets, FINE)}
        if self._others is not None:
            found["coarse"] = scales(self._others, offsets, COARSE)
        if self.track.spread is not None:
            found["spread"] = scales(self.track.spread, offsets, COARSE)
        return found

    def packs(self) -> Iterator[tuple[str, str]]:
        """Yield the blocks' numbers by name."""
        offsets, steps = self.places.offsets, self._steps
        fine = quantised(self._fine, offsets, steps["fine"])
        others = self._others
        planes = [] if others is None else [_bytes(quantised(row, offsets, steps["coarse"])) for row in others]
        spread = self.track.spread
        wide = None if spread is None else _bytes(quantised(spread, offsets, steps["spread"]))
        for number, (first, last) in enumerate(self.blocks):
            here = _span(offsets, first, last)
            name = f"t{self.number}{{}}{number}"
            yield name.format("m"), packed(fine[here])
            if planes:
                yield name.format("h"), packed(*(plane[here] for plane in planes))
            if wide is not None:
                yield name.format("s"), packed(wide[here])
            if self.track.accounts is not None:
                yield name.format("l"), packed(_account_values(self.track.accounts, first, last))

    def described(self) -> dict[str, Any]:
        """Return what the page reads of it at once."""
        track, accounts = self.track, self.track.accounts
        return {
            "title": track.title,
            "note": track.note,
            "there": None if track.there is None else track.there.astype(int).tolist(),
            "steps": {name: _plain(values) for name, values in self._steps.items()},
            "range": _reach(track),
            "hypotheticalRange": None if track.hypothetical is None else _range(track.hypothetical),
            "profile": _plain(profile(track.per_base, self.places.offsets, PROFILE_BINS)),
            "accounts": None if accounts is None else {
                "labels": list(accounts.labels),
                "which": accounts.which.tolist(),
                "patterns": [
                    {"steps": [list(s) for s in p.steps], "cells": [list(c) for c in p.cells],
                     "mean": number_list(p.mean)}
                    for p in accounts.patterns
                ],
            },
        }  # fmt: skip


def _account_values(accounts: PageAccounts, first: int, last: int) -> npt.NDArray[np.float32]:
    parts = [
        accounts.values[row, label]
        for row in range(first, last)
        for label in range(len(accounts.labels))
        if accounts.which[row, label] >= 0
    ]
    return np.concatenate([np.zeros(0), *parts]).astype(np.float32)


def _span(offsets: Integers, first: int, last: int) -> slice:
    return slice(int(offsets[first]), int(offsets[last]))


def _bytes(values: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    return values.astype(np.int8)


def _plain(values: npt.NDArray[Any]) -> str:
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")


def _reach(track: PageTrack) -> list[float]:
    """Return the lowest and highest point of a track's relevance, and of the bars of its spread."""
    around = 0 if track.spread is None else track.spread
    lowest, highest = _range((track.per_base - around)[None, :]), _range((track.per_base + around)[None, :])
    return [lowest[0], highest[1]]


def _range(values: npt.NDArray[np.float32]) -> list[float]:
    """Return the lowest and highest point of stacked letters over all positions."""
    low, high = np.minimum(values, 0).sum(axis=0), np.maximum(values, 0).sum(axis=0)
    return [float(f"{low.min(initial=0.0):.6g}"), float(f"{high.max(initial=0.0):.6g}")]


_BODY = """<header class="top">
<div class="mast"><h1>{title}</h1><p class="lead">{lead}</p></div>
<div class="tools"><button id="theme" type="button"></button><button id="help" type="button">Keys</button></div>
</header>
<noscript><p class="panel">This page draws its sequences by a script of its own, which this browser does not run.</p>
</noscript>
<main>
<section class="checks" id="checks" aria-label="Can it be trusted?"></section>
<section class="panel" aria-label="Sequences"><div class="bar" id="filters"></div><div id="table"></div></section>
<section class="panel" id="viewer" aria-label="The selected sequence"></section>
<section class="panel" id="ledger" aria-label="Where the relevance went"></section>
<section class="panel" id="about" aria-label="About this page"></section>
</main>
<dialog id="keys"></dialog>"""
