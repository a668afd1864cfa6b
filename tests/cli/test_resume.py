"""`seqplrp explain` that is stopped: what was finished stays, and going on gives the same bytes."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
import torch
from commandline import CHUNK, SEQUENCES, run_in_child, stopped_after
from small_inputs import LENGTH, random_dna

import seqplrp as sp
from seqplrp.genomics import tracks, write_fasta
from seqplrp.storage import locked

MADE = {"relevance.bw", "relevance.bedgraph", "relevance.npz", "relevance.h5", "regions.bed", "chrom.sizes"}
TABLES = {"summary.tsv", "ledger.tsv"}


@pytest.fixture
def whole(run, asked, tmp_path):
    """The files of a run that nothing stopped."""
    done = run(*asked, "--out", tmp_path / "whole")
    assert (done.code, done.err) == (0, "")
    return contents(tmp_path / "whole")


def contents(out):
    return {name: (out / name).read_bytes() for name in MADE | TABLES}


def parts(out):
    return sorted((out / "parts").glob("part-*.npz"))


def test_a_run_that_is_interrupted_goes_on_where_it_was(run, asked, whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stopped_after(patch, 4)
        done = run(*asked, "--out", out)
    assert done.code == 130
    assert "note: 4 finished chunks are kept in" in done.err
    assert "--resume" in done.err
    assert not any((out / name).exists() for name in MADE | TABLES), "no file is there before all is done"
    with monkeypatch.context() as patch:
        calls = stopped_after(patch, 1000)
        done = run(*asked, "--out", out, "--resume")
        assert calls[1:] == list(range(8, SEQUENCES, CHUNK)), "finished chunks are not explained again"
    assert (done.code, done.err) == (0, "")
    assert contents(out) == whole
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["parts"], manifest["parts_of_earlier_processes"]) == (15, 4)
    assert manifest["sequences"] == SEQUENCES


def test_resume_begins_a_run_where_there_is_none_and_ends_one_that_has_ended(run, asked, whole, tmp_path):
    out = tmp_path / "new" / "out"
    for _ in range(2):
        done = run(*asked, "--out", out, "--resume")
        assert (done.code, done.err) == (0, "")
        assert contents(out) == whole
    assert json.loads((out / "manifest.json").read_text())["parts_of_earlier_processes"] == 15


def test_a_run_that_was_begun_is_neither_replaced_nor_gone_on_with_unasked(run, asked, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stopped_after(patch, 3)
        run(*asked, "--out", out)
    before = {path.name: path.read_bytes() for path in parts(out)}
    done = run(*asked, "--out", out)
    assert done.code == 2
    assert "(3 parts); add --resume" in done.err.splitlines()[0]
    assert {path.name: path.read_bytes() for path in parts(out)} == before
    assert run(*asked, "--out", out, "--resume", "--overwrite").code == 2
    done = run(*asked, "--out", out, "--overwrite")
    assert done.code == 0
    assert json.loads((out / "manifest.json").read_text())["parts_of_earlier_processes"] == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--rule", "gamma"], "method was"),
        (["--target", "0"], "targets was [1] and is [1, 0]"),
        (["--seed", "7"], "seed was 0 and is 7"),
        (["--chunk-size", "3"], "chunk_size was 2 and is 3"),
        (["--check"], "check was false and is true"),
    ],
)
def test_going_on_with_something_else_is_refused_with_what_differs(run, asked, tmp_path, monkeypatch, change, told):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        run(*asked, "--out", out)
    before = {path.name: path.read_bytes() for path in parts(out)}
    done = run(*asked, *change, "--out", out, "--resume")
    assert done.code == 2
    assert told in done.err
    assert {path.name: path.read_bytes() for path in parts(out)} == before


def test_another_input_or_other_weights_are_refused(run, asked, many, model_directory, tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        run(*asked, "--out", out)
    text = many.read_text()
    other = tmp_path / "other.fa"
    other.write_text(text[:-2] + ("A" if text[-2] != "A" else "C") + "\n")
    done = run(*asked, "--fasta", other, "--out", out, "--resume")
    assert (done.code, "input_sha256 was" in done.err) == (2, True)
    (tmp_path / "copy.fa").write_text(text)
    assert run(*asked, "--fasta", tmp_path / "copy.fa", "--out", out, "--resume").code == 0, (
        "where it lies is no matter"
    )
    changed = tmp_path / "model"
    changed.mkdir()
    for file in model_directory.iterdir():
        (changed / file.name).write_bytes(file.read_bytes())
    weights = load_file(changed / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] += 1
    save_file(weights, changed / "model.safetensors")
    done = run(*asked, "--model", changed, "--out", out, "--resume")
    assert done.code == 2
    assert "models was" in done.err


def test_a_damaged_part_is_made_anew_and_that_is_told(run, asked, whole, tmp_path):
    out = tmp_path / "out"
    run(*asked, "--out", out)
    cut, flipped, other = parts(out)[2], parts(out)[5], parts(out)[7]
    cut.write_bytes(cut.read_bytes()[:-100])
    content = bytearray(flipped.read_bytes())
    content[tracks.open_part(flipped).arrays["per_base.0"][0].begins + 5] ^= 1
    flipped.write_bytes(content)
    other.write_bytes(b"no zip at all")
    done = run(*asked, "--out", out, "--resume")
    assert (done.code, done.err) == (0, "")
    for part in (cut, flipped, other):
        assert f"note: {part.name} is damaged" in done.out
    assert contents(out) == whole
    assert json.loads((out / "manifest.json").read_text())["parts_of_earlier_processes"] == 12


def test_a_part_of_other_records_stops_the_run(run, asked, tmp_path):
    out = tmp_path / "out"
    run(*asked, "--out", out)
    parts(out)[1].write_bytes(parts(out)[2].read_bytes())
    done = run(*asked, "--out", out, "--resume")
    assert done.code == 2
    assert "part-00000001.npz: holds other records" in done.err


def test_a_second_run_on_the_same_directory_is_refused(run, asked, tmp_path):
    out = tmp_path / "out"
    run(*asked, "--out", out)
    before = contents(out)
    with locked(out / "parts"):
        for more in (["--resume"], ["--overwrite"]):
            done = run(*asked, "--out", out, *more)
            assert done.code == 2
            assert "another run is at work there (process" in done.err
        assert run("export", out, "--to", "bedgraph").code == 2
    assert contents(out) == before


def test_a_run_that_fails_before_its_first_part_leaves_nothing(run, asked, tmp_path, monkeypatch):
    out = tmp_path / "deep" / "out"
    with monkeypatch.context() as patch:
        stopped_after(patch, 0)
        assert run(*asked, "--out", out).code == 130
    assert not out.parent.exists()
    assert run(*asked, "--rule", "nonsense", "--out", out).code == 2
    assert not out.parent.exists()


def test_what_a_killed_process_left_half_made_is_swept(run, asked, whole, tmp_path):
    out = tmp_path / "out"
    run(*asked, "--out", out)
    (out / ".seqplrp-partial-abc").mkdir()
    (out / ".seqplrp-partial-abc" / "relevance.bw").write_bytes(b"half")
    (out / "parts" / ".part-00000003.npz.123").write_bytes(b"half")
    parts(out)[3].unlink()
    assert run(*asked, "--out", out, "--resume").code == 0
    assert contents(out) == whole
    assert not [path for path in out.rglob(".*") if path.name not in (".lock", ".seqplrp.json")]


@pytest.mark.parametrize("left", [[], [".seqplrp.json"], [".seqplrp.json", "parts/run.json.partial"]])
@pytest.mark.parametrize("more", [["--resume"], [], ["--overwrite"]])
def test_a_process_that_was_killed_before_it_had_begun_is_in_nobodys_way(run, asked, whole, tmp_path, left, more):
    out = tmp_path / "out"
    (out / "parts").mkdir(parents=True)
    for name in ["parts/.lock", *left]:
        (out / name).write_text('{"seqplrp": "0", "command": "explain", "files": []}')
    done = run(*asked, "--out", out, *more)
    assert (done.code, done.err) == (0, "")
    assert contents(out) == whole
    assert not list((out / "parts").glob("*.partial"))


def test_a_foreign_file_in_a_directory_that_was_hardly_begun_is_not_passed_over(run, asked, tmp_path):
    out = tmp_path / "out"
    (out / "parts").mkdir(parents=True)
    (out / "parts" / ".lock").write_text("")
    (out / "thesis.txt").write_text("all of it")
    for more in ([], ["--resume"], ["--overwrite"]):
        assert run(*asked, "--out", out, *more).code == 2
    assert (out / "thesis.txt").read_text() == "all of it"


def test_a_kill_while_files_are_moved_in_leaves_what_can_be_replaced(run, asked, whole, tmp_path, monkeypatch):
    out, replace, moved = tmp_path / "out", os.replace, []

    def killed_at_the_third(source, goal):
        if str(goal).startswith(str(out)) and "/parts/" not in str(goal) and ".seqplrp.json" not in str(goal):
            moved.append(goal)
            if len(moved) == 3:
                raise KeyboardInterrupt
        replace(source, goal)

    for more in (["--overwrite"], ["--resume"]):
        moved.clear()
        with monkeypatch.context() as patch:
            patch.setattr("seqplrp.storage.resumable.os.replace", killed_at_the_third)
            assert run(*asked, "--out", out, *([] if not out.exists() else more)).code == 130
        assert run(*asked, "--out", out, *more).code == 0
        assert contents(out) == whole


def test_a_full_disk_loses_nothing_that_was_finished(run, asked, whole, tmp_path, monkeypatch):
    out = tmp_path / "out"
    write, calls = tracks.write_explained, []

    def full(path, *given, **more):
        calls.append(path)
        if len(calls) == 6:
            raise OSError(28, "No space left on device", str(path))
        write(path, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr("seqplrp.pipeline.explaining.tracks.write_explained", full)
        done = run(*asked, "--out", out)
    assert done.code == 2
    assert "no space left on device; free some space" in done.err
    assert "note: 5 finished chunks are kept" in done.err
    assert run(*asked, "--out", out, "--resume").code == 0
    assert contents(out) == whole


def test_memory_that_ran_out_is_remembered_by_the_run_that_goes_on(run, asked, tmp_path, monkeypatch):
    attribute, sizes, limits = sp.PLRP.attribute, [], [3]

    def limited(self, prepared, batch):
        sizes.append(len(batch.x))
        if len(batch.x) > limits[-1]:
            raise torch.OutOfMemoryError("out of memory")
        return attribute(self, prepared, batch)

    asked = [*asked[:-1], 8]
    with monkeypatch.context() as patch:
        patch.setattr(sp.PLRP, "attribute", limited)
        run(*asked, "--out", tmp_path / "whole")
        stopped_after(patch, 2)
        assert run(*asked, "--out", tmp_path / "out").code == 130
    sizes.clear()
    with monkeypatch.context() as patch:
        patch.setattr(
            sp.PLRP, "attribute", lambda self, *given: sizes.append(len(given[1].x)) or attribute(self, *given)
        )
        assert run(*asked, "--out", tmp_path / "out", "--resume").code == 0
    assert max(sizes) == 2, "8, then 4, then 2 was what fitted"
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    for name in ("whole", "out"):
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert manifest["largest_batch"] == {"0": {str(LENGTH): 2}}


@pytest.mark.parametrize("method", ["smoothgrad", "random"])
def test_what_is_drawn_at_random_does_not_depend_on_where_a_run_was_stopped(run, asked, tmp_path, monkeypatch, method):
    asked = [*asked, "--method", method, "--formats", "npz"]
    assert run(*asked, "--out", tmp_path / "whole").code == 0
    with monkeypatch.context() as patch:
        stopped_after(patch, 3)
        run(*asked, "--out", tmp_path / "out")
    assert run(*asked, "--out", tmp_path / "out", "--resume").code == 0
    found = [(tmp_path / name / "relevance.npz").read_bytes() for name in ("whole", "out")]
    assert found[0] == found[1]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_results_do_not_depend_on_the_size_of_chunks_or_batches(run, asked, tmp_path, chunk):
    run(*asked, "--out", tmp_path / "one", "--formats", "npz")
    asked = [*asked[:-1], chunk]
    run(*asked, "--out", tmp_path / "other", "--formats", "npz", "--batch-size", "3")
    one, other = (tracks.read_npz(tmp_path / name / "relevance.npz") for name in ("one", "other"))
    largest = np.abs(one.per_base.reshape(SEQUENCES, -1)).max(1)
    away = np.abs(one.per_base - other.per_base).reshape(SEQUENCES, -1).max(1)
    assert (away <= 1e-5 * largest).all()


# ---- killed


def killed(asked, out, seconds):
    """Go on with a run in a process of its own, and kill it after some time; say whether it was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["seqplrp.cli.explain", "seqplrp.pipeline", "commandline"])
    ready = context.Event()
    child = context.Process(target=run_in_child, args=([*map(str, asked), "--out", str(out), "--resume"], ready))
    child.start()
    assert ready.wait(120)
    child.join(seconds)
    if child.exitcode is None:
        os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def test_runs_that_are_killed_at_any_moment_lose_and_double_nothing(asked, whole, tmp_path):
    """Twenty kills, spread over all of a run: reading, explaining, writing parts, making files."""
    began = time.monotonic()
    assert not killed(asked, tmp_path / "timed", 300)
    takes = time.monotonic() - began
    assert contents(tmp_path / "timed") == whole
    draw, kills, runs = random.Random(4), 0, 0
    while kills < 20:
        out = tmp_path / f"out{runs}"
        for _ in range(6):
            if not killed(asked, out, draw.uniform(0.05, 1.0) * takes):
                break
            kills += 1
        else:
            assert not killed(asked, out, 300)
        runs += 1
        assert contents(out) == whole
        names = tracks.read_regions(out / "regions.bed")["name"]
        assert len(names) == names.nunique() == SEQUENCES


