"""The commands and the Python of docs/formats.md and docs/variants.md do what the pages say."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commandline import LENGTH, random_dna

from seqplrp.genomics import tracks, write_fasta
from seqplrp.pipeline import FORMATS

DOCS = Path(__file__).parents[2] / "docs"


def page(name, kind):
    return re.findall(rf"```{kind}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), flags=re.S)


@pytest.fixture
def inputs(model_directory, tmp_path, monkeypatch):
    """The files that the pages' commands name."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model_directory, "model")
    (dna,) = random_dna(1, 500)
    write_fasta("hg38.fa", [("chr1", dna)])
    peaks = [f"chr1\t{at}\t{at + 30}\tp{at}\t0\t.\t1\t1\t1\t9\n" for at in (0, 100, 200)]
    Path("peaks.narrowPeak").write_text("".join(peaks))
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    Path("v.vcf").write_text(
        "".join(f"chr1\t{at}\tv{at}\t{dna[at - 1]}\t{other[dna[at - 1]]}\n" for at in (5, 100, 250))
    )


def run_page(run, name):
    for line in "\n".join(page(name, "bash")).splitlines():
        if line.startswith("seqplrp"):
            done = run(*shlex.split(line)[1:])
            assert (done.code, done.err) == (0, ""), (line, done.err)
    names: dict = {}
    for block in page(name, "python"):
        exec(compile(block, name, "exec"), names)
    return names


def test_the_page_of_formats(run, inputs):
    pytest.importorskip("pyarrow")
    pytest.importorskip("zarr")
    names = run_page(run, "formats.md")
    arrays = tracks.read_npz("explained/relevance.npz")
    np.testing.assert_array_equal(names["maps"].ravel(), arrays.per_base)
    np.testing.assert_array_equal(names["store"]["per_base"][:].ravel(), arrays.per_base)
    # where a column of the arrays lies, though the first window was padded and regions.bed is cut
    regions = tracks.read_regions("explained/regions.bed")
    assert (arrays.starts[0], regions["start"][0], regions["end"][0]) == (9 - LENGTH // 2, 0, 9 + LENGTH // 2)
    for n, start in enumerate(arrays.starts):
        for i in range(LENGTH):
            if start + i >= 0:
                (found,) = tracks.read_bigwig("explained/relevance.bw", "chr1", start + i, start + i + 1)
                assert found == arrays.per_base[arrays.positions(n)][i]
    remarks = pd.read_csv("explained/remarks.tsv", sep="\t")
    assert remarks["kind"].tolist() == ["padded"]


def test_the_page_of_formats_names_each(run):
    text = (DOCS / "formats.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([\w-]+)`", text, flags=re.M) == list(
        dict.fromkeys(re.findall(r"^\| `([\w-]+)`", text, flags=re.M))
    )
    assert set(re.findall(r"^\| `([\w-]+)`", text, flags=re.M)) == set(FORMATS)
    for command in ("explain", "export"):
        words = run(command, "--help").out
        assert all(name in words for name in FORMATS)


def test_the_page_of_variants(run, inputs):
    names = run_page(run, "variants.md")
    found, table = names["found"], pd.read_csv("changes/variants.tsv", sep="\t")
    assert table["id"].tolist() == ["v5", "v100", "v250"]
    assert np.abs(names["difference"]).sum() == pytest.approx(table["l1_distance"][names["i"]], rel=1e-5)
    assert found.starts.tolist() == [at - 1 - LENGTH // 2 for at in (5, 100, 250)]
    text = (DOCS / "variants.md").read_text(encoding="utf-8")
    told = re.findall(r"`([\w.]+)`", text)
    patterns = [name.removesuffix("...") for name in told]
    assert not [column for column in table if not any(column.startswith(name) for name in patterns if name)]
