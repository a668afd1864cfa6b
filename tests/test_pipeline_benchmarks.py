"""The benchmarks of the pipeline: what they hold against limits, and how they find what makes maps differ."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import seqplrp as sp

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import one of the scripts."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return lambda name: __import__(name)


@pytest.mark.parametrize(
    ("command", "highest", "holds"),
    [(125.0, 1100.0, [True, True]), (125.1, 1000.0, [False, True]), (100.0, 1101.0, [True, False])],
)
def test_the_limits_are_of_the_whole_process_and_of_memory(script, command, highest, holds):
    pipeline = script("pipeline")
    few = pipeline.Figures(2000, 10.0, 11.0, 12.0, 1000.0, 50.0)
    many = pipeline.Figures(20_000, 100.0, 101.0, command, highest, 500.0)
    assert [one for _, one in pipeline.verdicts(few, many)] == holds
    assert "2,000 sequences" in pipeline.verdicts(few, many)[1][0]


def test_a_small_run_is_measured_and_its_table_written(script, tmp_path, capsys):
    pipeline = script("pipeline")
    sizes = ["--sequences", "6", "--few", "3", "--length", "40", "--architecture", "deepbind", "--threads", "1"]
    code = pipeline.main([*sizes, "--formats", "npz", "--check", "--out", str(tmp_path)])
    said = capsys.readouterr().out
    assert code == 1, "so few sequences take no time beside Python's start"
    assert "command / engine: " in said
    assert "**does not hold**" in said
    text = (tmp_path / next(path.name for path in tmp_path.glob("*-pipeline-deepbind-6.md"))).read_text()
    assert all(f"- {fact}: " in text for fact in ("date", "cpu", "torch", "pybigtools", "what"))


# ---- what makes maps differ


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    layers = [nn.Conv1d(4, 6, 5), nn.ReLU(), nn.MaxPool1d(3), nn.Conv1d(6, 5, 3), nn.ReLU(), nn.MaxPool1d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(5 * 5, 2)).eval()


@pytest.fixture(scope="module")
def x():
    codes = torch.randint(0, 4, (3, 40), generator=torch.Generator().manual_seed(1))
    return nn.functional.one_hot(codes, 4).transpose(1, 2).float()


def noted(script, net, x):
    batch_sizes = script("batch_sizes")
    explainer = sp.Explainer(net, x[:1], method=sp.PLRP())
    maps, choices = batch_sizes.noted(explainer, x)
    assert torch.equal(maps, explainer(x, target=0).relevance)
    assert [len(choices.winners), bool(choices.kept)] == [2, True]
    alone = explainer(x[1:2], target=0).relevance
    return batch_sizes, explainer, alone, maps, choices


def cause(found, x, maps, choices):
    batch_sizes, explainer, alone, *_ = found
    return batch_sizes.cause_of(explainer, x, 1, alone, maps, choices)[0]


def test_what_was_chosen_in_a_batch_gives_its_map_again(script, net, x):
    batch_sizes, explainer, _, maps, choices = noted(script, net, x)
    for pools, cuts in ((True, False), (False, True), (True, True)):
        again, farthest = batch_sizes.again(explainer, x[1:2], choices.of(1), pools=pools, cuts=cuts)
        torch.testing.assert_close(again, maps[1:2], rtol=1e-5, atol=1e-8)
        assert farthest < 100


def test_each_cause_is_found_where_it_is_the_one(script, net, x):
    found = batch_sizes, explainer, alone, maps, choices = noted(script, net, x)
    scaled = maps * (1 + 1e-4)
    assert cause(found, x, scaled, choices) == batch_sizes.FACTOR

    other = batch_sizes.Choices([one.clone() for one in choices.winners], [one.clone() for one in choices.kept])
    other.winners[1][1] += 1 - 2 * (other.winners[1][1] % 2)  # the other of each pair wins
    by_pools = maps.clone()
    by_pools[1:2] = batch_sizes.again(explainer, x[1:2], other.of(1), pools=True, cuts=False)[0]
    assert not batch_sizes.alike(by_pools[1:2], alone)
    assert cause(found, x, by_pools, other) == batch_sizes.POOL

    other = batch_sizes.Choices(choices.winners, [one.clone() for one in choices.kept])
    largest = next(one for one in other.kept if one[1].sum() > 2)
    largest[1, largest[1].nonzero()[0]] = False
    by_cuts = maps.clone()
    by_cuts[1:2] = batch_sizes.again(explainer, x[1:2], other.of(1), pools=False, cuts=True)[0]
    assert cause(found, x, by_cuts, other) == batch_sizes.PRUNED

    strange = maps + maps.abs().max() * torch.linspace(-1, 1, 40)
    assert cause(found, x, strange, choices) in (batch_sizes.ZERO, batch_sizes.OTHER)
    assert cause(found, x, strange, choices) != batch_sizes.FACTOR


def test_units_near_zero_pass_nothing_on_while_they_are_left_out(script, x):
    """One unit's sum is 1e-5 and its weights are large: what it passes on is all there is between the two maps."""
    batch_sizes = script("batch_sizes")
    net = nn.Sequential(nn.Conv1d(4, 2, 40), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1)).eval()
    with torch.no_grad():
        signs = torch.where(torch.arange(40) % 2 == 0, 1.0, -1.0)
        net[0].weight.copy_(torch.stack([x[0] * signs, torch.ones(4, 40)]))
        net[0].bias.copy_(torch.tensor([1e-5, 0.0]))
        net[3].weight.copy_(torch.tensor([[1.0, 1.0]]))
    explainer = sp.Explainer(net, x[:1], method=sp.LRP(rule="epsilon"))
    whole = explainer(x[:1], target=0).relevance
    left = batch_sizes.without_units_near_zero(explainer, x[:1])
    assert (whole - left).abs().max() > 0.1
    expected = x[:1] * (left.sum() / 40)
    torch.testing.assert_close(left, expected, rtol=1e-4, atol=1e-6)


def test_the_script_runs_on_a_few_sequences(tmp_path):
    command = [sys.executable, BENCHMARKS / "batch_sizes.py", "--subject", "small-untrained", "--sequences", "4"]
    done = subprocess.run([*map(str, command), "--out", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len([line for line in done.stdout.splitlines() if line.startswith("| basset-small, untrained")]) == 3
    assert list(tmp_path.glob("*-batch-sizes.json"))
