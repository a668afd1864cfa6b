"""From a command's options to where its sequences come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqplrp.errors import SeqplrpError, option_of

if TYPE_CHECKING:
    from seqplrp.cli.option_groups import SequenceOptions
    from seqplrp.pipeline import FastaSource, Source

_CHOICES = {
    "iupac": ("reject", "n"),
    "mismatch": ("error", "skip"),
    "short": ("pad", "whole", "skip", "error"),
    "centre": ("auto", "summit", "middle"),
    "edge": ("pad", "skip", "error"),
    "unknown_contig": ("error", "skip"),
    "bed_format": ("auto", "bed", "narrowPeak"),
}


def fasta_source(fasta: Path, iupac: str) -> FastaSource:
    """Return the records of a FASTA file."""
    from seqplrp.pipeline import FastaSource

    return FastaSource(fasta, chosen("iupac", iupac))


def source_of(given: SequenceOptions, iupac: str) -> Source:
    """Return what a command's options name.

    Raises
    ------
    SeqplrpError
        If they name no input, or two, or options that do not go with it.
    """
    from seqplrp.pipeline import FastaSource, RegionSource

    if (given.fasta is None) == (given.bed is None):
        what = "are both given" if given.fasta is not None else "is needed, and neither is given"
        raise SeqplrpError("--fasta, --bed", what, "give --fasta FILE, or --bed FILE with --genome FILE")
    policy = chosen("iupac", iupac)
    if given.fasta is not None:
        _refuse(given, "--bed", "genome", "width", "centre", "edge", "unknown_contig", "bed_format")
        if given.window is None:
            _refuse(given, "--window", "stride", "short")
        return FastaSource(given.fasta, policy, given.window, given.stride, chosen("short", given.short or "pad"))
    assert given.bed is not None
    _refuse(given, "--fasta", "window", "stride", "short")
    if given.genome is None:
        raise SeqplrpError("--bed", "names regions, and there is no genome to cut them from", "give --genome FILE")
    return RegionSource(
        given.bed,
        given.genome,
        width=given.width,
        centre=chosen("centre", given.centre or "auto"),
        edge=chosen("edge", given.edge or "pad"),
        unknown=chosen("unknown_contig", given.unknown_contig or "error"),
        format=chosen("bed_format", given.bed_format or "auto"),
        iupac=policy,
    )


def chosen(name: str, value: str) -> Any:
    """Return an option's value, if it is one of those that it takes."""
    if value not in _CHOICES[name]:
        raise SeqplrpError(option_of(name), f"{value!r} is not known", f"choose {', '.join(_CHOICES[name])}")
    return value


def _refuse(given: SequenceOptions, wanted: str, *names: str) -> None:
    """Raise for an option that says nothing without another one."""
    for name in names:
        if getattr(given, name) is not None:
            raise SeqplrpError(option_of(name), f"goes with {wanted} only", f"leave it out, or give {wanted}")
