"""Let check_format check our own formats; a script, run in a new process.

What HDF5 keeps of files that could not be closed, as tests of full disks leave them, can end a copy of their process.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from seqplrp import SeqplrpError
from seqplrp.genomics import tracks
from seqplrp.pipeline import Writing, check_format


def flat(arrays: tracks.RelevanceArrays) -> list[np.ndarray]:
    return [arrays.per_base[arrays.positions(number)] for number in range(len(arrays))]


def npz(out: Path, what: Writing) -> list[np.ndarray]:
    return flat(tracks.read_npz(what.file(out, "relevance", "npz")))


def h5(out: Path, what: Writing) -> list[np.ndarray]:
    _, _, projected = tracks.read_h5(what.file(out, "relevance", "h5"))
    return list(projected.sum(1))


def bedgraph(out: Path, what: Writing) -> list[np.ndarray]:
    table = tracks.read_bedgraph(what.file(out, "relevance", "bedgraph"))
    found = []
    for place in what.spool.index.in_order():
        values = np.zeros(len(place), "f4")
        on_contig = table[table["contig"] == place.contig]
        for row in on_contig.itertuples():
            first, last = max(row.start, place.start), min(row.end, place.end)
            values[max(first - place.start, 0) : max(last - place.start, 0)] = row.value
        found.append(values[::-1] if place.strand == "-" else values)
    return found


READERS = {"npz": npz, "h5": h5, "bedgraph": bedgraph}


def told(name: str, read) -> str:
    try:
        check_format(name, read=read)
    except SeqplrpError as error:
        return str(error)
    return "nothing"


def main(names: list[str]) -> None:
    for name in names:
        check_format(name)
        print("passes", name, flush=True)
    for name, read in READERS.items():
        check_format(name, read=read)
        wrong = told(name, lambda out, what, read=read: [values + 1 for values in read(out, what)])
        assert re.search(rf"format {name} \(what is read back\): of record 'peak 0' is not", wrong), wrong
        wrong = told(name, lambda out, what, read=read: read(out, what)[1:])
        assert re.search(rf"format {name} \(what is read back\): is 3 of 4 records", wrong), wrong
        print("read back", name, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
