"""`seqplrp variants` that is stopped: finished chunks stay, going on gives the same bytes, and with nothing else."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commandline import EXTERNAL_MODULE, refused, run_in_child, stopped_after
from safetensors.torch import save_file
from small_inputs import random_dna

from seqplrp.cli import main
from seqplrp.genomics import tracks, write_fasta

SIZE, VARIANTS, CHUNK = 400, 12, 2


def other(letter):
    return "ACGT"[("ACGT".index(letter) + 1) % 4]


OPTIONS = ["--model", "mynet:Net", "--width", 31, "--target", 0, "--target", 1, "--chunk-size", CHUNK, "--logos", 2]
ASKED = ["variants", "--vcf", "v.vcf", "--genome", "g.fa", *map(str, OPTIONS)]


def make_inputs(folder):
    """A genome, and variants on it: substitutions, indels, one whose window goes off the contig, one left out."""
    (folder / "mynet.py").write_text(EXTERNAL_MODULE)
    (dna,) = random_dna(1, SIZE, seed=5)
    write_fasta(folder / "g.fa", [("chr1", dna)])
    lines = []
    for i in range(VARIANTS):
        at = 4 + 30 * i
        ref = dna[at : at + 1 + 2 * (i % 3 == 1)]
        alt = other(ref[0]) if i % 3 == 0 else ref[0] if i % 3 == 1 else ref + "GA"
        lines.append(f"chr1\t{at + 1}\tv{i}\t{ref}\t{alt}\t.\t{'q10' if i == 7 else 'PASS'}\n")
    lines.insert(5, f"chr1\t60\tgone\t{dna[59]}\t<DEL>\t.\tPASS\n")
    (folder / "v.vcf").write_text("".join(lines))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Inputs, what a run makes of them that nothing stops, and one that was stopped when two chunks were done."""
    folder = tmp_path_factory.mktemp("site")
    make_inputs(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main([*ASKED, "--out", "whole"]) == 0
        stopped_after(patch, 2)
        assert main([*ASKED, "--out", "begun"]) == 130
    return folder


@pytest.fixture
def files(site, tmp_path, monkeypatch):
    """The directory to work in."""
    folder = tmp_path / "here"
    shutil.copytree(site, folder)
    monkeypatch.delitem(sys.modules, "mynet", raising=False)  # another test's of this process
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def asked(files):
    return list(ASKED)


@pytest.fixture
def whole(files):
    """What the run that nothing stopped wrote."""
    return contents(files / "whole")


def contents(out):
    """All that a run wrote but its parts and what tells of its time."""
    found = {str(path.relative_to(out)): path for path in Path(out).rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith(("parts/", ".")) and name != "manifest.json"
    }


def parts(out):
    return {path.name: path.read_bytes() for path in Path(out, "parts").glob("part-*.npz")}


def manifest(out):
    return json.loads(Path(out, "manifest.json").read_text())


@pytest.fixture
def begun(files):
    """A run that was stopped when two chunks were done."""
    return (files / "begun").rename(files / "out")


def test_a_run_that_was_stopped_goes_on_where_it_was_and_writes_the_same_bytes(run, asked, whole, monkeypatch):
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        done = run(*asked, "--out", "out")
    assert done.code == 130
    assert "note: 2 finished chunks are kept in out: --resume goes on with them" in done.err
    assert contents("out") == {}, "no file is there before all is done"
    assert {"variants.tsv", "variants.npz", "remarks.tsv"} <= set(whole)
    assert len([name for name in whole if name.startswith("logos/")]) == 2
    with monkeypatch.context() as patch:
        calls = stopped_after(patch, 1000)
        done = run(*asked, "--out", "out", "--resume")
    assert (done.code, done.err) == (0, "")
    assert calls[1:] == [8, 12, 16, 20], "each variant has two sequences; finished chunks are not explained again"
    assert contents("out") == whole
    told = manifest("out")
    assert (told["parts"], told["parts_of_earlier_processes"], told["variants"]) == (6, 2, VARIANTS)
    again = run(*asked, "--out", "out", "--resume")
    assert (again.code, contents("out")) == (0, whole)


def changed_vcf():
    path = Path("v.vcf")
    path.write_text(path.read_text().replace("\tv11\t", "\tother\t"))
    return []


def changed_genome():
    path = Path("g.fa")
    text = path.read_text().rstrip("\n")
    path.write_text(text[:-1] + other(text[-1]) + "\n")
    return []


def changed_weights():
    import mynet

    save_file({name: value + 1 for name, value in mynet.Net().state_dict().items()}, "w.safetensors")
    return ["--weights", "w.safetensors"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--rule", "gamma"], "method was"),
        (["--seed", "3"], "seed was 0 and is 3"),
        (["--chunk-size", "3"], "chunk_size was 2 and is 3"),
        (["--width", "33"], "input.width was 31 and is 33"),
        (["--mismatch", "skip"], "input.mismatch was"),
        (["--apply-filters", "PASS,."], "input.filters was absent and is"),
        (["--model", "mynet:Net"], "models was"),
        (changed_vcf, "input_sha256 was"),
        (changed_genome, "input_sha256 was"),
        (changed_weights, "models was"),
    ],
)
def test_going_on_with_something_else_is_refused_with_what_differs(run, asked, begun, change, told):
    before = parts("out")
    more = change if isinstance(change, list) else change()
    done = run(*asked, *more, "--out", "out", "--resume")
    refused(done, rf"out: the run there was begun with something else: .*{told}")
    assert parts("out") == before


