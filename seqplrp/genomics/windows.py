"""Regions of a genome as windows of one width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.asked import LONGEST_WINDOW, check_choice, check_width
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.fasta_parts import Strand
from seqplrp.genomics.first_seen import FirstSeen
from seqplrp.genomics.genome import Genome
from seqplrp.genomics.letters import opposite_strand
from seqplrp.genomics.regions import Region
from seqplrp.genomics.remarks import Note, Remark

Centre = Literal["auto", "summit", "middle"]
Edge = Literal["pad", "skip", "error"]
Unknown = Literal["skip", "error"]


def region_windows(
    genome: Genome,
    regions: Iterable[Region],
    *,
    note: Note,
    width: int | None = None,
    centre: Centre = "auto",
    edge: Edge = "pad",
    unknown: Unknown = "error",
) -> Iterator[Record]:
    """Cut windows out of a genome, one for each region.

    Parameters
    ----------
    genome : Genome
        The genome.
    regions : iterable of Region
        As `iter_regions` gives them.
    note : callable
        Is given a `Remark` for each window that is left out, and for each that is padded. Its kinds: ``padded``,
        ``off contig`` (`edge`, or no base of the window is on the contig), ``no contig`` (`unknown`), and
        ``duplicate``: a second window at the same place of the same strand is left out, as peaks with several
        summits give them, so that no sequence counts twice.
    width : int, optional
        Letters in each window; None for the region as it is.
    centre : {"auto", "summit", "middle"}
        What is put at index ``width // 2`` of the window (on the plus strand): the summit, where the region has
        one, else its middle ``(start + end) // 2``; the summit, which every region must have; or the middle. A
        region that is `width` long is its own window by its middle.
    edge : {"pad", "skip", "error"}
        What is done with a window that goes off its contig: N there, or it is left out, or it is an error.
    unknown : {"skip", "error"}
        What is done with a region on a contig that the genome does not have.

    Yields
    ------
    Record
        In the regions' order, with the id ``name::chr:start-end(strand)``, as ``bedtools getfasta`` builds it, or
        ``chr:start-end(strand)`` for a region without a name. Of strand ``-`` the reverse complement; ``.`` is
        read as ``+``. A padded window has its true place: `start` may be below 0, `end` beyond the contig.

    Raises
    ------
    SeqplrpError
        With file and line, for what is asked to be an error, and for a window of more than 2 ** 28 letters.
    """
    if width is not None:
        check_width("width", width)
    check_choice("centre", centre, ("auto", "summit", "middle"))
    check_choice("edge", edge, ("pad", "skip", "error"))
    check_choice("unknown", unknown, ("skip", "error"))
    return _windows(genome, regions, note, width, centre, edge, unknown)


def _windows(
    genome: Genome,
    regions: Iterable[Region],
    note: Note,
    width: int | None,
    centre: Centre,
    edge: Edge,
    unknown: Unknown,
) -> Iterator[Record]:
    with FirstSeen() as seen:
        for region in regions:
            start, end = _window(region, width, centre)
            if unknown == "skip" and region.chrom not in genome.sizes:
                note(_remark("no contig", region, start, end, f"contig {region.chrom!r} is not in the genome"))
                continue
            size = genome.size(region.chrom, where=region.where)
            strand: Strand = "-" if region.strand == "-" else "+"
            first = seen.add(f"{region.chrom}:{start}-{end}({strand})", region.where)
            if first is not None:
                note(_remark("duplicate", region, start, end, f"the same window as that of {first}"))
                continue
            if start < 0 or end > size:
                reason = f"the window {region.chrom}:{start}-{end} goes off the contig, which has {size} bases"
                padded = _remark("padded", region, start, end, reason, used=True)
                if not is_taken_off_contig(padded, start, end, size, edge, note):
                    continue
            sequence = fetch_padded(genome, region.chrom, start, end)
            yield Record(
                f"{_prefix(region.name)}{region.chrom}:{start}-{end}({strand})",
                opposite_strand(sequence) if strand == "-" else sequence,
                region.chrom,
                start,
                end,
                strand,
            )


def fetch_padded(genome: Genome, contig: str, start: int, end: int) -> str:
    """Return a stretch of the plus strand of which any part may lie off the contig: N stands there."""
    size = genome.size(contig)
    first, last = (min(max(position, 0), size) for position in (start, end))
    letters = genome.fetch(contig, first, last)
    left = min(max(0, -start), end - start)
    return "N" * left + letters + "N" * (end - start - left - len(letters))


def _window(region: Region, width: int | None, centre: Centre) -> tuple[int, int]:
    start, end = region.start, region.end
    if width is not None:
        base = None if centre == "middle" else region.summit
        if base is None and centre == "summit":
            what = "the region has no summit, on which its window should be centred"
            raise SeqplrpError(region.where, what, "give narrowPeak with summits, or centre windows on the middle")
        start = ((start + end) // 2 if base is None else base) - width // 2
        end = start + width
    if end - start > LONGEST_WINDOW:
        what = f"the window would have {end - start} bases"
        raise SeqplrpError(region.where, what, f"give a width, at most {LONGEST_WINDOW}, or shorter regions")
    return start, end


def is_taken_off_contig(padded: Remark, start: int, end: int, size: int, edge: Edge, note: Note) -> bool:
    """Tell of a window that goes off its contig, and whether it is to be padded.

    Parameters
    ----------
    padded : Remark
        What is said if it is.
    start, end : int
        Of the window.
    size : int
        Of the contig.
    edge : {"pad", "skip", "error"}
        What is asked.
    note : callable
        Is given the remark.

    Raises
    ------
    SeqplrpError
        If an error is asked.
    """
    if edge == "error":
        raise SeqplrpError(padded.where, padded.reason, "pad or skip such windows, or leave it out")
    taken = edge == "pad" and start < size and end > 0
    note(padded if taken else replace(padded, kind="off contig", used=False))
    return taken


def _remark(kind: str, region: Region, start: int, end: int, reason: str, *, used: bool = False) -> Remark:
    return Remark(kind, region.name, region.chrom, start, end, reason, region.where, used)


def _prefix(name: str) -> str:
    # an id is one word of a FASTA header
    word = "_".join(name.split())
    return "" if word in ("", ".") else f"{word}::"
