"""Minimal MEME format, read strictly and written plainly.

The format: https://meme-suite.org/meme/doc/meme-format.html. Full MEME text output is read too: what stands
between a MOTIF line and its matrix is skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs.model import WIDEST, Motif, check_background, check_word, row_problem
from seqplrp.genomics.textfile import Line, parse_number, unwritable

_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(\S+)")
_END_OF_ROWS = re.compile(r"$|URL\b|MOTIF\b|-+$")


def parse_meme(lines: Iterable[Line], path: str | os.PathLike[str]) -> list[Motif]:
    """Turn numbered lines of a MEME file into motifs; `path` is for the errors."""
    parser = _Parser(path, list(lines))
    parser.run()
    return [draft.motif(parser) for draft in parser.drafts]


@dataclass
class _Draft:
    """A motif while its lines are being read."""

    line: int
    identifier: str
    alternate: str
    rows: list[npt.NDArray[np.float64]] = field(default_factory=list)
    nsites: float | None = None
    url: str = ""

    def motif(self, parser: _Parser) -> Motif:
        if not self.rows:
            what = f"motif {self.identifier!r} has no letter-probability matrix"
            raise parser.error(self.line, what, "give its matrix")
        # JASPAR and others write "MOTIF accession name"; one word alone is the name
        name, accession = (self.alternate, self.identifier) if self.alternate else (self.identifier, "")
        motif = Motif(name, np.array(self.rows), accession=accession, url=self.url, nsites=self.nsites)
        return motif if parser.background is None else replace(motif, background=parser.background)


class _Parser:
    """One pass over the lines of a file, top to bottom."""

    def __init__(self, path: str | os.PathLike[str], lines: list[Line]) -> None:
        self.path = path
        self.lines = [(number, text.strip()) for number, text in lines]
        self.at = 0  # index of the next line
        self.drafts: list[_Draft] = []
        self.line_of: dict[str, int] = {}
        self.background: npt.NDArray[np.float64] | None = None

    def error(self, number: int, what: str, remedy: str) -> SeqplrpError:
        return SeqplrpError(f"{self.path}, line {number}", what, remedy)

    def peek(self) -> Line:
        """Return the next line without taking it; past the end an empty one, numbered as the last."""
        return self.lines[self.at] if self.at < len(self.lines) else (self.lines[-1][0], "")

    def run(self) -> None:
        while self.at < len(self.lines):
            number, line = self.peek()
            self.at += 1
            lowered = line.lower()
            if lowered.startswith("alphabet"):
                self.check_alphabet(number, line)
            elif lowered.startswith("background letter frequencies"):
                self.read_background(number)
            elif re.match(r"MOTIF\b", line):
                self.start_motif(number, line)
            elif lowered.startswith("letter-probability matrix"):
                self.read_matrix(number, line)
            elif re.match(r"URL\s", line) and self.drafts:
                self.drafts[-1].url = line.split()[1]
                check_word(self.drafts[-1].url, f"{self.path}, line {number}", "URL")

    def check_alphabet(self, number: int, line: str) -> None:
        stated = line[len("ALPHABET") :].strip().lstrip("=").strip().upper()
        # the long form, ALPHABET "DNA" DNA-LIKE, names itself; its width is checked at each matrix
        if stated not in ("ACGT", "ACGU") and not re.search("DNA|RNA", stated):
            raise self.error(number, f"the alphabet is {stated[:40]!r}, not ACGT", "give DNA motifs")

    def read_background(self, header: int) -> None:
        found: dict[str, float] = {}
        while len(found) < 4:
            number, line = self.peek()
            self.at += 1
            tokens = line.split()
            if len(tokens) < 2 or len(tokens) % 2:
                what = "the background header is not followed by 'A f C f G f T f'"
                raise self.error(header, what, "give four frequencies or remove the header")
            for letter, text in zip(tokens[::2], tokens[1::2]):
                base = "T" if letter.upper() == "U" else letter.upper()
                if base not in tuple("ACGT") or base in found:
                    what = f"background letter {letter[:20]!r} is unknown or given twice"
                    raise self.error(number, what, "give A, C, G and T once each")
                found[base] = self.number(number, text, "background frequency")
        frequencies = [found[base] for base in "ACGT"]
        self.background = check_background(frequencies, f"{self.path}, line {number}, background")

    def number(self, line: int, text: str, meaning: str) -> float:
        value = parse_number(text)
        if value is None:
            raise self.error(line, f"{meaning} {text[:20]!r} is not a number", "give a decimal number")
        return value

    def start_motif(self, number: int, line: str) -> None:
        words = line.split()[1:]
        if not words:
            raise self.error(number, "MOTIF has no name behind it", "name the motif")
        identifier = words[0]
        for word in words[:2]:
            check_word(word, f"{self.path}, line {number}", "name")
        if identifier in self.line_of:
            what = f"the motif {identifier!r} was given before, on line {self.line_of[identifier]}"
            raise self.error(number, what, "give every motif an identifier of its own")
        self.line_of[identifier] = number
        # full MEME output writes "MOTIF 1 width = 15 ..." or "MOTIF TGACTCA MEME-1 width = 7 ..."
        alternate = words[1] if len(words) > 1 and words[1] != "width" else ""
        self.drafts.append(_Draft(number, identifier, alternate))

    def read_matrix(self, number: int, line: str) -> None:
        if not self.drafts:
            raise self.error(number, "a matrix stands before any MOTIF line", "put a MOTIF line before it")
        draft = self.drafts[-1]
        if draft.rows:
            what = f"motif {draft.identifier!r} has a second matrix"
            raise self.error(number, what, "give each matrix a MOTIF line of its own")
        width, draft.nsites = self.attributes(number, line)
        while self.at < len(self.lines) and not self.peek()[1]:
            self.at += 1
        while len(draft.rows) != width and not _END_OF_ROWS.match(self.peek()[1]):
            if len(draft.rows) == WIDEST:
                raise self.too_wide(number, draft)
            draft.rows.append(self.row(*self.peek()))
            self.at += 1
        following, text = self.peek()
        if text and all(parse_number(token) is not None for token in text.split()):
            what = f"the matrix of {draft.identifier!r} has more rows than its w= {width}"
            raise self.error(following, what, "mend w= or the rows")
        if not draft.rows or (width is not None and len(draft.rows) < width):
            stated = "at least 1" if width is None else f"w= {width}"
            what = f"the matrix of {draft.identifier!r} ends after {len(draft.rows)} rows, not {stated}"
            raise self.error(following, what, "give every row, or mend w=")

    def too_wide(self, number: int, draft: _Draft) -> SeqplrpError:
        what = f"the matrix of {draft.identifier!r} has more than {WIDEST} rows"
        return self.error(number, what, "give a motif of one factor")

    def attributes(self, number: int, line: str) -> tuple[int | None, float | None]:
        """Return the stated width and number of sites of a matrix header, either None where not stated."""
        stated = dict(_ATTRIBUTE.findall(line.partition(":")[2]))
        if self.number(number, stated.get("alength", "4"), "alength") != 4:
            raise self.error(number, f"alength is {stated['alength'][:20]}, not 4", "give DNA motifs")
        width = self.number(number, stated.get("w", "1"), "width")
        if width < 1 or width != int(width):
            raise self.error(number, f"width {stated['w'][:20]!r} is no whole number above 0", "mend w=")
        nsites = self.number(number, stated.get("nsites", "0"), "nsites")
        if nsites < 0:
            raise self.error(number, f"nsites {stated['nsites'][:20]!r} is negative", "give 0 or more")
        return int(width) if "w" in stated else None, nsites or None  # some programs write 0 for unknown

    def row(self, number: int, line: str) -> npt.NDArray[np.float64]:
        tokens = line.split(maxsplit=4)
        if len(tokens) != 4:
            self.number(number, tokens[0], "matrix entry")  # words instead of a row are told as such
            raise self.error(number, f"the matrix row has {len(line.split())} numbers, not 4", "give A, C, G and T")
        values = np.array([self.number(number, token, "matrix entry") for token in tokens])
        problem = row_problem(values)
        if problem:
            raise self.error(number, *problem)
        return values


def write_meme(path: str | os.PathLike[str], motifs: Iterable[Motif]) -> None:
    """Write motifs as a minimal MEME file, with URL lines and a blank line after each motif.

    Parameters
    ----------
    path : path
        The file to write.
    motifs : iterable of Motif
        At least one, all of the same background, as the format has only one. Class, family and species have
        no place in it; probabilities are written to six decimals.

    Raises
    ------
    SeqplrpError
        If there is no motif, identifiers repeat, backgrounds differ, or the file can't be written.
    """
    listed = list(motifs)
    _check_written(listed)
    frequencies = " ".join(f"{base} {f:.6g}" for base, f in zip("ACGT", listed[0].background))
    head = (
        "MEME version 4",
        "ALPHABET= ACGT",
        "strands: + -",
        f"Background letter frequencies\n{frequencies}",
    )
    text = "\n\n".join([*head, *(_motif_text(motif) for motif in listed)]) + "\n\n"
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise unwritable(path, problem) from None


def _check_written(motifs: list[Motif]) -> None:
    if not motifs:
        raise SeqplrpError("motifs", "there is no motif to write", "give at least one")
    seen: set[str] = set()
    for motif in motifs:
        identifier = motif.accession or motif.name
        if identifier in seen:
            raise SeqplrpError("motifs", f"identifier {identifier!r} occurs twice", "give each its own")
        seen.add(identifier)
        if not np.array_equal(motif.background, motifs[0].background):
            what = f"background of {identifier!r} differs from that of the first motif"
            raise SeqplrpError("motifs", what, "write it to another file")


def _motif_text(motif: Motif) -> str:
    title = f"MOTIF {motif.accession} {motif.name}" if motif.accession else f"MOTIF {motif.name}"
    sites = "" if motif.nsites is None else f" nsites= {motif.nsites:.10g}"
    header = f"letter-probability matrix: alength= 4 w= {motif.width}{sites} E= 0"
    rows = (" " + "  ".join(f"{p:.6f}" for p in row) for row in motif.probabilities)
    url = [f"URL {motif.url}"] if motif.url else []
    return "\n".join([title, header, *rows, *url])
