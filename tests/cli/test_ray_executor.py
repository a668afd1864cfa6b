"""`seqplrp explain --executor ray`: on a real cluster of two workers, one of which dies."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from small_inputs import LENGTH, random_dna

from seqplrp import SeqplrpError
from seqplrp.genomics import tracks, write_fasta
from seqplrp.pipeline import executors, ray_workers

ray = pytest.importorskip("ray")

SEQUENCES = 60


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture
def asked(model_directory, tmp_path):
    path = tmp_path / "many.fa"
    write_fasta(path, [(f"chr1:{50 * i}-{50 * i + LENGTH}", text) for i, text in enumerate(random_dna(60, LENGTH))])
    return ["explain", "--model", model_directory, "--fasta", path, "--target", "1", "--chunk-size", "2"]


def same(one, other):
    """Files of the same relevance, to what the number of threads may change."""
    for name in ("regions.bed", "chrom.sizes"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    a, b = (tracks.read_npz(out / "relevance.npz") for out in (one, other))
    assert a.ids.tolist() == b.ids.tolist()
    largest = np.abs(a.per_base.reshape(SEQUENCES, -1)).max(1)
    away = np.abs(a.per_base - b.per_base).reshape(SEQUENCES, -1).max(1)
    assert (away <= 1e-5 * largest).all()
    rows = [(out / "summary.tsv").read_text().splitlines() for out in (one, other)]
    assert [line.split("\t")[0] for line in rows[0]] == [line.split("\t")[0] for line in rows[1]]


def processes_of_workers(patch) -> list[int]:
    """A list that fills with the numbers of the workers' processes, as soon as they are known."""
    processes, checked = [], ray_workers._checked

    def seen(ray, get):
        found = checked(ray, get)
        if isinstance(found, list):
            processes.extend(found)
        return found

    patch.setattr(ray_workers, "_checked", seen)
    return processes


def test_two_workers_find_what_one_process_finds_though_one_of_them_is_killed(
    run, asked, cluster, tmp_path, monkeypatch
):
    assert run(*asked, "--out", tmp_path / "local").code == 0
    processes = processes_of_workers(monkeypatch)

    def kill():
        folder = tmp_path / "ray" / "parts"
        while not list(folder.glob("part-*.npz")):
            time.sleep(0.001)
        os.kill(processes[0], signal.SIGKILL)
        killed.append(len(list(folder.glob("part-*.npz"))))

    killed: list[int] = []
    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    done = run(*asked, "--out", tmp_path / "ray", "--executor", "ray", "--workers", "2")
    assert (done.code, done.err) == (0, ""), done.err
    thread.join(10)
    assert len(set(processes)) == 2
    assert killed, "nobody was killed"
    assert killed[0] < SEQUENCES // 2, "it came too late to matter"
    same(tmp_path / "local", tmp_path / "ray")


def test_a_worker_that_is_reborn_to_another_model_stops_the_run(run, asked, cluster, tmp_path, monkeypatch):
    """The model's directory is written anew while the run is at work, and one of its workers dies."""
    from safetensors.torch import load_file, save_file

    model = shutil.copytree(asked[2], tmp_path / "model")
    asked = [*asked[:2], model, *asked[3:]]
    assert run(*asked, "--out", tmp_path / "local").code == 0
    kept = (model / "model.safetensors").read_bytes()

    def change_and_kill():
        folder = tmp_path / "ray" / "parts"
        while not list(folder.glob("part-*.npz")):
            time.sleep(0.001)
        weights = load_file(model / "model.safetensors")
        save_file({name: value + 1 for name, value in weights.items()}, model / "other")
        os.replace(model / "other", model / "model.safetensors")
        os.kill(processes[0], signal.SIGKILL)

    with monkeypatch.context() as patch:
        processes = processes_of_workers(patch)
        thread = threading.Thread(target=change_and_kill, daemon=True)
        thread.start()
        done = run(*asked, "--out", tmp_path / "ray", "--executor", "ray", "--workers", "2")
        thread.join(10)
    assert done.code == 2
    assert f"error: {model}: was changed while the run was at work; put back what it was, and go on" in done.err
    assert "finished chunks are kept" in done.err
    (model / "model.safetensors").write_bytes(kept)
    done = run(*asked, "--out", tmp_path / "ray", "--resume", "--executor", "ray", "--workers", "2")
    assert (done.code, done.err) == (0, ""), done.err
    same(tmp_path / "local", tmp_path / "ray")


def test_what_fitted_into_one_workers_memory_is_told_to_all_and_kept():
    """A pool of two workers, of which the second has a smaller memory."""

    @dataclass(eq=False)
    class Coming:
        value: dict

    class Worker:
        def __init__(self, fits):
            self.fits, self.told, self.work = fits, [], self

        def remote(self, task, largest_batch):
            self.told.append(dict(largest_batch))
            return Coming({"0": {"40": self.fits}} if task > 1 else {})

    class Ray:
        class exceptions:
            RayTaskError = RayActorError = WorkerCrashedError = type("Never", (Exception,), {})

        wait = staticmethod(lambda busy, num_returns: (busy[:1], busy[1:]))
        get = staticmethod(lambda one: one.value)

    class Told:
        largest_batch: ClassVar = {}

        def take_up(self, found):
            for name, batches in found.items():
                known = self.largest_batch.get(name, {})
                smaller = {length: min(size, known.get(length, size)) for length, size in batches.items()}
                self.largest_batch = {**self.largest_batch, name: {**known, **smaller}}

    workers, session = [Worker(64), Worker(16)], Told()
    pool = ray_workers._Pool(Ray, workers, session)
    for number in range(12):
        pool.submit(number)
    pool.finish()
    assert session.largest_batch == {"0": {"40": 16}}
    assert workers[0].told[0] == {}
    assert workers[0].told[-1] == {"0": {"40": 16}}, "the one with the larger memory goes by the other's"