def test_a_terminal_that_interrupts_leaves_a_run_to_go_on_with(asked, whole, tmp_path, run):
    context = multiprocessing.get_context("forkserver")
    ready = context.Event()
    out = tmp_path / "out"
    child = context.Process(target=run_in_child, args=([*map(str, asked), "--out", str(out)], ready))
    child.start()
    assert ready.wait(120)
    deadline = time.monotonic() + 60
    while child.exitcode is None and len(parts(out)) < 2 and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGINT)
    child.join(60)
    assert child.exitcode in (0, 130)
    assert run(*asked, "--out", out, "--resume").code == 0
    assert contents(out) == whole


# ---- export


def test_export_makes_the_files_that_explain_would_have_made(run, asked, whole, tmp_path):
    out = tmp_path / "out"
    run(*asked, "--out", out, "--formats", "tsv")
    assert not (out / "relevance.bw").exists()
    done = run("export", out, "--to", "bigwig,bedgraph,npz,h5,bpnet-h5")
    assert (done.code, done.err) == (0, "")
    assert contents(out) == whole
    assert (out / "relevance_bpnet.h5").is_file()
    assert f"wrote {out / 'relevance.bw'}" in done.out
    assert run(*asked, "--out", out, "--overwrite").code == 0, "what export wrote is known as ours"


