"""The shipped motifs: there in a checkout and in a wheel, described, and what JASPAR has."""

from __future__ import annotations

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import seqplrp
from seqplrp import SeqplrpError, motifs
from seqplrp.genomics.motifs import Motif, available, load, load_all, read_motifs

ROOT = Path(seqplrp.__file__).resolve().parents[1]
FOLDER = ROOT / "motifs"
# factors and a word of their textbook sites, on the strand that JASPAR shows
CORES = {
    "CTCF": "CCACCAGGGGG", "CTCFL": "GGGGGC", "USF1": "CATGTGAC", "GABPA": "TTCC", "SP1": "GGGCGG", "NFYA": "CCAAT",
    "NFYB": "ATTGG", "TAL1::TCF3": "CATCTG", "GATA1::TAL1": "TTATCT", "GATA2": "TTATCT", "MYC": "CACGTG",
    "MAX": "CACGTG", "ELK1": "CCGGAAGT", "ELF1": "GGAAG", "Spi1": "GGAAGT", "CEBPB": "TTGCGCAA", "JUND": "TGACTCA",
    "FOS::JUN": "TGAGTCA", "Nrf1": "GCGC", "Yy1": "ATGG", "REST": "CAGCACC", "TP53": "CATG", "Runx1": "TGTGG",
    "HNF4A": "CAAAGTCCA", "HNF1A": "GTTAAT", "FOXA1": "GTAAACA", "SOX2": "ACAATGG", "Pou5f1::Sox2": "TTTGTTATGCAAAT",
    "POU5F1": "ATGCAAA", "STAT1": "TTCCAGGAA", "STAT3": "TTCTGGGAA", "Irf1": "GAAACTGAAA", "IRF4": "GAAAC",
    "E2F1": "GGCGCC", "RFX5": "GTTGCCATGGCAAC", "MEF2A": "CTAAAAATAG", "TCF12": "CACCTG", "ZEB1": "CACCTG",
    "ETS1": "CCGGAAGT", "TEAD4": "ACATTCCA", "NR2C2": "AGGTCA", "GATA1": "AATCT",
}  # fmt: skip


@pytest.mark.parametrize(("name", "core"), CORES.items())
def test_each_factor_has_its_textbook_site(name: str, core: str) -> None:
    motif = load(name)
    assert core in motif.consensus
    assert motif.information_content().sum() > 9


def test_every_motif_is_described_and_attributed() -> None:
    loaded = load_all()
    assert [motif.name for motif in loaded] == available()
    assert len({motif.name for motif in loaded}) == len(loaded) >= 24
    for motif in loaded:
        assert motif.accession.startswith("MA")
        assert motif.url == f"https://jaspar.elixir.no/matrix/{motif.accession}"
        assert motif.species in ("Homo sapiens", "Mus musculus")
        assert motif.tf_class
        assert motif.family
        assert motif.nsites is not None
    assert load("CTCF").tf_class == "C2H2 zinc finger factors"
    for name in ("LICENSE", "README.md"):
        text = (FOLDER / name).read_text()
        assert "JASPAR 2026" in text
        assert "CC BY 4.0" in text


def test_index_and_files_say_the_same() -> None:
    with open(FOLDER / "index.tsv", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    assert {row["file"] for row in rows} == {path.name for path in FOLDER.glob("*.meme")}
    for row in rows:
        (motif,) = read_motifs(FOLDER / row["file"])
        assert (motif.name, motif.accession, motif.url) == (row["name"], row["accession"], row["url"])
        assert (motif.width, motif.nsites) == (int(row["width"]), float(row["nsites"]))


@pytest.mark.parametrize("name", ["CTCF", "ctcf", "MA0139", "MA0139.2", "ma0139.2"])
def test_a_motif_is_found_by_name_or_accession_in_any_case(name: str) -> None:
    assert load(name) == load("CTCF")
    assert isinstance(motifs.load(name), Motif)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("CTFC", "CTCF"), ("TAL1", "GATA1::TAL1, TAL1::TCF3"), ("MA0139.1", "MA0139.2"), ("zzzzzz", "motifs.available()")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, meant: str) -> None:
    with pytest.raises(SeqplrpError) as error:
        load(name)
    assert name in error.value.what
    assert meant in error.value.remedy


def test_the_files_are_what_the_script_beside_them_fetches(tmp_path: Path) -> None:
    pytest.importorskip("pyjaspar", reason="the jaspar extra is not installed")
    spec = importlib.util.spec_from_file_location("fetch_jaspar", FOLDER / "fetch_jaspar.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(tmp_path)
    fetched = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert fetched == {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.suffix in (".meme", ".tsv")}


def test_the_numbers_are_those_of_jaspar() -> None:
    pyjaspar = pytest.importorskip("pyjaspar", reason="the jaspar extra is not installed")
    database = pyjaspar.jaspardb(release="JASPAR2026")
    for motif in load_all():
        record = database.fetch_motif_by_id(motif.accession)
        counts = np.array([record.counts[base] for base in "ACGT"]).T
        assert record.name == motif.name
        assert motif.probabilities == pytest.approx(counts / counts.sum(axis=1, keepdims=True), abs=2e-6)


def test_a_wheel_carries_the_library_and_finds_it(tmp_path: Path) -> None:
    pytest.importorskip("hatchling", reason="the build backend is not installed")
    source = tmp_path / "source"
    for folder in ("seqplrp", "motifs"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "LICENSE", "README.md"):
        (source / file).write_bytes((ROOT / file).read_bytes() if (ROOT / file).exists() else b"")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    zipfile.ZipFile(wheel).extractall(unpacked)
    shutil.rmtree(source)

    code = (
        "import seqplrp.genomics.motifs.library as l; from seqplrp import motifs;"
        "print(l.library_folder()); print(motifs.load('CTCF').consensus, len(motifs.load_all()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        check=True,
        capture_output=True,
        text=True,
    )
    folder, loaded = run.stdout.splitlines()
    assert Path(folder) == unpacked / "seqplrp" / "genomics" / "motif_files"
    assert loaded == f"{load('CTCF').consensus} {len(available())}"
    assert (Path(folder) / "LICENSE").is_file()
