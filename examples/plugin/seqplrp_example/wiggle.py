"""A track format: wiggle, which old genome browsers read."""

from __future__ import annotations

from pathlib import Path

from seqplrp.genomics import tracks
from seqplrp.pipeline import Format, Writing


def write_wiggle(out: Path, what: Writing) -> None:
    """Write relevance along the genome as fixedStep blocks, a value a base."""
    with open(what.file(out, "relevance", "wig"), "w", encoding="utf-8") as file:
        for contig, start, values in tracks.along_the_genome(what.spool, overlaps=what.overlaps):
            file.write(f"fixedStep chrom={contig} start={start + 1} step=1\n")  # wiggle counts from 1
            file.writelines(f"{value:.9g}\n" for value in values)


WIGGLE = Format(write_wiggle)
