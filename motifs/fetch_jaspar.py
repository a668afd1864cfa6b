"""Write the motif library of this folder from the JASPAR release that the installed pyjaspar carries.

Run it from anywhere with the package and its ``jaspar`` extra installed::

    python motifs/fetch_jaspar.py

It takes the latest version of each matrix below, writes one minimal MEME file a motif and ``index.tsv``
with what MEME has no place for. It removes nothing: delete files of matrices that left the list by hand.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from pyjaspar import jaspardb

from seqplrp.genomics.motifs import Motif, write_meme

RELEASE = "JASPAR2026"
FOLDER = Path(__file__).resolve().parent
SPECIES = {"9606": "Homo sapiens", "10090": "Mus musculus"}

# Matrix and the name it is expected to have; human where JASPAR has a human one, else mouse.
MATRICES = {
    "MA0139": "CTCF",
    "MA1102": "CTCFL",
    "MA0138": "REST",
    "MA0095": "Yy1",
    "MA0088": "ZNF143",
    "MA0079": "SP1",
    "MA0039": "KLF4",
    "MA0162": "EGR1",
    "MA0103": "ZEB1",
    "MA0035": "GATA1",
    "MA0036": "GATA2",
    "MA0140": "GATA1::TAL1",
    "MA0091": "TAL1::TCF3",
    "MA1648": "TCF12",
    "MA0093": "USF1",
    "MA0526": "USF2",
    "MA0147": "MYC",
    "MA0058": "MAX",
    "MA0062": "GABPA",
    "MA0028": "ELK1",
    "MA0473": "ELF1",
    "MA0098": "ETS1",
    "MA0080": "Spi1",
    "MA0050": "Irf1",
    "MA1419": "IRF4",
    "MA0060": "NFYA",
    "MA0502": "NFYB",
    "MA0466": "CEBPB",
    "MA0491": "JUND",
    "MA0099": "FOS::JUN",
    "MA0018": "CREB1",
    "MA0150": "Nfe2l2",
    "MA0506": "Nrf1",
    "MA0106": "TP53",
    "MA0002": "Runx1",
    "MA0114": "HNF4A",
    "MA0046": "HNF1A",
    "MA0504": "NR2C2",
    "MA0112": "ESR1",
    "MA0148": "FOXA1",
    "MA0143": "SOX2",
    "MA1115": "POU5F1",
    "MA0142": "Pou5f1::Sox2",
    "MA0137": "STAT1",
    "MA0144": "STAT3",
    "MA0024": "E2F1",
    "MA0510": "RFX5",
    "MA0052": "MEF2A",
    "MA0083": "SRF",
    "MA0809": "TEAD4",
    "MA0105": "NFKB1",
    "MA0154": "EBF1",
}
COLUMNS = (
    "accession",
    "name",
    "tf_class",
    "family",
    "species",
    "width",
    "nsites",
    "data_type",
    "url",
    "file",
)


def main(folder: Path = FOLDER) -> None:
    """Fetch, check and write every matrix of the list."""
    database = jaspardb(release=RELEASE)
    rows = []
    for matrix, expected in MATRICES.items():
        record = database.fetch_motif_by_id(matrix)
        if record is None or record.name != expected or record.collection != "CORE":
            raise SystemExit(
                f"error: {matrix}: {RELEASE} has {record and record.name!r}; mend MATRICES, wanted {expected}"
            )
        motif = as_motif(record)
        file = f"{motif.accession}_{motif.name.replace('::', '-')}.meme"
        write_meme(folder / file, [motif])
        described = {
            "width": motif.width,
            "nsites": f"{motif.nsites:g}",
            "data_type": record.data_type or "",
            "file": file,
        }
        shared = ("accession", "name", "tf_class", "family", "species", "url")
        rows.append({**{column: getattr(motif, column) for column in shared}, **described})
    with open(folder / "index.tsv", "w", encoding="utf-8", newline="") as out:
        table = csv.DictWriter(out, COLUMNS, delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(sorted(rows, key=lambda row: (row["name"].upper(), row["accession"])))
    print(f"{len(rows)} motifs of {RELEASE} in {folder}")


def as_motif(record: object) -> Motif:
    """Turn a JASPAR record (counts and annotation) into a Motif."""
    counts = np.array([record.counts[base] for base in "ACGT"], dtype=float).T
    return Motif(
        record.name,
        counts / counts.sum(axis=1, keepdims=True),
        accession=record.matrix_id,
        tf_class="; ".join(record.tf_class),
        family="; ".join(record.tf_family),
        species="; ".join(SPECIES[taxon] for taxon in record.species),
        url=f"https://jaspar.elixir.no/matrix/{record.matrix_id}",
        # a few records hold rescaled counts; whole sites are what other programs read
        nsites=float(round(counts.sum(axis=1).max())),
    )


if __name__ == "__main__":
    main()
