"""The image benchmark: what it measures is what it says, its limits are those promised, and its checks can fail."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("torchvision", reason="torchvision belongs to the extra image")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import images  # noqa: E402
import images_measure  # noqa: E402
import images_rows  # noqa: E402
import images_table  # noqa: E402
from images_measure import Job  # noqa: E402
from images_table import Report, Result  # noqa: E402
from speed_rows import Calls, NotRun, Row  # noqa: E402
from speed_table import Ratio  # noqa: E402

ROWS = (
    "gxi again (the noise)",
    "LRP epsilon",
    "PLRP lambda gain epsilon",
    "PLRP lambda mass gamma",
    "R-LRP",
    "NeuronMCT",
    "zennit epsilon",
)
PROMISED = {"PLRP lambda gain epsilon": 1.3, "PLRP lambda mass gamma": 2.0}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_the_rows_and_limits_are_those_promised() -> None:
    assert tuple(row.name for row in images_rows.ROWS) == ROWS
    assert {row.name: row.limits.get("vgg16") for row in images_rows.ROWS if row.limits} == PROMISED
    assert list(images_rows.NETS) == ["vgg16", "vgg19", "resnet50"]
    assert all(net.shape == (3, 224, 224) for net in images_rows.NETS.values())


@pytest.mark.parametrize("net", ["vgg16", "resnet50"])
def test_every_row_is_measured_balances_and_agrees_with_zennit(net: str, tmp_path: Path) -> None:
    pytest.importorskip("zennit")
    arguments = ["--toy", "--model", net, "--pairs", "1", "--no-memory", "--batch", "2", "--out", str(tmp_path)]
    assert images.main(arguments) == 0
    stem = tmp_path / "images-cpu-toy-partial"
    rows = {row["row"]: row for row in csv.DictReader(stem.with_suffix(".csv").open())}
    assert tuple(rows) == ROWS
    for name, row in rows.items():
        assert float(row["call"]) > 0
        assert float(row["processor"]) > 0
        assert (row["engine"] != "") == (name in images_rows.METHODS)
        assert (row["unexplained"] != "") == (name in images_rows.METHODS)
        assert row["unexplained"] == "" or 0 <= float(row["unexplained"]) <= 1e-5
    assert float(rows["zennit epsilon"]["differs"]) < 1e-3
    table = stem.with_suffix(".md").read_text()
    assert all(f"\n| {name} " in table for name in ROWS)
    assert json.loads(stem.with_suffix(".json").read_text())["facts"]["torch"] == torch.__version__


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory on the CPU needs Linux")
def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    arguments = ["--toy", "--model", "vgg16", "--pairs", "1", "--rows", "mass gamma", "--out", str(tmp_path)]
    assert images.main(arguments) == 0
    (row,) = csv.DictReader((tmp_path / "images-cpu-toy-partial.csv").open())
    assert float(row["plan_bytes"]) > 0
    assert row["gxi_bytes"], "of toys it may be 0, as small blocks come out of what a process has already"
    assert row["peak_bytes"]
    assert "not measured" not in row["notes"]


def test_a_pair_is_run_back_to_back_in_turns_and_timed_by_both_clocks(monkeypatch) -> None:
    called: list[str] = []
    now = {"wall": 0.0, "processor": 0.0}

    def run(name: str, wall: float, processor: float):
        def call() -> None:
            called.append(name)
            now["wall"] += wall
            now["processor"] += processor

        return call

    class Clock:
        perf_counter = staticmethod(lambda: now["wall"])
        process_time = staticmethod(lambda: now["processor"])

    monkeypatch.setattr(images_measure, "time", Clock)
    job = Job("time", "vgg16", "", toy=True, device="cpu", threads=1, batch=1, pairs=3, seconds=1e9)
    found = images_measure.paired(run("gxi", 2.0, 1.0), run("other", 6.0, 5.0), job)
    assert (found.wall, found.processor) == ([3.0] * 3, [5.0] * 3)
    assert (found.gxi_ms, found.ms) == (2000.0, 6000.0)
    assert called[-6:] == ["gxi", "other", "other", "gxi", "gxi", "other"]
    short = images_measure.paired(run("gxi", 2.0, 1.0), run("other", 6.0, 5.0), replace(job, seconds=9))
    assert len(short.wall) == 2


def result(call: float | None, unexplained: float | None = None, limit: float | None = 1.3) -> Result:
    ratio = None if call is None else Ratio.of([call, call])
    return Result("vgg16", "PLRP", 4, call=ratio, unexplained=unexplained, limit=limit)


def test_check_names_what_is_too_slow_does_not_balance_or_was_not_measured() -> None:
    assert images_table.wrong_with([result(1.3, 1e-5), result(9.0, limit=None)]) == []
    (slow,) = images_table.wrong_with([result(1.31)])
    assert slow == "PLRP on vgg16: the call takes 1.31 (1.31-1.31) x gxi, at most 1.3"
    assert "the ledger leaves 1.1e-05 unexplained" in images_table.wrong_with([result(1.0, 1.1e-5)])[0]
    assert "the ledger leaves nan unexplained" in images_table.wrong_with([result(1.0, float("nan"))])[0]
    assert "not measured (no reason given)" in images_table.wrong_with([result(None)])[0]


def test_an_unfinished_table_says_so() -> None:
    report = Report({}, {}, {"vgg16": "VGG-16", "vgg19": "VGG-19"}, [result(1.0)], planned=2)
    assert "**Unfinished: 1 of 2 rows.**" in images_table.markdown(report)
    assert "VGG-19" not in images_table.markdown(report)


def test_a_row_that_can_t_be_run_or_fails_is_told_and_costs_no_other(tmp_path, monkeypatch, capsys) -> None:
    def broken(net, model, x):
        raise ValueError("out of luck\nand more")

    def missing(net, model, x):
        raise NotRun("nothing to run it with")

    def doubled(net, model, x):
        return Calls(lambda: 2 * x)

    rows = [Row("broken", "peer", broken), Row("missing", "peer", missing), Row("fine", "peer", doubled)]
    monkeypatch.setattr(images, "ROWS", rows)
    monkeypatch.setattr(images_measure, "row_named", lambda name: next(row for row in rows if row.name == name))
    arguments = ["--toy", "--model", "vgg16", "--pairs", "1", "--no-memory", "--out", str(tmp_path)]
    assert images.main(arguments) == 1
    table, errors = capsys.readouterr()
    assert "error: broken on vgg16: time failed: ValueError: out of luck\n" in errors
    assert "time not measured: nothing to run it with" in table
    assert "missing on vgg16" not in errors.partition("error:")[2]
    assert list(csv.DictReader(next(tmp_path.glob("*.csv")).open()))[2]["call"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "nosuch"], "is in the name of none of gxi again"),
        (["--device", "nosuch"], "use --device cpu"),
        (["--toy", "--check"], "have no limits"),
        (["--pairs", "0"], "at least 1"),
        (["--model", "alexnet"], "invalid choice"),
    ],
)
def test_a_wrong_argument_is_an_error_of_one_line(arguments: list[str], said: str, capsys) -> None:
    with pytest.raises(SystemExit) as exit_:
        images.main(arguments)
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err