@pytest.mark.parametrize("said", ["", "The worker died.\nIts log is elsewhere."])
def test_a_worker_that_dies_again_and_again_is_told_in_one_line_whatever_ray_says(said):
    class Ray:
        class exceptions:
            RayTaskError = WorkerCrashedError = type("Never", (Exception,), {})
            RayActorError = type("RayActorError", (Exception,), {})

    def died():
        raise Ray.exceptions.RayActorError(said)

    told = said.splitlines()[0] if said else "RayActorError"
    with pytest.raises(SeqplrpError, match=rf"^a Ray worker: died again and again \({told}\); look into Ray's logs"):
        ray_workers._checked(Ray, died)


@pytest.mark.parametrize(
    ("asked_for", "how", "expected"),
    [
        ("auto", executors.Executing("ray", gpus=0.5), "cuda"),
        ("auto", executors.Executing("ray"), "cpu"),
        ("cuda:1", executors.Executing("ray"), "cuda:1"),
        ("auto", executors.Executing(), "here"),
    ],
)
def test_the_device_that_is_told_is_the_workers_not_that_of_who_hands_out_the_chunks(asked_for, how, expected):
    @dataclass(frozen=True)
    class Asked:
        device: str

    @dataclass
    class Ready:
        device: str

    @dataclass(frozen=True)
    class Everything:
        request: Asked
        session: Ready

    prepared = Everything(Asked(asked_for), Ready(asked_for if asked_for != "auto" else "here"))
    found = executors.where_it_runs(prepared, how)
    assert found.session.device == expected
    assert found.request.device == (asked_for if expected in ("here", "cuda:1") else expected)


def test_what_one_executor_left_another_goes_on_with(run, asked, cluster, tmp_path, monkeypatch):
    from seqplrp.pipeline.session import Session

    explain, calls = Session.explain, []

    def stops(self, records, first):
        calls.append(first)
        if len(calls) > 9:
            raise KeyboardInterrupt
        return explain(self, records, first)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "explain", stops)
        assert run(*asked, "--out", tmp_path / "out").code == 130
    done = run(*asked, "--out", tmp_path / "out", "--resume", "--executor", "ray", "--workers", "1")
    assert (done.code, done.err) == (0, ""), done.err
    assert run(*asked, "--out", tmp_path / "local").code == 0
    same(tmp_path / "local", tmp_path / "out")


def test_variants_are_shared_among_workers_too(run, model_directory, cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (dna,) = random_dna(1, 400)
    write_fasta("g.fa", [("chr1", dna)])
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    places = range(30, 370, 20)
    (tmp_path / "v.vcf").write_text("".join(f"chr1\t{p}\tv{p}\t{dna[p - 1]}\t{other[dna[p - 1]]}\n" for p in places))
    asked = ["variants", "--vcf", "v.vcf", "--genome", "g.fa", "--model", model_directory, "--target", "1"]
    for out, more in (("local", []), ("ray", ["--executor", "ray", "--workers", "2"])):
        done = run(*asked, "--chunk-size", "3", "--out", out, *more)
        assert (done.code, done.err) == (0, ""), done.err
    tables = [pd.read_csv(f"{out}/variants.tsv", sep="\t") for out in ("local", "ray")]
    pd.testing.assert_frame_equal(*tables, rtol=1e-5, atol=1e-7)
    local, there = (tracks.read_variants(f"{out}/variants.npz") for out in ("local", "ray"))
    assert there.ids.tolist() == local.ids.tolist()
    np.testing.assert_allclose(there.relevance_alternative, local.relevance_alternative, rtol=1e-5, atol=1e-7)


def test_more_than_the_cluster_has_is_refused(run, asked, cluster, tmp_path):
    done = run(*asked, "--out", tmp_path / "out", "--executor", "ray", "--workers", "3")
    assert done.code == 2
    assert "--workers: 3 actors of 1 CPUs and 0 GPUs do not fit the cluster, which has room for 2" in done.err
    assert not (tmp_path / "out").exists()


def test_what_fails_in_a_worker_is_told_as_it_would_be_here(run, asked, cluster, tmp_path):
    # relevance that no track can hold is found when a part is written, in the worker
    from seqplrp.models import load_model, save_model

    model = load_model(asked[2])
    broken = tmp_path / "broken"
    for parameter in list(model.parameters())[-2:]:
        parameter.data.mul_(1e38).mul_(100)
    save_model(model, broken, model.config)
    asked = [*asked[:2], broken, *asked[3:]]
    local = run(*asked, "--out", tmp_path / "local")
    there = run(*asked, "--out", tmp_path / "ray", "--executor", "ray", "--workers", "1")
    assert local.code == there.code == 2
    assert there.err.replace(str(tmp_path / "ray"), "") == local.err.replace(str(tmp_path / "local"), "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--executor", "dask"], "--executor: 'dask' is not known; choose local or ray"),
        (["--workers", "2"], "are for Ray; add --executor ray"),
        (["--executor", "ray", "--workers", "0"], "--workers: is 0"),
        (["--executor", "ray", "--gpus", "-1"], "--gpus: is -1"),
    ],
)
def test_options_that_say_nothing_are_one_line(run, asked, tmp_path, arguments, told):
    done = run(*asked, "--out", tmp_path / "out", *arguments)
    assert (done.code, len(done.err.splitlines())) == (2, 1)
    assert told in done.err
