"""The speed benchmark: its rows are those promised, what it measures is what it says, and its checks can fail."""

from __future__ import annotations

import csv
import gc
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.append(str(BENCHMARKS))

import speed  # noqa: E402
import speed_measure  # noqa: E402
import speed_nets  # noqa: E402
import speed_rows  # noqa: E402
import speed_table  # noqa: E402
from speed_measure import Job  # noqa: E402
from speed_rows import Calls, NotRun, Row  # noqa: E402
from speed_table import Ratio, Result  # noqa: E402

CPU = torch.device("cpu")
PROMISED = {  # at most so many times gxi on the Basset-size net and on the BPNet; the default is held to what gamma is
    "LRP epsilon": (1.10, 1.4),
    "LRP relative": (1.10, 1.4),
    "PLRP lambda gain epsilon": (1.20, 1.9),
    "PLRP lambda mass epsilon": (1.30, 2.2),
    "LRP gamma": (1.60, 2.0),
    "LRP zplus": (1.60, 2.0),
    "PLRP lambda mass gamma": (1.80, 3.0),
    "PLRP, its default": (1.80, 3.0),
    "PLRP matrix mass gamma": (3.2, 5.0),
}
PEERS = (
    "zennit epsilon",
    "zennit zplus",
    "zennit gamma",
    "captum integrated gradients, 50 steps",
    "tangermeme DeepLIFT/SHAP, 20 shuffles",
    "tangermeme ISM",
    "tangermeme ISM, whole passes",
)


@pytest.fixture(autouse=True, scope="module")
def quick():
    """One thread for nets this small; no collecting among what imports made, which takes longer than a toy row."""
    threads, thresholds = torch.get_num_threads(), gc.get_threshold()
    torch.set_num_threads(1)
    net = speed_nets.TOYS["basset"]
    for name in ("LRP epsilon", *PEERS):
        with suppress(NotRun):  # all that they import is there before the freeze
            speed_rows.row_named(name).build(net, *speed_measure.loaded(net, CPU))
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    torch.set_num_threads(threads)


@pytest.fixture
def in_this_process(monkeypatch):
    """Spare the tests the seconds that a fresh process takes; one test starts a real one."""

    def run(job: Job):
        if job.kind == "prepare":
            return {"trace": 1.0}
        return speed_measure.run_job(job, speed_rows.row_named(job.row))

    monkeypatch.setattr(speed, "in_own_process", run)


def test_the_table_has_every_promised_row_measured_and_says_on_what_machine(tmp_path):
    pytest.importorskip("zennit")
    arguments = ["--toy", "--model", "basset", "--pairs", "2", "--slow-pairs", "1", "--no-memory"]
    assert speed.main([*arguments, "--out", str(tmp_path)]) == 0
    stem = tmp_path / "speed-cpu-basset-toy-partial"
    rows = list(csv.DictReader(stem.with_suffix(".csv").open()))
    assert [row["row"] for row in rows] == ["gxi again (the noise)", *PROMISED, *PEERS]
    for row in rows:
        assert float(row["call"]) > 0
        assert float(row["call_q1"]) <= float(row["call"]) <= float(row["call_q3"])
        assert (row["engine"] != "") == (row["row"] in PROMISED)
    table = stem.with_suffix(".md").read_text()
    assert all(f"\n| {row['row']} " in table for row in rows)
    told = json.loads(stem.with_suffix(".json").read_text())
    assert told["facts"]["torch"] == torch.__version__
    assert {"cpu", "cores", "threads", "date", "gpu"} <= set(told["facts"])
    prepared = told["preparation"]["basset"]  # from a real process of its own
    assert prepared["cached trace"] < prepared["trace"] < prepared["trace, the first in a process"]
    assert prepared["plan, LRP gamma"] > 0


def test_the_limits_are_those_promised():
    limits = {row.name: row.limits for row in speed_rows.rows_of() if row.source == "ours"}
    assert limits == {name: {"basset": a, "bpnet": b} for name, (a, b) in PROMISED.items()}
    assert speed_rows.MEMORY_LIMIT == 1.2


@pytest.mark.parametrize("name", ["basset", "bpnet"])
@pytest.mark.parametrize("rule", ["epsilon", "gamma", "zplus"])
def test_zennit_beside_us_computes_the_same_so_that_comparing_times_is_fair(name, rule):
    pytest.importorskip("zennit")
    net = speed_nets.TOYS[name]
    model, x = speed_measure.loaded(net, CPU)
    theirs = speed_rows.row_named(f"zennit {rule}").build(net, model, x).call()
    ours = speed_rows.row_named(f"LRP {rule}").build(net, model, x)
    engine, call = ours.engine(), ours.call().relevance
    assert torch.equal(engine, call)
    assert float((engine - theirs).abs().sum() / engine.abs().sum()) < 1e-3