def test_a_run_that_was_begun_is_neither_replaced_nor_gone_on_with_unasked(run, asked, whole, begun):
    refused(
        run(*asked, "--out", "out"), r"holds a run of `seqplrp variants`, finished or not \(2 parts\); add --resume"
    )
    assert run(*asked, "--out", "out", "--overwrite").code == 0
    assert contents("out") == whole


def test_a_damaged_part_is_made_anew_and_that_is_told(run, asked, whole):
    with open("whole/parts/part-00000002.npz", "r+b") as file:
        file.truncate(500)
    done = run(*asked, "--out", "whole", "--resume")
    assert (done.code, done.err) == (0, "")
    assert "note: part-00000002.npz is damaged" in done.out
    assert contents("whole") == whole


@pytest.mark.parametrize(
    ("fails", "kept", "named"),
    [
        ("seqplrp.pipeline.chunk_task.tracks.write_explained", 3, "out/parts/part-00000003.npz"),
        ("seqplrp.pipeline.growing_arrays.GrowingArrays.save", 6, "out/variants.npz"),
        ("seqplrp.pipeline.variants.join_tables", 6, "out/variants.tsv"),
    ],
)
def test_a_full_disk_loses_nothing_that_was_finished(run, asked, whole, monkeypatch, fails, kept, named):
    from seqplrp.genomics.tracks import write_explained

    calls = []

    def full(*given, **more):
        calls.append(given)
        if fails.endswith("write_explained") and len(calls) <= kept:
            return write_explained(*given, **more)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(fails, full)
        done = run(*asked, "--out", "out")
    note, error = done.err.splitlines()
    assert done.code == 2
    assert note == f"note: {kept} finished chunks are kept in out: --resume goes on with them"
    assert error.startswith(f"error: {named}: no space left on device; free some")
    assert contents("out") == {}
    assert run(*asked, "--out", "out", "--resume").code == 0
    assert contents("out") == whole


def test_the_directory_of_another_command_is_not_gone_on_with(run, asked, whole, files):
    (files / "x.fa").write_text(">a\nACGTACGTACGTACGTACGT\n")
    explain = ["explain", "--model", "mynet:Net", "--fasta", "x.fa", "--target", "0", "--formats", "npz"]
    assert run(*explain, "--out", "explained").code == 0
    refused(run(*asked, "--out", "explained", "--resume"), "begun with something else")
    refused(run(*explain, "--out", "whole", "--resume"), "begun with something else")
    refused(run("export", "whole", "--to", "npz"), "whole: holds what `seqplrp variants` wrote; give the directory")
    assert contents("whole") == whole


