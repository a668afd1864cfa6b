"""The two sequences that a variant distinguishes, and which letters of them belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.asked import check_choice, check_width
from seqplrp.genomics.fasta import Record
from seqplrp.genomics.first_seen import FirstSeen
from seqplrp.genomics.genome import Genome
from seqplrp.genomics.remarks import Note, Remark
from seqplrp.genomics.vcf import PASSED, Variant, shortened
from seqplrp.genomics.windows import Edge, Unknown, fetch_padded, is_taken_off_contig


@dataclass(frozen=True)
class AllelePair:
    """A variant's reference and alternative sequence.

    Parameters
    ----------
    variant : Variant
        What distinguishes them.
    reference : Record
        Letters of the genome, with their true place.
    alternative : Record
        As many letters, from the same base on. Where the alleles are of one length, so is its place; else its
        letters behind the variant lie elsewhere than those of `reference`, and it is its own contig: see
        `alternative_positions`.
    """

    variant: Variant
    reference: Record
    alternative: Record

    def alignment(self) -> npt.NDArray[np.int64]:
        """Lay the letters of both sequences side by side.

        Returns
        -------
        ndarray of int64, shape (columns, 2)
            Each row is the index of a letter of the reference and that of the alternative which belongs to it; -1
            where there is none: inserted or deleted, or pushed off the end of the other sequence. Both columns hold
            every index once, rising. What alleles share at the end belongs together, but for the base before an
            indel; of the rest as much as both have is put side by side from the left.
        """
        width = len(self.reference)
        same, deleted, inserted = self._parts()
        left = np.arange(min(same, width))
        gone = np.arange(same, min(same + deleted, width))
        new = np.arange(same, min(same + inserted, width))
        right = np.arange(width)
        rows = [
            np.stack([left, left], 1),
            np.stack([gone, np.full_like(gone, -1)], 1),
            np.stack([np.full_like(new, -1), new], 1),
            np.stack([right + same + deleted, right + same + inserted], 1),
        ]
        columns = np.concatenate(rows)
        columns[columns >= width] = -1
        return columns[(columns >= 0).any(1)]

    def alternative_positions(self) -> npt.NDArray[np.int64]:
        """Return the place on the genome of every letter of the alternative.

        Returns
        -------
        ndarray of int64, shape (width,)
            0-based; -1 for letters that were inserted. Where a window is padded positions may lie off the contig,
            and so may be -1 there, too.
        """
        same, deleted, inserted = self._parts()
        index = np.arange(len(self.alternative))
        behind = np.where(index < same + inserted, -1 - self.reference.start, index - inserted + deleted)
        return self.reference.start + np.where(index < same, index, behind)

    def _parts(self) -> tuple[int, int, int]:
        """Return how many letters belong together before what is deleted or inserted, and how many those are."""
        ref, alt = self.variant.ref, self.variant.alt
        shortest = min(len(ref), len(alt))
        anchor = ref[0] == alt[0]  # the base that VCF puts before an indel stays where it is
        shared_end = _shared_end(ref, alt, shortest - anchor)
        shared = shortest - shared_end  # a shared start, and what is changed letter by letter
        before = self.variant.start - self.reference.start
        return before + shared, len(ref) - shared_end - shared, len(alt) - shared_end - shared


def variant_windows(
    genome: Genome,
    variants: Iterable[Variant],
    *,
    width: int,
    note: Note,
    mismatch: Literal["error", "skip"] = "error",
    edge: Edge = "pad",
    unknown: Unknown = "error",
) -> Iterator[AllelePair]:
    """Cut the windows around variants, each with either allele.

    Both start at the same base, with the first letter of the allele at index ``width // 2``. Behind an indel the
    alternative takes as many letters more or fewer of the genome as it needs for `width`.

    Parameters
    ----------
    genome : Genome
        The genome on which the variants were called.
    variants : iterable of Variant
        As `read_vcf` gives them.
    width : int
        Letters in each window.
    note : callable
        Is given a `Remark` for each variant that is left out: ``mismatch`` (the reference allele is not what the
        genome has), ``no contig``, ``off contig``, ``duplicate`` (the same variant came before); and for those used
        otherwise than they stand there: ``padded``, and ``cut`` where an allele reaches beyond the window; and for
        those that are used though they did not pass the filters of the caller: ``filtered``.
    mismatch : {"error", "skip"}
        What is done with a variant whose reference allele is not what the genome has.
    edge : {"pad", "skip", "error"}
        What is done with windows that go off their contig: N there, or they are left out, or it is an error.
    unknown : {"skip", "error"}
        What is done with a variant on a contig that the genome does not have.

    Yields
    ------
    AllelePair
        In the variants' order. The ids are ``contig:POS:REF:ALT_ref::contig:start-end`` and ``..._alt`` with the
        same place, or without one if the alleles differ in length.

    Raises
    ------
    SeqplrpError
        With file and line, for what is asked to be an error.
    """
    check_width("width", width)
    check_choice("mismatch", mismatch, ("error", "skip"))
    check_choice("edge", edge, ("pad", "skip", "error"))
    check_choice("unknown", unknown, ("skip", "error"))
    usable = _usable(genome, variants, note, mismatch, unknown)
    return (pair for variant in usable if (pair := _pair(genome, variant, width, edge, note)) is not None)


def _usable(
    genome: Genome, variants: Iterable[Variant], note: Note, mismatch: Literal["error", "skip"], unknown: Unknown
) -> Iterator[Variant]:
    """Give the variants that agree with the genome, each once."""
    with FirstSeen() as seen:
        for variant in variants:
            if unknown == "skip" and variant.contig not in genome.sizes:
                note(_remark("no contig", variant, f"contig {variant.contig!r} is not in the genome"))
                continue
            genome.size(variant.contig, where=variant.where)
            first = seen.add(f"{variant.contig}:{variant.start}:{variant.ref}:{variant.alt}", variant.where)
            if first is not None:
                note(_remark("duplicate", variant, f"the same variant as that of {first}"))
                continue
            wrong = _disagreement(genome, variant)
            if wrong is None:
                yield variant
            elif mismatch == "skip":
                note(_remark("mismatch", variant, wrong))
            else:
                remedy = "give the genome on which the variants were called, or skip such variants"
                raise SeqplrpError(variant.where, wrong, remedy)


def _disagreement(genome: Genome, variant: Variant) -> str | None:
    """Say how the genome differs from the reference allele; None if it does not."""
    size = genome.size(variant.contig)
    place = f"{variant.contig}:{variant.start + 1}"
    if variant.end > size:
        return f"REF at {place} reaches beyond the contig, which has {size} bases in {genome.path}"
    there = genome.fetch(variant.contig, variant.start, variant.end)
    if there == variant.ref:
        return None
    swapped = fetch_padded(genome, variant.contig, variant.start, variant.start + len(variant.alt)) == variant.alt
    hint = " (it has ALT there: the alleles may be swapped)" if swapped else ""
    return f"REF {shortened(variant.ref)!r} at {place} is {shortened(there)!r} in {genome.path}{hint}"


def _pair(genome: Genome, variant: Variant, width: int, edge: Edge, note: Note) -> AllelePair | None:
    size = genome.size(variant.contig)
    start = variant.start - width // 2
    end = start + width
    before = fetch_padded(genome, variant.contig, start, variant.start)
    lacking = max(0, width - len(before) - len(variant.alt))
    furthest = max(end, variant.end + lacking)
    if start < 0 or furthest > size:
        reason = f"the windows need {variant.contig}:{start}-{furthest}, off the contig, which has {size} bases"
        remark = _remark("padded", variant, reason, used=True)
        if not is_taken_off_contig(remark, start, furthest, size, edge, note):
            return None
    if len(before) + max(len(variant.ref), len(variant.alt)) > width:
        note(_remark("cut", variant, "an allele reaches beyond the window", used=True))
    if variant.filter not in PASSED:
        note(_remark("filtered", variant, f"FILTER is {shortened(variant.filter)!r}", used=True))
    behind = fetch_padded(genome, variant.contig, variant.end, variant.end + lacking)
    place = f"::{variant.contig}:{start}-{end}"
    letters = fetch_padded(genome, variant.contig, start, end)
    reference = Record(f"{variant.name}_ref{place}", letters, variant.contig, start, end)
    letters = (before + variant.alt + behind)[:width]
    if len(variant.ref) == len(variant.alt):
        alternative = Record(f"{variant.name}_alt{place}", letters, variant.contig, start, end)
    else:
        alternative = Record(f"{variant.name}_alt", letters, f"{variant.name}_alt", 0, width)
    return AllelePair(variant, reference, alternative)


def _remark(kind: str, variant: Variant, reason: str, *, used: bool = False) -> Remark:
    name = variant.name if variant.id == "." else variant.id
    return Remark(kind, name, variant.contig, variant.start, variant.end, reason, variant.where, used)


def _shared_end(first: str, second: str, most: int) -> int:
    """Return how many letters two texts share at their end, at most `most`."""
    ends = [np.frombuffer(text[len(text) - most :].encode(), np.uint8)[::-1] for text in (first, second)]
    differ = np.flatnonzero(ends[0] != ends[1])
    return int(differ[0]) if len(differ) else most
