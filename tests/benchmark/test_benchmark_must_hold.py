"""What a description holds its default to: read strictly, and judged by the run's own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from benchmark_runs import written
from invented_runs import changed, config_of, invented

import seqplrp as sp
from seqplrp.benchmark import summary as summary_module
from seqplrp.benchmark.must_hold import held_table, held_to
from seqplrp.benchmark.outcome import _write_held
from seqplrp.benchmark.report import as_markdown, report_blocks
from seqplrp.recovery.benchmark import read_config

PLRP, PEER, LRP = "plrp p=0.5", "gxi", "plrp p=0"
AIMS = {
    "p": 0.01,
    "better_in": ["auprc", "entropy"],
    "matched_better_in": ["rma"],
    "not_below_best": {"abpc": 0.05},
    "cost_shares": [{"method": PLRP, "of": PEER, "at_most": 0.5}],
    "leads": [{"method": PLRP, "over": PEER, "measure": "auprc", "by": 0.05}],
}
PROTOCOLS = {"localisation": None, "sparsity": None, "faithfulness": {"draws": 2}}


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(summary_module, "DRAWS", 50)
    monkeypatch.setattr(summary_module, "_LEVELS", (("group",),))  # what is judged is judged overall


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return config_of(tmp_path_factory.mktemp("held"), "one", must_hold=AIMS, protocols=PROTOCOLS)


def made(config, auprc: float, rma: float, abpc: float, cost: float):
    """The default ahead by so much, its ABPC this share of the best peer's, its cost this share of the peer's."""

    def change(cell, of) -> None:
        noise = 0.002 * np.random.default_rng(cell.seed).standard_normal(20)
        for other in (PEER, LRP):
            of(other, "auprc")[:] = of(PLRP, "auprc") - auprc - noise
            of(other, "entropy")[:] = of(PLRP, "entropy") + 0.1 + noise
        of(f"{PEER} | cut to {PLRP}", "rma")[:] = of(PLRP, "rma") - rma - noise
        of(LRP, "abpc")[:] = 10 + noise
        of(PEER, "abpc")[:] = 8 + noise
        of(PLRP, "abpc")[:] = abpc * 10 + noise

    summary = changed(invented(config, {}), change)
    for one in summary.cells:
        one.manifest["costs"][PLRP]["ratio"] = cost
        one.manifest["costs"][PEER]["ratio"] = 1.0
    return summary


def test_each_claim_holds_where_the_numbers_do(config) -> None:
    rows = held_to(made(config, auprc=0.1, rma=0.1, abpc=0.97, cost=0.4))
    assert {one.verdict for one in rows} == {"holds"}
    assert len(rows) == 2 * 2 + 1 + 1 + 1 + 1
    found = {(one.measure, one.other): one for one in rows}
    best = found["abpc", LRP]
    assert (best.claim, best.limit) == ("not more than 5 % short of the best peer, plrp p=0", 0.05)
    assert best.value == pytest.approx(-0.3, abs=0.01)
    assert best.low <= best.value <= best.high
    cost = found["cost", PEER]
    assert (cost.value, cost.low, cost.high) == pytest.approx((0.4, 0.4, 0.4))


def test_each_claim_fails_where_the_numbers_do(config) -> None:
    rows = held_to(made(config, auprc=-0.1, rma=-0.1, abpc=0.9, cost=0.6))
    verdicts = {(one.measure, one.claim): (one.verdict, one.why) for one in rows}
    assert verdicts["auprc", "better than gxi"] == ("does not hold", "worse")
    assert verdicts["entropy", "better than gxi"] == ("holds", "")
    assert verdicts["rma", "better than gxi at the same sparsity"] == ("does not hold", "worse")
    short = verdicts["abpc", "not more than 5 % short of the best peer, plrp p=0"]
    assert short == ("does not hold", "at most 0.5 is allowed")
    assert verdicts["cost", "costs at most 0.5 of gxi"] == ("does not hold", "0 of 12 models keep it")
    assert verdicts["auprc", "ahead of gxi by 0.05"] == ("does not hold", "0.150 short of it")


def test_a_p_over_sequences_alone_is_not_enough(config) -> None:
    """One model far ahead carries every sequence's mean with it."""
    summary = made(config, auprc=0.1, rma=0.1, abpc=1.0, cost=0.4)

    def one_model(cell, of) -> None:
        lead = 0.5 if (cell.seed, cell.architecture.name) == (0, "a") else -0.001 * cell.seed * (-1) ** cell.seed
        of(PLRP, "auprc")[:] = of(PEER, "auprc") + lead

    one = next(one for one in held_to(changed(summary, one_model)) if one.claim == "better than gxi")
    assert one.p_holm < 0.01
    assert (one.verdict, one.why) == ("does not hold", "better by one test")


def test_a_lead_whose_interval_holds_the_aim_is_open(config) -> None:
    summary = made(config, auprc=0.1, rma=0.1, abpc=1.0, cost=0.4)

    def near(cell, of) -> None:
        own = 0.3 * np.random.default_rng(cell.seed).standard_normal(20)
        of(PEER, "auprc")[:] = of(PLRP, "auprc") - 0.05 - (own - own.mean())

    lead = next(one for one in held_to(changed(summary, near)) if one.claim == "ahead of gxi by 0.05")
    assert lead.low < 0.05 < lead.high
    assert lead.verdict == "open"


def test_too_few_models_leave_what_needs_p_open(tmp_path) -> None:
    config = config_of(tmp_path, "one", seeds=3, must_hold={"better_in": ["auprc"]}, protocols={"localisation": None})
    rows = held_to(invented(config, {"auprc": 0.3}))
    assert {one.verdict for one in rows} == {"open"}
    assert "6 models are too few" in rows[0].why
    assert {one.verdict for one in held_to(invented(config, {"auprc": -0.3}))} == {"does not hold"}


