"""Minimal MEME format, read strictly and written plainly.

The format: https://meme-suite.org/meme/doc/meme-format.html. Full MEME text output is read too: what stands
between a MOTIF line and its matrix is skipped.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs.model import Motif, check_background, row_problem

_ATTRIBUTE = re.compile(r"(\w+)\s*=\s*(\S+)")
Line = tuple[int, str]


def parse_meme(lines: Iterable[Line], path: str | os.PathLike[str]) -> list[Motif]:
    """Turn numbered lines of a MEME file into motifs; `path` is for the errors."""
    parser = _Parser(path, iter(lines))
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
            raise parser.error(
                self.line, f"motif {self.identifier!r} has no letter-probability matrix", "give its matrix"
            )
        # JASPAR and others write "MOTIF accession name"; one word alone is the name
        name, accession = (self.alternate, self.identifier) if self.alternate else (self.identifier, "")
        background = {} if parser.background is None else {"background": parser.background}
        return Motif(
            name, np.array(self.rows), accession=accession, url=self.url, nsites=self.nsites, **background
        )


class _Parser:
    """One pass over the lines; a matrix takes its rows from the same iterator."""

    def __init__(self, path: str | os.PathLike[str], lines: Iterator[Line]) -> None:
        self.path = path
        self.lines = lines
        self.number = 0
        self.pending: str | None = None  # a line that was read and belongs to what follows
        self.drafts: list[_Draft] = []
        self.background: npt.NDArray[np.float64] | None = None

    def error(self, number: int, what: str, remedy: str) -> SeqplrpError:
        return SeqplrpError(f"{self.path}, line {number}", what, remedy)

    def next(self) -> str | None:
        if self.pending is not None:
            line, self.pending = self.pending, None
            return line
        for self.number, line in self.lines:
            return line.strip()
        return None

    def run(self) -> None:
        while (line := self.next()) is not None:
            lowered = line.lower()
            if lowered.startswith("alphabet"):
                self.alphabet(line)
            elif lowered.startswith("background letter frequencies"):
                self.read_background()
            elif re.match(r"MOTIF\b", line):
                self.start_motif(line)
            elif lowered.startswith("letter-probability matrix"):
                self.read_matrix(line)
            elif line.startswith("URL") and self.drafts:
                self.drafts[-1].url = line[3:].strip()

    def alphabet(self, line: str) -> None:
        stated = line[len("ALPHABET") :].strip().lstrip("=").strip()
        # the long form, ALPHABET "DNA" DNA-LIKE, lists its letters below in the order of the columns
        if stated.upper() in ("ACGT", "ACGU") or "DNA" in stated.upper() or "RNA" in stated.upper():
            return
        raise self.error(self.number, f"the alphabet is {stated[:40]!r}, not ACGT", "give DNA motifs")

    def read_background(self) -> None:
        header, found = self.number, dict[str, float]()
        while len(found) < 4:
            line = self.next()
            tokens = [] if line is None else line.split()
            if len(tokens) < 2 or len(tokens) % 2:
                raise self.error(
                    header, "the background line is not followed by 'A f C f G f T f'", "mend or remove it"
                )
            for letter, text in zip(tokens[::2], tokens[1::2]):
                letter = letter.upper().replace("U", "T")
                if letter not in "ACGT" or letter in found:
                    raise self.error(
                        self.number, f"background letter {letter!r} is unknown or given twice", "mend it"
                    )
                found[letter] = self.real(text, "background frequency")
        frequencies = [found[letter] for letter in "ACGT"]
        self.background = check_background(frequencies, f"{self.path}, line {self.number}, background")

    def real(self, text: str, meaning: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise self.error(
                self.number, f"{meaning} {text[:20]!r} is not a number", "give a number"
            ) from None

    def start_motif(self, line: str) -> None:
        words = line.split()[1:]
        if not words:
            raise self.error(self.number, "MOTIF has no name behind it", "name the motif")
        identifier = words[0]
        for draft in self.drafts:
            if draft.identifier == identifier:
                raise self.error(
                    self.number,
                    f"the motif {identifier!r} was given before, on line {draft.line}",
                    "give every motif an identifier of its own",
                )
        # full MEME output: "MOTIF 1 width = 15 sites = ..." and "MOTIF TGACTCA MEME-1 width = ..."
        alternate = words[1] if len(words) > 1 and words[1:3] != ["width", "="] else ""
        self.drafts.append(_Draft(self.number, identifier, alternate))

    def read_matrix(self, line: str) -> None:
        header = self.number
        if not self.drafts:
            raise self.error(
                header, "a matrix stands before any MOTIF line", "name it by a MOTIF line before it"
            )
        draft = self.drafts[-1]
        if draft.rows:
            raise self.error(
                header, f"motif {draft.identifier!r} has a second matrix", "give it a MOTIF line"
            )
        width, draft.nsites = self.attributes(line)
        while width is None or len(draft.rows) < width:
            row = self.row(draft, width)
            if row is None:
                break
            draft.rows.append(row)
        self.check_height(header, draft, width)

    def attributes(self, line: str) -> tuple[int | None, float | None]:
        stated = dict(_ATTRIBUTE.findall(line.partition(":")[2]))
        if self.real(stated.get("alength", "4"), "alength") != 4:
            raise self.error(self.number, f"alength is {stated['alength'][:20]}, not 4", "give DNA motifs")
        width = None
        if "w" in stated:
            if not re.fullmatch(r"[0-9]{1,9}", stated["w"]) or int(stated["w"]) < 1:
                raise self.error(
                    self.number,
                    f"width {stated['w'][:20]!r} is not a whole number above 0",
                    "give w= and the rows' count",
                )
            width = int(stated["w"])
        nsites = self.real(stated["nsites"], "nsites") if "nsites" in stated else None
        if nsites is not None and not 0 <= nsites < float("inf"):
            raise self.error(
                self.number, f"nsites {stated['nsites'][:20]!r} is not a number of sites", "give 0 or more"
            )
        return width, nsites or None  # 0 is how some programs write "unknown"

    def row(self, draft: _Draft, width: int | None) -> npt.NDArray[np.float64] | None:
        line = self.next()
        if not line:
            # blank lines may stand between header and rows, and end the rows where no width is given
            return self.row(draft, width) if line == "" and not draft.rows else None
        tokens = line.split()
        if not re.match(r"[-+.0-9]|nan|inf", tokens[0], re.IGNORECASE) or set(line) == {"-"}:
            self.pending = line
            return None
        values = np.array([self.real(token, "matrix entry") for token in tokens])
        if len(values) != 4:
            raise self.error(
                self.number, f"a matrix row has {len(values)} numbers, not 4", "give A, C, G and T"
            )
        problem = row_problem(values)
        if problem:
            raise self.error(self.number, *problem)
        return values

    def check_height(self, header: int, draft: _Draft, width: int | None) -> None:
        found = len(draft.rows)
        if found == 0 or (width is not None and found < width):
            stated = "at least 1" if width is None else width
            raise self.error(
                header,
                f"the matrix of {draft.identifier!r} has {found} rows, not {stated}",
                "give every row, or mend w=",
            )
        following = self.next()
        if following and re.fullmatch(r"[-+.0-9eE\s]*[0-9][-+.0-9eE\s]*", following):
            raise self.error(
                self.number,
                f"the matrix of {draft.identifier!r} has more rows than w= {width}",
                "mend w= or the rows",
            )
        self.pending = following


def write_meme(path: str | os.PathLike[str], motifs: Iterable[Motif]) -> None:
    """Write motifs as a minimal MEME file, with URL lines and a blank line after each motif.

    Parameters
    ----------
    path : path
        The file to write.
    motifs : iterable of Motif
        At least one, all of the same background, as the format has only one. Class, family and species have
        no place in it.

    Raises
    ------
    SeqplrpError
        If there is no motif, identifiers repeat, backgrounds differ, or the file can't be written.
    """
    listed = list(motifs)
    _check_written(listed)
    frequencies = " ".join(f"{base} {f:.6g}" for base, f in zip("ACGT", listed[0].background))
    head = f"MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\nBackground letter frequencies\n{frequencies}\n\n"
    text = head + "".join(_motif_text(motif) for motif in listed)
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as problem:
        raise SeqplrpError(
            path,
            f"can't be written ({problem.strerror or problem})",
            "check the folder, its rights and the disk",
        ) from None


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
            raise SeqplrpError(
                "motifs", f"background of {identifier!r} differs from the first", "write it to another file"
            )


def _motif_text(motif: Motif) -> str:
    title = f"MOTIF {motif.accession} {motif.name}" if motif.accession else f"MOTIF {motif.name}"
    sites = "" if motif.nsites is None else f" nsites= {motif.nsites:.10g}"
    rows = "".join(" " + "  ".join(f"{p:.6f}" for p in row) + "\n" for row in motif.probabilities)
    url = f"URL {motif.url}\n" if motif.url else ""
    return f"{title}\nletter-probability matrix: alength= 4 w= {motif.width}{sites} E= 0\n{rows}{url}\n"