def test_kills_at_any_moment_lose_and_double_nothing(asked, whole):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqplrp.cli.variants", "seqplrp.pipeline", "commandline"])
    draw, wanted = random.Random(1), -(-VARIANTS // CHUNK)

    def go_on(chunks=None, wait=0.0):
        """Go on in a process of its own; kill it some time after so many chunks are there. Say whether it ended."""
        ready = context.Event()
        arguments = [*map(str, asked), "--out", "out", "--resume"]
        child = context.Process(target=run_in_child, args=(arguments, ready))
        child.start()
        assert ready.wait(300)
        deadline = time.monotonic() + 300
        while chunks is not None and child.exitcode is None:
            if len(list(Path("out", "parts").glob("part-*.npz"))) >= chunks:
                break
            assert time.monotonic() < deadline
            time.sleep(0.002)
        child.join(None if chunks is None else wait)
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join(60)
        return child.exitcode == 0

    for chunks in (1, wanted, wanted):
        go_on(chunks, draw.uniform(0, 0.2))
    assert go_on()
    assert contents("out") == whole


# ---- what else the command takes and tells


def test_filters_leave_out_what_did_not_pass_and_all_are_used_unless_asked(run, asked, whole):
    table = pd.read_csv("whole/variants.tsv", sep="\t", keep_default_na=False)
    assert table["id"].nunique() == VARIANTS
    assert table.groupby("id")["filter"].first()["v7"] == "q10"
    done = run(*asked, "--out", "whole", "--resume")
    told = "note: 1 alternative alleles are used though their FILTER is neither PASS nor '.': see remarks.tsv; "
    assert told + "--apply-filters PASS,. leaves such out\n" in done.out
    assert "1 alternative alleles were left out: 1 symbolic; see remarks.tsv\n" in done.out
    done = run(*asked, "--apply-filters", "PASS,.", "--out", "passed")
    assert (done.code, done.err) == (0, "")
    assert "2 alternative alleles were left out: 1 filtered, 1 symbolic; see remarks.tsv\n" in done.out
    assert "FILTER" not in done.out
    passed = pd.read_csv("passed/variants.tsv", sep="\t", keep_default_na=False)
    pd.testing.assert_frame_equal(passed, table[table["id"] != "v7"].reset_index(drop=True), rtol=1e-5, atol=1e-7)
    remarks = pd.read_csv("passed/remarks.tsv", sep="\t")
    assert remarks.loc[remarks["kind"] == "filtered", ["name", "where", "used"]].to_numpy().tolist() == [
        ["v7", "v.vcf, line 9", False]
    ]
    told = manifest("passed")
    assert (told["left_out"]["filtered"], told["input"]["filters"]) == (1, ["PASS", "."])


def test_the_spread_of_a_change_is_that_of_the_members_own_changes(run, asked, files):
    (files / "variant_folds.py").write_text(
        (files / "mynet.py").read_text()
        + "".join(
            f"\n\nclass Fold{i}(Net):\n    def __init__(self):\n        super().__init__()\n"
            f"        torch.manual_seed({i})\n        for p in self.parameters():\n"
            f"            torch.nn.init.normal_(p, std=0.3)\n"
            for i in range(3)
        )
    )
    asked = [one for one in asked[:-2] if one not in ("--model", "mynet:Net")]
    models = [part for i in range(3) for part in ("--model", f"variant_folds:Fold{i}")]
    assert run(*asked, *models, "--reverse-complement", "--out", "all").code == 0
    table = pd.read_csv("all/variants.tsv", sep="\t")
    changes = []
    for i in range(3):
        assert run(*asked, "--model", f"variant_folds:Fold{i}", "--reverse-complement", "--out", f"{i}").code == 0
        alone = pd.read_csv(f"{i}/variants.tsv", sep="\t")
        assert not [column for column in alone if "spread" in column]
        changes.append(alone["change"])
    changes = np.array(changes)
    close = {"rtol": 1e-4, "atol": 1e-7}
    np.testing.assert_allclose(table["change"], changes.mean(0), **close)
    np.testing.assert_allclose(table["change_spread"], changes.std(0, ddof=1), **close)
    np.testing.assert_allclose(table["change_sign_spread"], np.sign(changes).std(0, ddof=1), **close)
    agree = (np.sign(changes) == np.sign(changes[0])).all(0)
    assert (table["change_sign_spread"][agree] == 0).all()
    assert 0 < agree.sum() < len(agree), "or nothing was tested"


def test_an_index_that_was_made_anew_is_told_once(run, asked, whole, files):
    index = files / "g.fa.fai"
    before = index.read_text()
    os.utime(index, (0, 0))
    done = run(*asked, "--out", "whole", "--resume")
    assert "note: the index g.fa.fai is older than the genome: it was made anew\n" in done.out
    assert index.read_text() == before
    assert contents("whole") == whole
    assert "index" not in run(*asked, "--out", "whole", "--resume").out
    index.write_text("damaged")
    (files / "x.bed").write_text("chr1\t100\t131\ta\n")
    explain = ["explain", "--model", "mynet:Net", "--bed", "x.bed", "--genome", "g.fa", "--target", "0"]
    done = run(*explain, "--formats", "npz", "--out", "explained")
    note = "the index g.fa.fai is damaged, or another file's: it was made anew"
    assert done.out.count(f"note: {note}\n") == 1
    assert note in manifest("explained")["notes"]


# ---- read back


def test_the_reader_gives_what_the_file_holds_and_lays_alleles_side_by_side(whole):
    found = tracks.read_variants("whole/variants.npz")
    with np.load("whole/variants.npz") as arrays:
        for name in arrays.files:
            np.testing.assert_array_equal(getattr(found, name), arrays[name])
    assert len(found) == VARIANTS
    assert found.relevance_spread_reference is None
    table = pd.read_csv("whole/variants.tsv", sep="\t", keep_default_na=False)
    for row, changed in zip(table.itertuples(), table["l1_distance"], strict=True):
        i = found.index(row.name)
        first, second = found.aligned(i)[:, found.targets.tolist().index(str(row.target))]
        assert np.abs(second - first).sum() == pytest.approx(changed, rel=1e-5)
        letters = [
            "".join("-" if at < 0 else "ACGTN"[codes[i, at]] for at in column)
            for codes, column in zip((found.codes_reference, found.codes_alternative), found.columns(i).T, strict=True)
        ]
        at = 31 // 2
        assert letters[0].replace("-", "")[at:].startswith(row.ref)
        assert letters[1].replace("-", "")[at:].startswith(row.alt)
    with pytest.raises(ValueError, match=r"variant 'nobody': is not among the explained ones; try 'chr1:5:"):
        found.index("nobody")


def without(arrays, name):
    del arrays[name]


def put(arrays, name, values):
    arrays[name] = values


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda a: without(a, "targets"), "has no array 'targets'"),
        (lambda a: without(a, "alignment"), "has no array 'alignment'"),
        (lambda a: put(a, "starts", a["starts"][:-1]), "array 'starts' does not fit the others"),
        (lambda a: put(a, "starts", a["starts"].astype(float)), "array 'starts' does not fit the others"),
        (lambda a: put(a, "ids", np.arange(VARIANTS)), "array 'ids' does not fit the others"),
        (lambda a: put(a, "alignment", a["alignment"][:, :1]), "array 'alignment' does not fit the others"),
        (lambda a: put(a, "alignment", a["alignment"].reshape(-1)), "array 'alignment' does not fit the others"),
        (lambda a: put(a, "alignment", np.int32(3)), "array 'alignment' does not fit the others"),
        (lambda a: put(a, "alignment", a["alignment"] + 100), "'alignment' holds indices that no sequence has"),
        (lambda a: put(a, "alignment", a["alignment"] - 1), "'alignment' holds indices that no sequence has"),
        (lambda a: put(a, "alignment_ends", a["alignment_ends"] + 1), "'alignment_ends' does not fit"),
        (lambda a: put(a, "alignment_ends", a["alignment_ends"][::-1]), "'alignment_ends' does not fit"),
        (lambda a: put(a, "codes_reference", a["codes_reference"] + np.uint8(9)), "its codes are not 0 to 4"),
        (lambda a: put(a, "codes_reference", a["codes_reference"][0]), "does not fit the others"),
        (lambda a: put(a, "relevance_reference", a["relevance_reference"][:, 0]), "'relevance_reference' does not fit"),
        (lambda a: without(a, "hypothetical_alternative"), "contributions or spreads of one allele alone"),
        (lambda a: put(a, "codes_reference", np.array(3)), "does not fit the others"),
        (lambda a: put(a, "targets", np.array([{}], object)), "damaged, or holds more than numbers and text"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused_by_the_files_name(whole, spoil, told):
    with np.load("whole/variants.npz") as content:
        arrays = dict(content)
    spoil(arrays)
    np.savez("spoiled.npz", **arrays)
    with pytest.raises(ValueError, match=rf"spoiled\.npz: .*{told}.*; give the variants\.npz that"):
        tracks.read_variants("spoiled.npz")


def test_a_file_that_is_missing_cut_short_or_changed_is_refused_by_name(whole, files):
    content = (files / "whole" / "variants.npz").read_bytes()
    with pytest.raises(ValueError, match=r"none\.npz: no such file"):
        tracks.read_variants("none.npz")
    changed = bytearray(content)
    changed[len(content) // 2] ^= 1
    for name, bad in (("cut", content[:-100]), ("empty", b""), ("text", b"ids\n"), ("changed", bytes(changed))):
        (files / f"{name}.npz").write_bytes(bad)
        with pytest.raises(ValueError, match=rf"{name}\.npz: .*; give the variants\.npz"):
            tracks.read_variants(f"{name}.npz")


def test_the_module_of_these_tests_has_two_outputs(files):
    import mynet

    assert mynet.Net()(torch.zeros(1, 4, 31)).shape == (1, 2)
