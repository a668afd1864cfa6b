"""The motifs of a task file: from the library, a file, letters or a matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.letters import BASES_OF
from seqplrp.genomics.motifs import WIDEST, Motif, load, read_motifs
from seqplrp.genomics.simulation.document import Node, did_you_mean
from seqplrp.genomics.simulation.task import INSTANCES, PARTS, STRANDS, MotifUse
from seqplrp.storage import is_file

_FORMS = ("load", "file", "consensus", "matrix")
_MOST_MOTIFS = 1000


def read_task_motifs(node: Node, folder: Path) -> tuple[MotifUse, ...]:
    """Read the motifs of a task; file names are relative to `folder`."""
    entries = node.entries("a mapping from names to motifs")
    if not entries:
        raise node.error("names no motif", "name at least one")
    if len(entries) > _MOST_MOTIFS:
        raise node.error(f"names {len(entries)} motifs", f"name at most {_MOST_MOTIFS}")
    return tuple(_read_motif(name, entry, folder) for name, entry in entries.items())


def _read_motif(name: str, node: Node, folder: Path) -> MotifUse:
    node.check_name(name)
    if not isinstance(node.value, dict):
        return MotifUse(_canonical(name, _library_motif(node)))
    options = ("instances", "strands", "name", "nsites", "accession", "url")
    entries = node.mapping((*_FORMS, *options))
    forms = [key for key in _FORMS if key in entries]
    if len(forms) != 1:
        found = f"has {' and '.join(forms)}" if forms else "has no matrix"
        raise node.error(found, f"give one of {', '.join(_FORMS)}")
    form = forms[0]
    for key in ("nsites", "accession", "url"):
        if key in entries and form != "matrix":
            raise entries[key].error(f"{key!r} stands without matrix", "remove it")
    if "name" in entries and form != "file":
        raise entries["name"].error("'name' stands without file", "remove it")
    if form == "load":
        motif = _library_motif(entries["load"])
    elif form == "file":
        motif = _file_motif(entries["file"], entries.get("name"), folder)
    elif form == "consensus":
        motif = _consensus_motif(entries["consensus"])
    else:
        motif = _matrix_motif(entries)
    return MotifUse(
        _canonical(name, motif),
        entries["instances"].choice(INSTANCES) if "instances" in entries else "sample",
        entries["strands"].choice(STRANDS) if "strands" in entries else "both",
    )


def _canonical(name: str, motif: Motif) -> Motif:
    """Give a motif the task's name, and probabilities that survive being written and read.

    Every row becomes whole parts of a million, by largest remainders.
    """
    exact = motif.probabilities * PARTS
    parts = np.floor(exact)
    missing = (PARTS - parts.sum(axis=1)).round().astype(int)
    order = np.argsort(parts - exact, axis=1, kind="stable")
    for row, (indices, short) in enumerate(zip(order, missing)):
        parts[row, indices[:short]] += 1
    return Motif(name, parts / PARTS, accession=motif.accession, url=motif.url, nsites=motif.nsites)


def _library_motif(node: Node) -> Motif:
    try:
        return load(node.text())
    except SeqplrpError as error:
        raise node.error(error.what, error.remedy) from None


def _file_motif(node: Node, name: Node | None, folder: Path) -> Motif:
    path = folder / node.text()
    if not is_file(path):
        raise node.error(f"there is no file {str(path)[-200:]!r}", "name a MEME or JASPAR file")
    found = read_motifs(path)
    if name is None:
        if len(found) > 1:
            raise node.error(f"holds {len(found)} motifs", f"say which by 'name: {found[0].name}' beside 'file'")
        return found[0]
    wanted = name.text()
    for motif in found:
        if wanted in (motif.name, motif.accession):
            return motif
    raise name.error(f"{wanted[:60]!r} is not in {path.name}", did_you_mean(wanted, [m.name for m in found][:20]))


def _consensus_motif(node: Node) -> Motif:
    letters = node.text().upper()
    for letter in letters:
        if letter not in BASES_OF:
            raise node.error(f"{letter!r} is no IUPAC letter of DNA", f"use {''.join(BASES_OF)}")
    if not letters:
        raise node.error("is empty", "give IUPAC letters, as CACGTG")
    if len(letters) > WIDEST:
        raise node.error(f"has {len(letters)} letters", f"give at most {WIDEST}")
    rows = [[float(base in BASES_OF[letter]) / len(BASES_OF[letter]) for base in "ACGT"] for letter in letters]
    return Motif("consensus", np.array(rows))


def _matrix_motif(entries: dict[str, Node]) -> Motif:
    rows = []
    given = entries["matrix"].items("a list of rows, one per position")
    if len(given) > WIDEST:
        raise entries["matrix"].error(f"has {len(given)} rows", f"give at most {WIDEST}")
    for row in given:
        numbers = [cell.number(0, 1e12) for cell in row.items("four numbers, of A, C, G, T")]
        total = sum(numbers)
        if len(numbers) != 4:
            raise row.error(f"has {len(numbers)} numbers", "give four, of A, C, G, T")
        counts = total >= 1 and all(value.is_integer() for value in numbers)
        if not counts and abs(total - 1) > 0.01:
            raise row.error(f"sums to {total:g}", "give probabilities that sum to 1, or whole counts")
        rows.append([value / total for value in numbers])
    if not rows:
        raise entries["matrix"].error("is empty", "give one row of four numbers per position")
    accession, url = (entries[key].text() if key in entries else "" for key in ("accession", "url"))
    nsites = entries["nsites"].number(1e-9, 1e12) if "nsites" in entries else None
    return Motif("matrix", np.array(rows), nsites=nsites, accession=accession, url=url)