def test_overlaps_can_be_split_afterwards(run, model_directory, tmp_path):
    dna = random_dna(2, LENGTH)
    write_fasta(tmp_path / "x.fa", [(f"c:{20 * i}-{20 * i + LENGTH}", text) for i, text in enumerate(dna)])
    asked = ["explain", "--model", model_directory, "--fasta", tmp_path / "x.fa", "--target", "1"]
    run(*asked, "--out", tmp_path / "average")
    run(*asked, "--out", tmp_path / "split", "--overlaps", "split")
    values = tracks.read_npz(tmp_path / "split" / "relevance.npz").per_base.reshape(2, LENGTH)
    expected = np.concatenate([values[0, :30], values[1, 10:]])
    found = tracks.read_bigwig(tmp_path / "split" / "relevance.bw", "c", 0, 60)
    np.testing.assert_array_equal(found, expected)
    assert run("export", tmp_path / "average", "--to", "bigwig", "--overlaps", "split").code == 0
    files = [(tmp_path / name / "relevance.bw").read_bytes() for name in ("average", "split")]
    assert files[0] == files[1]
    assert "split midway" in (tmp_path / "split" / "manifest.json").read_text()


def test_export_of_what_is_no_finished_run_is_an_error(run, asked, tmp_path, monkeypatch):
    assert "holds no run" in run("export", tmp_path, "--to", "npz").err
    with monkeypatch.context() as patch:
        stopped_after(patch, 2)
        run(*asked, "--out", tmp_path / "out")
    assert "has not ended; let `seqplrp explain` go on" in run("export", tmp_path / "out", "--to", "npz").err
    run(*asked, "--out", tmp_path / "out", "--resume")
    assert "'nothing' is not known" in run("export", tmp_path / "out", "--to", "nothing").err
    assert "choose average or split" in run("export", tmp_path / "out", "--to", "npz", "--overlaps", "x").err
    parts(tmp_path / "out")[3].unlink()
    done = run("export", tmp_path / "out", "--to", "npz")
    assert done.code == 2
    assert "part-00000003.npz: is not there any more" in done.err


