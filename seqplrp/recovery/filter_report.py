"""Filters with the known motifs they are like, as tables, matrices and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from seqplrp.genomics import codes_to_strings
from seqplrp.genomics.motifs import Motif
from seqplrp.plot import MotifCell
from seqplrp.recovery.filters import LayerFilter
from seqplrp.recovery.tomtom import MotifMatch, best_matches

ALIKE = 0.05
"""The largest q-value at which a filter is said to match a known motif."""


@dataclass(frozen=True)
class FilterReport:
    """Filters, from the largest share of relevance down, beside what they are like.

    Attributes
    ----------
    filters : tuple of LayerFilter
        As :func:`leading_filters` gives them.
    matches : tuple of MotifMatch or None
        For each filter the known motif that it is most like; None if it has no core or none is like it.
    targets : int
        Known motifs compared with; 0 if the filters were not compared.
    """

    filters: tuple[LayerFilter, ...]
    matches: tuple[MotifMatch | None, ...]
    targets: int

    def statuses(self) -> list[str]:
        """Say of each filter "match", "no match", "not compared", or what kept it from having a motif."""
        return [self._status(one, match) for one, match in zip(self.filters, self.matches)]

    def _status(self, one: LayerFilter, match: MotifMatch | None) -> str:
        if one.status or not self.targets:
            return one.status or "not compared"
        return "match" if match is not None and match.q <= ALIKE else "no match"

    def table(self) -> pd.DataFrame:
        """Return one row a filter.

        The columns: ``layer``, ``filter``; ``share`` and ``absolute_share`` of the positive and the absolute relevance
        of all first layers; ``positive`` and ``negative`` relevance; ``active`` and ``leading`` sequences;
        ``left_out_share``, see `LayerFilter`; number of ``windows``; their ``consensus`` (IUPAC) and ``information`` in
        bits; ``core_start`` and ``core_end``; ``status``; and of the known motif that is most like it, whether or not
        it is like enough to be called a match: ``motif``, ``accession``, ``p``, ``q``, ``offset``, ``strand``,
        ``overlap`` and ``shared_bits``, see `MotifMatch`.
        """
        rows = []
        for one, match, status in zip(self.filters, self.matches, self.statuses()):
            motif, core = one.motif, one.core
            rows.append(
                {
                    "layer": one.layer,
                    "filter": one.index,
                    "share": one.share,
                    "absolute_share": one.absolute_share,
                    "positive": one.positive,
                    "negative": one.negative,
                    "active": one.active,
                    "leading": one.leading,
                    "left_out_share": one.left_out_share,
                    "windows": len(one.windows),
                    "consensus": "" if motif is None else motif.iupac,
                    "information": np.nan if motif is None else float(motif.information_content().sum()),
                    "core_start": pd.NA if core is None else core[0],
                    "core_end": pd.NA if core is None else core[1],
                    "status": status,
                    "motif": "" if match is None else match.target.name,
                    "accession": "" if match is None else match.target.accession,
                    "p": np.nan if match is None else match.p,
                    "q": np.nan if match is None else match.q,
                    "offset": pd.NA if match is None else match.offset,
                    "strand": "" if match is None else match.strand,
                    "overlap": pd.NA if match is None else match.overlap,
                    "shared_bits": np.nan if match is None else match.shared_bits,
                }
            )
        whole = dict.fromkeys(("core_start", "core_end", "offset", "overlap"), "Int64")
        return pd.DataFrame(rows).astype(whole)

    def windows(self) -> pd.DataFrame:
        """Return one row a window: ``layer``, ``filter``, ``rank`` (from 1), ``id``, ``start``, ``end``, ``strand``,
        ``relevance`` and ``bases``.

        Places are 0-based and half-open in the record as it was read; the bases are those of the strand.
        """
        parts = [
            pd.DataFrame(
                {
                    "layer": one.layer,
                    "filter": one.index,
                    "rank": np.arange(1, len(one.windows) + 1),
                    "id": list(one.windows.ids),
                    "start": one.windows.starts,
                    "end": one.windows.starts + one.windows.codes.shape[1],
                    "strand": list(one.windows.strands),
                    "relevance": one.windows.relevance,
                    "bases": codes_to_strings(one.windows.codes),
                }
            )
            for one in self.filters
        ]
        return pd.concat(parts, ignore_index=True)

    def motifs(self) -> list[Motif]:
        """Return the matrices of the filters that have one, whole windows; their URL is the table beside them."""
        return [replace(one.motif, url="filters.tsv") for one in self.filters if one.motif is not None]

    def cells(self, most: int) -> list[MotifCell]:
        """Return what :func:`seqplrp.plot.motif_grid` draws of the leading filters, no more than `most`.

        Filters without any positive relevance are left out, however few there are.
        """
        leading = [i for i, one in enumerate(self.filters) if one.share > 0][:most]
        statuses = self.statuses()
        return [_cell(self.filters[i], self.matches[i], statuses[i]) for i in leading]


def report_filters(filters: Sequence[LayerFilter], targets: Sequence[Motif] | None) -> FilterReport:
    """Compare filters with known motifs.

    Parameters
    ----------
    filters : sequence of LayerFilter
        From :func:`leading_filters`.
    targets : sequence of Motif, optional
        The known motifs; nothing is compared if None.

    Raises
    ------
    SeqplrpError
        If there are targets and memelite is not installed.
    """
    matches: list[MotifMatch | None] = [None] * len(filters)
    if targets is not None:
        queries = [(i, core) for i, one in enumerate(filters) if (core := one.core_motif) is not None]
        found = best_matches([core for _, core in queries], targets)
        for (i, _), match in zip(queries, found):
            matches[i] = match
    return FilterReport(tuple(filters), tuple(matches), 0 if targets is None else len(targets))


def _cell(one: LayerFilter, match: MotifMatch | None, status: str) -> MotifCell:
    windows = f"{len(one.windows)} window{'s' * (len(one.windows) != 1)}"
    head = (one.name, f"{100 * one.share:.1f} %, {windows}", one.share, one.motif, one.core)
    if status != "match" or match is None or one.core is None:
        nearest = f" (nearest: {match.target.name}, q = {match.q:.2g})" if match is not None else ""
        return MotifCell(*head, caption=f"{status}{nearest}")
    accession = f" {match.target.accession}" if match.target.accession else ""
    caption = f"{match.target.name}{accession} ({match.strand}), q = {match.q:.2g}"
    return MotifCell(*head, caption=caption, known=match.aligned, offset=one.core[0] - match.offset)
