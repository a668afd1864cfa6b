"""Reading a motif file of either format, told by its content."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs.jaspar import parse_jaspar
from seqplrp.genomics.motifs.meme import parse_meme
from seqplrp.genomics.motifs.model import Motif
from seqplrp.genomics.textfile import Line, text_lines

_MOST_LINES, _MOST_LETTERS = 2_000_000, 1 << 27  # far more than any collection has
_TRANSFAC = re.compile(r"(AC|ID|P0|PO|DE|VV)\b")


def read_motifs(path: str | os.PathLike[str], *, pseudocount: float = 0.0) -> list[Motif]:
    """Read the motifs of a MEME or JASPAR file, plain or gzipped.

    Parameters
    ----------
    path : path
        Minimal MEME, full MEME text output, JASPAR matrices with ``>ID name`` headers, or one raw JASPAR
        matrix of four rows. The content decides, not the file's name.
    pseudocount : float
        Sites of background composition to add to every position (`Motif.with_pseudocount`).

    Returns
    -------
    list of Motif
        At least one, in the file's order.

    Raises
    ------
    SeqplrpError
        With file and line, whatever is wrong with the file: another format, no motif, an identifier given
        twice, a matrix of the wrong width or height or cut short, entries that are no numbers or negative,
        rows that do not sum to 1 within 0.01 (MEME), an alphabet other than DNA.
    """
    lines = list(_lines(path))
    motifs = _parser(lines, path)(lines, path)
    if not motifs:
        raise SeqplrpError(path, "holds no motif", "give a file with at least one MOTIF")
    return [motif.with_pseudocount(pseudocount) for motif in motifs] if pseudocount else motifs


def _lines(path: str | os.PathLike[str]) -> Iterator[Line]:
    """Give the lines of a file, of which a few kilobytes of gzip can hold more than the memory."""
    letters = 0
    for number, line in text_lines(path):
        letters += len(line)
        if number > _MOST_LINES or letters > _MOST_LETTERS:
            where = f"{path}, line {number}"
            raise SeqplrpError(where, "is more than a motif file holds", "give MEME or JASPAR format")
        yield number, line


def _parser(lines: list[Line], path: str | os.PathLike[str]) -> Callable[..., list[Motif]]:
    """Tell the format by its first lines, and return what parses it."""
    content = [(number, text.strip()) for number, text in lines if text.strip()]
    if not content:
        raise SeqplrpError(path, "is empty", "give a MEME or JASPAR motif file")
    if any(re.match(r"MEME version\b|MOTIF\s", text) for _, text in content):
        return parse_meme
    number, first = next(((n, t) for n, t in content if not t.startswith("#")), content[0])
    if first.startswith(">") or re.match(r"[ACGTU]?\s*[|:\[]?\s*[-+.0-9]", first, re.IGNORECASE):
        return parse_jaspar
    what = "looks like TRANSFAC" if _TRANSFAC.match(first) else f"{first[:30]!r} starts neither MEME nor JASPAR"
    raise SeqplrpError(f"{path}, line {number}", what, "give minimal MEME ('MEME version 4') or JASPAR format")
