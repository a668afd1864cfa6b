"""Names that stand in files (records, contigs, classes, motifs, methods) lead no command out of its directory."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from commandline import refused
from hypothesis import given
from hypothesis import strategies as st
from small_inputs import LENGTH, random_dna

from seqplrp import SeqplrpError
from seqplrp.benchmark.store import file_name
from seqplrp.genomics import read_fasta
from seqplrp.models import load_model, read_labelled_directory, save_model
from seqplrp.pipeline.formats import FORMATS, name_files

MATHS = r"$\frac{$_^"  # which matplotlib would take for a formula, and fail
HOSTILE = [
    "../../x",
    "../x",
    "/tmp/x",
    "..",
    ".",
    "~",
    "~root/x",
    "-rf",
    "--out",
    "CON",
    "NUL",
    "a/b/../../../c",
    "a\\..\\..\\b",
    "$(touch)",
    MATHS,
    "`touch`",
    "%2e%2e%2fx",
    "*",
    "?",
    "'q\"",
    "<script>alert(1)</script>",
    ";|&",
    "é" * 300,
    "x" * 5000,
]


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A directory deep enough that names can lead out of it and still be seen."""
    here = tmp_path / "a" / "b" / "c"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    return here


def written(names: list[str], path: Path) -> Path:
    dna = random_dna(len(names), LENGTH)
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in zip(names, dna, strict=True)))
    return path


@pytest.fixture
def explained(run, place, model_directory):
    """Explain records of any names, in every format; return the directory."""

    def explained(names: list[str], out: str) -> Path:
        written(names, place / f"{out}.fa")
        formats = ",".join(FORMATS)
        asked = ["--model", model_directory, "--fasta", f"{out}.fa", "--target", "0", "--formats", formats]
        done = run("explain", *asked, "--method", "gradient-x-input", "--out", out)
        assert (done.code, done.err) == (0, ""), done.err
        return place / out

    return explained


def test_records_of_any_name_are_written_into_the_same_files_as_others(explained, run, place, tmp_path) -> None:
    sound = explained([f"s{number}" for number in range(len(HOSTILE))], "sound")
    before = tree(tmp_path)
    out = explained(HOSTILE, "out")
    assert tree(out) == tree(sound)
    assert tree(tmp_path) - before == {"a/b/c/out", "a/b/c/out.fa", *(f"a/b/c/out/{name}" for name in tree(out))}
    # and what reads them again draws and scores them by those names
    before = tree(tmp_path)
    rows = (
        f"{name}\t2\t12\t../../m\t0\t+\t{MATHS}\t{MATHS}\n" for name in (HOSTILE[0], MATHS, "<script>alert(1)</script>")
    )
    (place / "truth.bed").write_text("".join(rows))
    (place / "motifs.txt").write_text(f">{MATHS}\n" + "1 2 3 4 5 6 7 8 9 9\n" * 4)
    shown = [text for name in (HOSTILE[0], MATHS, "<script>alert(1)</script>") for text in ("--record", name)]
    done = run("logo", "out", *shown, "--truth", "truth.bed", "--out", "a.svg")
    assert done.code == 0, done.err
    known = ["--truth", "truth.bed", "--motifs", "motifs.txt"]
    assert run("score", "out", *known, "--class", MATHS, "--all", "--out", "a.tsv").code == 0
    assert tree(tmp_path) - before == {f"a/b/c/{name}" for name in ("a.svg", "truth.bed", "motifs.txt", "a.tsv")}
    assert "<script>" not in (place / "a.svg").read_text()


@pytest.mark.parametrize("name", ["a\x00b", "a\x1b[2J", "a\u202eb"])
def test_a_name_that_terminals_and_tables_would_not_show_as_it_is_is_refused(place, name: str) -> None:
    path = place / "x.fa"
    path.write_text(f">{name}\nACGT\n", encoding="utf-8")
    with pytest.raises(SeqplrpError, match=r"line 1: the id .* unprintable"):
        list(read_fasta(path))


def test_regions_of_any_name_are_written_into_the_same_files_as_others(run, place, tmp_path, model_directory) -> None:
    written(["../../chr", "chr2"], place / "genome.fa")
    asked = ["explain", "--model", model_directory, "--genome", "genome.fa", "--target", "0", "--width", LENGTH]
    listings = []
    for out, names in (("sound", ["a", "b"]), ("hostile", ["../../x", "/tmp/x"])):
        (place / f"{out}.bed").write_text(
            "".join(
                f"{contig}\t{start}\t{start + 20}\t{name}\n"
                for contig, start, name in (("../../chr", 9, names[0]), ("chr2", 3, names[1]))
            )
        )
        before = tree(tmp_path)
        done = run(*asked, "--bed", f"{out}.bed", "--method", "gradient-x-input", "--out", out)
        assert done.code == 0, done.err
        new = tree(tmp_path) - before - {"a/b/c/genome.fa.fai"}
        assert all(name == f"a/b/c/{out}" or name.startswith(f"a/b/c/{out}/") for name in new)
        listings.append(tree(place / out))
    assert listings[0] == listings[1]