def test_measuring_leaves_no_hook_and_no_gradient_on_the_model():
    pytest.importorskip("zennit")
    net = speed_nets.TOYS["basset"]
    model, x = net.model(CPU), net.inputs(CPU)
    for row in speed_rows.rows_of(pattern="zennit"):
        row.build(net, model, x).call()
    speed_rows.gxi_of(model, x)()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in model.parameters())


# ---- what is measured


class Clock:
    """Time that passes only when a call says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.called: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def call(self, name: str, takes: float):
        def run() -> None:
            self.now += takes
            self.called.append(name)

        return run


def job(**options) -> Job:
    fields = {"kind": "time", "net": "basset", "row": "", "toy": True, "device": "cpu", "threads": 1}
    return Job(**{**fields, "pairs": 4, "seconds": 1e9, **options})


def test_a_ratio_is_of_one_pair_run_back_to_back_in_turns(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(speed_measure, "time", clock)
    timing = speed_measure.paired(clock.call("gxi", 2.0), clock.call("other", 6.0), clock.call("warm up", 1.0), job())
    assert timing.ratios == [3.0] * 4
    assert (timing.gxi_ms, timing.ms) == (2000.0, 6000.0)
    warm, timed = clock.called[: 2 * speed_measure.WARM_UPS], clock.called[2 * speed_measure.WARM_UPS :]
    assert "other" not in warm
    assert timed == ["gxi", "other", "other", "gxi"] * 2


def test_no_pair_begins_past_the_time_given_but_one_is_always_run(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(speed_measure, "time", clock)
    slow = clock.call("other", 50.0)
    assert len(speed_measure.paired(clock.call("gxi", 1.0), slow, None, job(pairs=9, seconds=60)).ratios) == 2
    assert len(speed_measure.paired(clock.call("gxi", 1.0), slow, None, job(pairs=9, seconds=0)).ratios) == 1


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory on the CPU needs Linux")
def test_peak_memory_is_what_is_alive_at_once_whatever_was_freed_before():
    code = """
from speed_memory import peak_of
kept = []
one = lambda: bytearray(2**20)
def in_turn():
    for _ in range(40): one()
def at_once():
    found = [one() for _ in range(39)]
    kept.append(one())  # lies above the others: an ordinary heap could not give them back