def test_modisco_gets_what_the_map_is_without_its_pruning(run, asked, tmp_path):
    out = tmp_path / "out"
    done = run(*asked, "--center", "composition", "--out", out, "--formats", "modisco,npz")
    assert (done.code, done.err) == (0, "")
    files = [out / f"modisco_{name}.npz" for name in ("sequences", "attributions")]
    command = f"modisco motifs -s {files[0]} -a {files[1]} -n 2000 -w {LENGTH} -o {out / 'modisco.h5'}"
    assert f"next: {command}" in done.out
    with np.load(files[0]) as letters, np.load(files[1]) as values:
        x = torch.from_numpy(letters["arr_0"]).float()
        found = values["arr_0"]
    from seqplrp.models import load_model

    model = load_model(asked[2])
    whole = sp.explain(model, x, target=1, method=sp.LRP(rule="default", center="composition")).hypothetical
    np.testing.assert_allclose(found, whole.numpy(), rtol=1e-5, atol=1e-8)
    kept = tracks.read_npz(out / "relevance.npz").hypothetical.reshape(4, SEQUENCES, LENGTH).transpose(1, 0, 2)
    pruned = sp.explain(model, x, target=1, method=sp.PLRP(center="composition")).hypothetical
    np.testing.assert_allclose(kept, pruned.numpy(), rtol=1e-5, atol=1e-8)
    assert np.abs(kept - found).max() > 1e-6


def test_pruned_contributions_go_to_modisco_only_if_that_is_asked_for(run, asked, tmp_path):
    run(*asked, "--out", tmp_path / "pruned", "--formats", "npz")
    done = run("export", tmp_path / "pruned", "--to", "modisco")
    assert done.code == 2
    assert "--to modisco: the run kept pruned contributions alone" in done.err
    done = run("export", tmp_path / "pruned", "--to", "modisco", "--pruned")
    assert (done.code, "next: modisco motifs" in done.out) == (0, True)
    run(*asked, "--method", "lrp", "--rule", "gamma", "--out", tmp_path / "plain", "--formats", "npz")
    assert run("export", tmp_path / "plain", "--to", "modisco").code == 0
    with np.load(tmp_path / "plain" / "modisco_attributions.npz") as file:
        kept = tracks.read_npz(tmp_path / "plain" / "relevance.npz").hypothetical
        np.testing.assert_array_equal(file["arr_0"], kept.reshape(4, SEQUENCES, LENGTH).transpose(1, 0, 2))
