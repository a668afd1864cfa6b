"""``seqplrp report``: from directories that the other commands wrote to one page, or to one line that says why not."""

from __future__ import annotations

import json
import re

import pytest
from commandline import explain, refused


@pytest.fixture
def explained(run, external, model_directory, fasta):
    explain(run, "first", "--model", model_directory, "--target", "CTCF", fasta=fasta)
    return external


def data_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1])


def test_explanations_become_one_page_with_ledger_marks_and_scores(run, explained, fasta):
    (explained / "truth.bed").write_text("s1\t3\t11\tm\t0\t+\tUSF1\tCTCF\n")
    done = run(
        "report", "first", "--out", "report.html", "--truth", "truth.bed", "--motif", "usf1", "--p-value", "0.01"
    )
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"wrote report.html \(\d\.\d MB\)\n", done.out)
    data = data_of(explained / "report.html")
    assert data["ids"] == [f"s{i}" for i in range(5)]
    assert data["tracks"][0]["accounts"]["labels"] == [""]
    assert [lane["title"] for lane in data["lanes"]] == ["known", "matches", "seqlets"]
    assert data["marks"][1][0][:3] == [0, 3, 11]
    conservation = next(one["text"] for one in data["checks"] if one["title"] == "Conservation")
    assert conservation.startswith("Every account balances: ")
    assert "What arrived at the bases is the sum of the map. The bases explain " in conservation


def test_several_directories_are_stacked_and_regions_of_any_bed_marked(run, explained, model_directory, fasta):
    explain(run, "second", "--model", model_directory, "--target", "CTCF", "--method", "saliency", fasta=fasta)
    (explained / "open.bed").write_text("s0\t0\t10\n")
    arguments = ("--truth", "open.bed", "--no-seqlets", "--no-hypothetical", "--most", "3", "--title", "T<b>")
    assert run("report", "first", "second", "--out", "r.html", *arguments).code == 0
    data = data_of(explained / "r.html")
    assert [track["title"] for track in data["tracks"]] == ["plrp", "saliency"]
    assert len(data["ids"]) == 3
    assert all("coarse" not in track["steps"] for track in data["tracks"])
    assert "<h1>T&lt;b&gt;</h1>" in (explained / "r.html").read_text()


def test_the_same_run_gives_the_same_page(run, explained):
    for name in ("a.html", "b.html"):
        assert run("report", "first", "--out", name).code == 0
    assert (explained / "a.html").read_bytes() == (explained / "b.html").read_bytes()


def test_a_page_is_replaced_only_if_it_may_be(run, explained):
    assert run("report", "first", "--out", "r.html").code == 0
    refused(run("report", "first", "--out", "r.html"), "r.html: exists already")
    assert run("report", "first", "--out", "r.html", "--overwrite").code == 0


VARIANTS = '{"command": "variants", "method": "m"}'
BENCHMARK = '{"format": "seqplrp-benchmark"}'
WITHOUT = {
    "missing": ({}, "x: there is no such directory; name a directory that `seqplrp explain`"),
    "empty": ({"x/": ""}, "x: is empty"),
    "unfinished": ({"x/parts/": ""}, "x: holds a run that has not ended; .*--resume"),
    "above": ({"x/sub/manifest.json": "{}"}, "x: holds no run; did you mean x/sub"),
    "variants": ({"x/manifest.json": VARIANTS}, "x: holds what `seqplrp variants` wrote, which has no such page"),
    "deep": ({"x/manifest.json": "[" * 100_000}, "x/manifest.json: "),
    "no-arrays": ({"x/manifest.json": '{"method": "m"}'}, "x/relevance.npz: there is no such file"),
    "unreported": ({"x/benchmark.json": BENCHMARK}, "x/report.md: there is no such file"),
}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_directory_without_a_page_is_refused_in_one_line(run, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    files, told = WITHOUT[name]
    for path, text in files.items():
        place = tmp_path / path
        (place if path.endswith("/") else place.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            place.write_text(text)
    refused(run("report", "x", "--out", "r.html"), told)
    assert not (tmp_path / "r.html").exists()


def test_a_benchmark_knows_the_measures_that_kinds_of_input_bring(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "benchmark.json").write_text(BENCHMARK)
    (tmp_path / "x" / "report.md").write_text("# A benchmark\n\nOf two kinds.\n")
    head = "group\ttask\tarchitecture\tmethod\tmeasure\tmean\n"
    rows = [f"report\tall\tall\tplrp\t{name}\t0.5\n" for name in ("causal_rma", "blur_abpc", "rma")]
    (tmp_path / "x" / "summary.tsv").write_text(head + "".join(rows))
    done = run("report", "x", "--out", "r.html")
    assert (done.code, done.err) == (0, "")
    told = data_of(tmp_path / "r.html")["explorer"]
    assert told["labels"] == {"causal_rma": "RMA, causal", "blur_abpc": "Deletion ABPC, blurred", "rma": "RMA"}
    assert set(told["better"].values()) == {"higher"}


def test_options_that_do_not_fit_are_refused_in_one_line(run, explained):
    (explained / "bench").mkdir()
    (explained / "bench" / "benchmark.json").write_text(BENCHMARK)
    refused(run("report", "first", "--out", "r.txt"), "--out: r.txt does not end in .html")
    refused(run("report", "bench", "first", "--out", "r.html"), "bench: is a benchmark, of which a page holds one")
    refused(
        run("report", "bench", "--out", "r.html", "--most", "3"), "--most: is for explanations, bench is a benchmark"
    )
    refused(run("report", "bench", "--out", "r.html", "--class", "x"), "--class: is for explanations")
    refused(run("report", "first", "--out", "r.html", "--motif", "USF9"), r"--motif: 'USF9' is not in the library")
    refused(run("report", "first", "--out", "r.html", "--fdr", "0"), "--fdr: is 0")
    refused(run("report", "first", "--out", "r.html", "--motif", "USF1", "--p-value", "2"), "--p-value: ")
    refused(run("report", "first", "--out", "r.html", "--most", "0"), "--most")