def test_the_table_is_in_the_report_and_in_a_file_and_goes_with_the_key(config, tmp_path) -> None:
    summary = made(config, auprc=0.1, rma=0.1, abpc=0.97, cost=0.4)
    text = as_markdown(list(report_blocks(summary, [])))
    part = text.split("### Must hold")[1].split("###")[0]
    assert "Of 8 claims 8 hold, 0 do not, 0 are open." in part
    assert "| AUPRC | better than gxi | +0.100 [" in part
    assert "| cost | costs at most 0.5 of gxi | 0.4000 [0.4000, 0.4000] | none | none | holds |" in part
    table = held_table(held_to(summary))
    assert table["verdict"].tolist() == ["holds"] * 8
    _write_held(summary, tmp_path / "must_hold.tsv")
    assert (tmp_path / "must_hold.tsv").read_text().startswith("claim\tmeasure\tmethod\tother\tvalue")
    without = config_of(tmp_path / "x", "one", protocols={"localisation": None})
    _write_held(invented(without, {}), tmp_path / "must_hold.tsv")
    assert not (tmp_path / "must_hold.tsv").exists()
    assert "### Must hold" not in as_markdown(list(report_blocks(invented(without, {}), [])))


def test_nothing_that_is_measured_depends_on_it(tmp_path) -> None:
    from seqplrp.benchmark.cell import cell_recipe, cells_of, recipes_of

    one = read_config(written(tmp_path / "one", must_hold={"better_in": ["auprc"]}))
    other = read_config(written(tmp_path / "other"))
    recipes = [[cell_recipe(config, cell, {}, {}) for cell in cells_of(config)] for config in (one, other)]
    assert recipes[0] == recipes[1]
    assert recipes_of(one) == recipes_of(other)


DEVELOPMENT = {"one": {"group": "development", "task": "task.yaml", "n": 500, "test": 40}}
BROKEN = {
    "unknown key": ({"better": ["auprc"]}, {}, r"must_hold.better: is not a known key; .*did you mean 'better_in'"),
    "nothing": ({"p": 0.01}, {}, r"must_hold: holds nothing to judge"),
    "p": ({"p": 1, "better_in": ["rra"]}, {}, r"must_hold.p: is 1; write a number between 0 and 1"),
    "measure": ({"better_in": ["auprcc"]}, {}, r"better_in\[0\]: 'auprcc' is not known; did you mean 'auprc'"),
    "twice": ({"better_in": ["rra", "rra"]}, {}, r"better_in\[0\]: 'rra' is there twice"),
    "empty": ({"better_in": []}, {}, r"better_in: is empty"),
    "judges nothing": ({"better_in": ["zeros"]}, {}, r"better_in\[0\]: 'zeros' describes a map without judging it"),
    "no peers": ({"better_in": ["rra"]}, {"peers": []}, r"better_in: speaks of peers, and there are none"),
    "not asked of a peer": (
        {"better_in": ["auprc"]},
        {"protocols": {"localisation": {"methods": ["plrp"]}, "sparsity": None}},
        r"better_in\[0\]: 'auprc' is not measured of 'gxi'",
    ),
    "not cut": (
        {"matched_better_in": ["rma"]},
        {"matched_sparsity": None},
        r"matched_better_in: speaks of methods cut to the default's sparsity, and there are none",
    ),
    "not of cut maps": ({"matched_better_in": ["abpc"]}, {}, r"'abpc' is not measured of 'gxi', cut down"),
    "share": ({"not_below_best": {"abpc": 5}}, {}, r"not_below_best.abpc: is 5; write a number from 0 to 1"),
    "share of what": ({"not_below_best": {"abcp": 0.05}}, {}, r"not_below_best.abcp: 'abcp' is not known"),
    "cost of the truth": (
        {"cost_shares": [{"method": PLRP, "of": "truth", "at_most": 0.1}]},
        {},
        r"cost_shares\[0\].of: 'truth' costs nothing",
    ),
    "cost unmeasured": (
        {"cost_shares": [{"method": PLRP, "of": PEER, "at_most": 0.1}]},
        {"cost": False},
        r"cost_shares\[0\]: speaks of costs, which this run does not measure",
    ),
    "cost of 0": (
        {"cost_shares": [{"method": PLRP, "of": PEER, "at_most": 0}]},
        {},
        r"cost_shares\[0\].at_most: is 0; write a share above 0",
    ),
    "no list": ({"leads": {"method": PLRP}}, {}, r"leads: is no list of claims"),
    "lead over itself": (
        {"leads": [{"method": PLRP, "over": PLRP, "measure": "rra", "by": 0.1}]},
        {},
        r"leads\[0\].over: is the method itself",
    ),
    "lead lacks": (
        {"leads": [{"method": PLRP, "over": PEER, "measure": "rra"}]},
        {},
        r"leads\[0\]: lacks the key 'by'",
    ),
    "lead of whom": (
        {"leads": [{"method": "plrb", "over": PEER, "measure": "rra", "by": 0.1}]},
        {},
        r"leads\[0\].method: 'plrb' is no method of this run",
    ),
    "no report tasks": ({"better_in": ["rra"]}, {"tasks": DEVELOPMENT}, r"must_hold: is judged on report tasks"),
}


@pytest.mark.parametrize(("aims", "changes", "told"), BROKEN.values(), ids=list(BROKEN))
def test_what_can_not_be_judged_is_told_with_its_place(tmp_path, aims, changes, told) -> None:
    with pytest.raises(sp.SeqplrpError, match=told) as error:
        read_config(written(tmp_path, must_hold=aims, **changes))
    assert "tiny.yaml, line" in str(error.value)
    assert "\n" not in str(error.value)
