"""The motifs that come with the package: vertebrate factors of JASPAR 2026 (CC BY 4.0)."""

from __future__ import annotations

import csv
import difflib
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs.model import Motif
from seqplrp.genomics.motifs.reading import read_motifs


def library_folder() -> Path:
    """Return the folder of the MEME files: inside an installed package, or ``motifs/`` of a checkout."""
    installed = Path(str(resources.files("seqplrp.genomics"))) / "motif_files"
    checkout = Path(__file__).resolve().parents[3] / "motifs"
    for folder in (installed, checkout):
        if (folder / "index.tsv").is_file():
            return folder
    raise SeqplrpError(installed, "the package's motif files are missing", "install seqplrp again")


def available() -> list[str]:
    """Return the names that `load` takes, sorted."""
    return [row["name"] for row in _index()]


def load(name: str) -> Motif:
    """Return a motif of the library.

    Parameters
    ----------
    name : str
        Name (``"CTCF"``) or accession, with its version (``"MA0139.2"``) or without; case does not matter.

    Raises
    ------
    SeqplrpError
        If the library has no such motif; the error names the nearest ones.
    """
    wanted = str(name).upper()
    for row in _index():
        accession = row["accession"].upper()
        if wanted in (row["name"].upper(), accession, accession.partition(".")[0]):
            return _read(row["file"])
    raise _unknown(str(name))


def load_all() -> list[Motif]:
    """Return every motif of the library, in the order of `available`."""
    return [_read(row["file"]) for row in _index()]


def _unknown(name: str) -> SeqplrpError:
    wanted = name.upper()
    # dimers that hold the factor, or another version of the matrix; failing those, names of similar spelling
    near = [row["name"] for row in _index() if wanted in row["name"].upper().split("::")]
    near += [row["accession"] for row in _index() if row["accession"].partition(".")[0] == wanted.partition(".")[0]]
    if not near:
        names = {row["name"].upper(): row["name"] for row in _index()}
        near = [names[match] for match in difflib.get_close_matches(wanted, names, n=3)]
    meant = f"give one of {', '.join(near)}" if near else "see motifs.available()"
    return SeqplrpError("motif", f"{name[:60]!r} is not in the library", f"{meant}, or read a file by read_motifs()")


@cache
def _index() -> tuple[dict[str, str], ...]:
    with open(library_folder() / "index.tsv", encoding="utf-8", newline="") as table:
        return tuple(csv.DictReader(table, delimiter="\t"))


@cache
def _read(file: str) -> Motif:
    row = next(row for row in _index() if row["file"] == file)
    (motif,) = read_motifs(library_folder() / file)
    # the index holds what the MEME format has no place for
    return replace(motif, tf_class=row["tf_class"], family=row["family"], species=row["species"])