def test_classes_of_any_name_give_files_their_numbers(run, place, tmp_path, model_directory, fasta) -> None:
    model = load_model(model_directory)
    save_model(model, place / "model", replace(model.config, classes=["../../x", "y" * 300]))
    before = tree(tmp_path)
    asked = ["--model", "model", "--fasta", fasta, "--target", "../../x", "--target", "1", "--formats", "bedgraph"]
    done = run("explain", *asked, "--method", "gradient-x-input", "--out", "out")
    assert done.code == 0, done.err
    assert {"relevance.0.bedgraph", "relevance.1.bedgraph"} <= tree(place / "out")
    assert all(name.startswith("a/b/c/out") for name in tree(tmp_path) - before)


@pytest.mark.parametrize("name", ["", "a\nb", "a\tb", "\x1b[2J", "\u202ex"])
def test_classes_that_no_table_could_show_are_refused(run, place, model_directory, fasta, name: str) -> None:
    model = load_model(model_directory)
    save_model(model, place / "model", replace(model.config, classes=["a", name]))
    done = run("explain", "--model", "model", "--fasta", fasta, "--target", "0", "--out", "out")
    refused(done, r"model/config\.json: names a class .*, which no table could show")
    (place / "labels.tsv").write_text(f'id\tclass\ns0\t"{name}"\ns1\tx\n')
    with pytest.raises(SeqplrpError, match="labels.tsv" if name == "" else r"labels\.tsv, line \d: holds unprintable"):
        read_labelled_directory(written(["s0", "s1"], place / "sequences.fa").parent)


def test_a_manifest_can_not_send_an_export_elsewhere(run, place, tmp_path, model_directory, fasta) -> None:
    asked = ["--model", model_directory, "--fasta", fasta, "--target", "0", "--target", "1", "--formats", "tsv"]
    assert run("explain", *asked, "--method", "gradient-x-input", "--out", "out").code == 0
    path = place / "out" / "manifest.json"
    sound = json.loads(path.read_text())
    before = tree(tmp_path)
    for changes in (
        {"outputs": ["../../../x", "y"]},
        {"outputs": ["a", "A"]},
        {"outputs": ["a", "b", "c"]},
        {"parts": 0},
    ):
        path.write_text(json.dumps({**sound, **changes}))
        refused(run("export", "out", "--to", "bedgraph"), "out")
        assert tree(tmp_path) == before


@given(st.lists(st.text(max_size=150), min_size=1, max_size=3))
def test_what_can_name_a_file_is_one_plain_name(names: list[str]) -> None:
    if name_files(names):
        for name in names:
            assert os.path.basename(f"relevance.{name}.bw") == f"relevance.{name}.bw"
            assert name.isprintable()
            assert len(f"relevance_bpnet.{name}.bedgraph".encode()) < 255
            assert not name.startswith(".")


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_benchmark_s_methods_have_files_of_their_own_whatever_they_are_called(name: str, other: str) -> None:
    file = file_name(name)
    assert os.path.basename(file) == file
    assert file.strip(".")
    assert len(file.encode()) < 100
    assert (file == file_name(other)) == (name == other)


@pytest.mark.parametrize("name", ["../x", "/tmp/x", "..", ".", "a/b", "-/x", "x" * 300])
@pytest.mark.parametrize("of", ["tasks", "architectures"])
def test_a_benchmark_s_tasks_and_architectures_can_not_lead_elsewhere(run, place, of: str, name: str) -> None:
    own = {
        "tasks": {"decoys": {"group": "report", "task": "decoys", "n": 600, "test": 30}},
        "architectures": {"deepbind": None},
    }
    (value,) = own[of].values()
    own[of] = {name: {"architecture": "deepbind"} if of == "architectures" else value}
    config = {**own, "seeds": [0], "methods": {"gxi": {"method": "gradient-x-input"}}, "default": "gxi", "peers": []}
    (place / "b.yaml").write_text(json.dumps({**config, "protocols": {"sparsity": None}}))
    before = tree(place)
    refused(run("benchmark", "--config", "b.yaml", "--out", "out"), rf"b\.yaml, line 1, {of}\..*can't name a directory")
    assert tree(place) == before