print(*[peak_of(call, one, "cpu") / 2**20 for call in (at_once, in_turn, at_once)])
"""
    environment = {**os.environ, **speed_measure.MALLOC, "PYTHONPATH": str(BENCHMARKS)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert [float(number) for number in done.stdout.split()] == pytest.approx([40, 1, 40], abs=0.3)


def test_the_plan_s_own_memory_leaves_out_what_is_the_model_s():
    net = speed_nets.TOYS["basset"]
    model, x = speed_measure.loaded(net, CPU)
    weights = sum(parameter.nbytes for parameter in model.parameters())
    spare = torch.zeros(1000)
    assert speed_rows.bytes_held([*model.parameters(), {"a": spare, "b": spare[10:]}], model) == 4000
    held = {rule: speed_rows.row_named(f"LRP {rule}").build(net, model, x).holds() for rule in ("epsilon", "gamma")}
    assert weights <= held["epsilon"] < 1.2 * weights  # private copies
    assert held["gamma"] > 1.5 * weights  # and those of W + gamma W+


# ---- what is told


def result(call: float | None, engine: float | None = None, **options) -> Result:
    ratios = {"call": call, "engine": engine}
    measured = {name: Ratio.of([value, value]) for name, value in ratios.items() if value is not None}
    return Result("basset", "LRP epsilon", "ours", 64, limit=1.1, **measured, **options)


def test_check_names_what_exceeds_its_limits_and_what_was_not_measured():
    assert speed_table.exceeding([result(1.1), result(1.0, 1.2)], "call") == []
    assert "engine takes 1.20 (1.20-1.20) x gxi" in speed_table.exceeding([result(1.0, 1.2)], "engine")[0]
    assert "LRP epsilon on basset: call takes 1.11" in speed_table.exceeding([result(1.11, 1.0)], "call")[0]
    assert "no reason" in speed_table.exceeding([result(None)], "call")[0]
    memory = {"gxi_bytes": 100, "plan_bytes": 30, "memory_limit": 1.2}
    assert speed_table.exceeding([result(1.0, peak_bytes=120, **memory)], "call") == []
    assert "memory 1.21" in speed_table.exceeding([result(1.0, peak_bytes=121, **memory)], "call")[0]
    assert "memory not measured" in speed_table.exceeding([result(1.0, memory_limit=1.2)], "call")[0]


def test_the_table_says_where_a_limit_holds_and_what_the_plan_adds_to_memory():
    assert [result(*ratios).within for ratios in ((1.0, 1.0), (1.2, 1.0), (1.2, 1.2))] == ["call", "engine only", "no"]
    both = result(1.0, gxi_bytes=100, peak_bytes=120, plan_bytes=30)
    assert (both.memory, both.memory_with_plan) == (1.2, 1.5)


@pytest.mark.parametrize(("limit", "code"), [(1e-9, 1), (1e9, 0)])
def test_check_decides_the_exit_code(limit, code, tmp_path, monkeypatch, capsys, in_this_process):
    monkeypatch.setitem(speed_nets.NETS, "basset", speed_nets.TOYS["basset"])
    rows = [replace(row, limits={"basset": limit}) for row in speed_rows.rows_of(pattern="lrp epsilon")]
    monkeypatch.setattr(speed, "rows_of", lambda **_: rows)
    arguments = ["--model", "basset", "--pairs", "1", "--no-memory", "--check", "--out", str(tmp_path)]
    assert speed.main(arguments) == code
    assert ("error: LRP epsilon on basset: call takes" in capsys.readouterr().err) == bool(code)


def test_a_row_that_fails_is_told_and_costs_no_other_row(tmp_path, monkeypatch, capsys, in_this_process):
    def broken(net, model, x):
        raise ValueError("out of luck\nand more")

    rows = [Row("broken", "ours", broken), *speed_rows.rows_of(pattern="lrp epsilon")]
    monkeypatch.setattr(speed, "rows_of", lambda **_: rows)
    assert speed.main(["--toy", "--model", "basset", "--pairs", "1", "--no-memory", "--out", str(tmp_path)]) == 1
    table, errors = capsys.readouterr()
    assert "error: broken on basset: time failed: ValueError: out of luck\n" in errors
    assert "1. time failed: ValueError: out of luck" in table
    assert float(list(csv.DictReader(next(tmp_path.glob("*.csv")).open()))[1]["call"]) > 0


def test_a_model_that_can_t_be_prepared_is_told_and_costs_no_row(tmp_path, monkeypatch, capsys):
    def died(job):
        raise RuntimeError("its process ended with 1: out of luck")

    monkeypatch.setattr(speed, "in_own_process", died)
    arguments = ["--toy", "--model", "basset", "--pairs", "1", "--no-memory", "--rows", "gxi"]
    assert speed.main([*arguments, "--out", str(tmp_path)]) == 1
    table, errors = capsys.readouterr()
    assert "error: tracing and planning on basset: its process ended with 1: out of luck" in errors
    assert "**Failed: tracing and planning on basset" in table
    assert "\n| gxi again (the noise) | " in table


def test_a_row_that_can_t_be_run_stands_in_the_table_with_the_reason(tmp_path, capsys, in_this_process):
    arguments = [
        "--toy",
        "--model",
        "basset",
        "--pairs",
        "1",
        "--no-memory",
        "--compile",
        "--rows",
        "lrp epsilon, cuda",
    ]
    assert speed.main([*arguments, "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert "| LRP epsilon, CUDA graph | -" in table
    assert "1. time not measured: CUDA graphs need --device cuda" in table
    image = speed_nets.Net("image", "", torch.nn.Identity, (3, 8, 8), 1, 1)
    with pytest.raises(NotRun, match="no images"):
        speed_rows.row_named("tangermeme ISM").build(image, torch.nn.Identity(), torch.zeros(1, 3, 8, 8))


def test_compiled_code_that_computes_something_else_is_no_row():
    ones = torch.ones(3)
    with pytest.raises(NotRun, match="another result"):
        speed_rows._agreeing(lambda: 2 * ones, lambda: ones, is_engine=True)
    with pytest.raises(NotRun, match="another result"):
        speed_rows._agreeing(lambda: ones * float("nan"), lambda: ones, is_engine=True)
    assert isinstance(speed_rows._agreeing(lambda: ones, lambda: ones, is_engine=True), Calls)


def test_profile_prints_the_operations_of_one_row(capsys):
    assert speed.main(["--toy", "--model", "basset", "--profile", "LRP gamma"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("LRP gamma (engine) on toy")
    assert re.search(r"aten::\w*conv", printed), "which of its convolutions stand out is for the machine to say"


def test_image_models_without_torchvision_are_an_error_that_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(speed.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        speed.main(["--model", "resnet50"])
    assert "pip install 'seqplrp[image]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "nosuch"], "the rows are"),
        (["--profile", "epsilon"], "is in the names of LRP epsilon, PLRP"),
        (["--device", "nosuch"], "use --device cpu"),
        (["--toy", "--check"], "have no limits"),
        (["--pairs", "0"], "at least 1"),
    ],
)
def test_a_wrong_argument_is_an_error_of_one_line(arguments, said, capsys):
    with pytest.raises(SystemExit) as exit_:
        speed.main(arguments)
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err
