"""Everything wrong with a benchmark's description is told by file, line and key, before anything is computed."""

from __future__ import annotations

import pytest
from benchmark_runs import written

import seqplrp as sp
from seqplrp.benchmark.variants import shared_passes
from seqplrp.recovery.benchmark import read_config


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return read_config(written(tmp_path_factory.mktemp("config")))


def test_a_list_makes_one_method_of_each_value_and_common_fields_are_those_of_all(config) -> None:
    methods = {variant.name: variant.method for variant in config.variants}
    assert methods["plrp p=0.5"] == sp.PLRP(rule=sp.Gamma(), p=0.5, center="composition")
    assert methods["plrp p=0"] == sp.PLRP(rule=sp.Gamma(), p=0.0, center="composition")
    assert methods["matrix"] == sp.PLRP(rule=sp.Gamma(), p=0.5, mode="matrix", center="composition")
    assert methods["random"] == sp.Random()
    assert methods["truth"] is None
    assert list(methods) == ["gxi", "plrp p=0", "plrp p=0.5", "matrix", "random", "truth"]


def test_several_lists_make_every_combination_and_names_tell_them_apart(tmp_path) -> None:
    methods = {"x": {"method": "plrp", "rule": ["gamma(0.1)", "epsilon"], "budget": [0.25, 0.5]}}
    found = read_config(written(tmp_path, methods=methods, **_alone("x rule=epsilon budget=0.5")))
    assert [v.name for v in found.variants] == [
        "x rule=gamma(0.1) budget=0.25",
        "x rule=gamma(0.1) budget=0.5",
        "x rule=epsilon budget=0.25",
        "x rule=epsilon budget=0.5",
    ]
    assert found.variants[0].method == sp.PLRP(rule=sp.Gamma(0.1), budget=0.25, center="composition")


def test_the_share_of_units_that_is_pruned_may_be_a_list(tmp_path) -> None:
    methods = {"prunegrad": {"method": "neuron-mct", "readout": "gradient", "sparsity": [0.8, 0.99]}}
    found = read_config(written(tmp_path, methods=methods, **_alone("prunegrad sparsity=0.8"))).variants
    assert [(v.name, v.method) for v in found] == [
        (f"prunegrad sparsity={share}", sp.NeuronMCT(readout="gradient", sparsity=share, center="composition"))
        for share in (0.8, 0.99)
    ]


def test_methods_over_methods_and_rules_by_layer_are_read(tmp_path) -> None:
    methods = {
        "smooth": {"method": "smoothgrad", "over": {"method": "lrp", "rule": "zplus"}},
        "placed": {"method": "lrp", "rule": {"@first": "zplus", "*": "epsilon"}},
        "by-layer": {"method": "plrp", "p": {"head*": 0.1, "*": 0.5}},
    }
    found = {v.name: v.method for v in read_config(written(tmp_path, methods=methods, **_alone("placed"))).variants}
    assert found["smooth"].over == sp.LRP(rule=sp.ZPlus())
    assert found["placed"].rule == {"@first": sp.ZPlus(), "*": sp.Epsilon()}
    assert found["by-layer"].p == {"head*": 0.1, "*": 0.5}


def test_references_are_named_and_a_background_s_are_shuffles_that_need_no_extra(tmp_path) -> None:
    methods = {
        "less": {"method": "background", "over": {"method": "plrp", "budget": 0.25}, "n_shuffles": 4},
        "theirs": {"method": "background", "over": "lrp", "references": "tangermeme"},
        "shap": {"method": "deeplift-shap", "references": "shuffled"},
    }
    found = {v.name: v.method for v in read_config(written(tmp_path, methods=methods, **_alone("less"))).variants}
    over, own = sp.PLRP(budget=0.25), sp.shuffled_references
    assert found == {
        "less": sp.Background(over=over, n_shuffles=4, references=own, center="composition"),
        "theirs": sp.Background(over="lrp", center="composition"),
        "shap": sp.DeepLIFTSHAP(references=own, center="composition"),
    }


def test_methods_that_differ_in_pruning_alone_share_a_forward_pass(config) -> None:
    groups = [[variant.name for variant in group] for group in shared_passes(config.variants)]
    assert groups == [["gxi"], ["plrp p=0", "plrp p=0.5", "matrix"], ["random"], ["truth"]]


def test_a_number_that_yaml_takes_for_text_is_a_number(tmp_path) -> None:
    methods = {"x": {"method": "plrp", "rule": "gamma", "p": 0.5, "tau": "1e-1"}}
    assert read_config(written(tmp_path, methods=methods, **_alone("x"))).default.method.tau == 0.1
    training = {"learning_rate": "2e-3"}
    config = read_config(written(tmp_path, training=training))
    assert config.architectures[0].train_options(config.training, 4).learning_rate == 2e-3


def _alone(default: str) -> dict[str, object]:
    return {"default": default, "peers": [], "matched_sparsity": None}


def _chip(folder: str) -> dict[str, str]:
    return {"group": "report", "kind": "chipseq", "directory": folder, "factor": "F", "motif": "CTCF"}


BROKEN = {
    "unknown key": ({"sequence": 5}, r"tiny.yaml, line \d+, sequence: is not a known key; .*did you mean 'sequences'"),
    "missing key": ({"tasks": None}, r"tiny.yaml, line 1: lacks the key 'tasks'"),
    "unknown preset": (
        {"tasks": {"one": {"group": "report", "task": "decoy", "n": 500, "test": 40}}},
        r"tasks.one.task: task: 'decoy' is neither a preset nor a file; did you mean 'decoys'",
    ),
    "no group": ({"tasks": {"one": {"task": "decoys", "n": 500, "test": 40}}}, r"tasks.one: lacks the key 'group'"),
    "wrong group": (
        {"tasks": {"one": {"group": "dev", "task": "decoys", "n": 500, "test": 40}}},
        r"tasks.one.group: 'dev' is not known",
    ),
    "few": (
        {"tasks": {"one": {"group": "report", "task": "decoys", "n": 3, "test": 40}}},
        r"tasks.one.n: is 3; write a whole number of 20 or more",
    ),
    "no directory name": (
        {"tasks": {"a/b": {"group": "report", "task": "decoys", "n": 500, "test": 40}}},
        r"'a/b' can't name a directory",
    ),
    "unset variable": (
        {"tasks": {"one": _chip("$SEQPLRP_NOT_THERE/chip")}},
        r"tasks.one.directory: the environment variable SEQPLRP_NOT_THERE is not set",
    ),
    "no peaks": ({"tasks": {"one": _chip(".")}}, r"tasks.one.factor: there is no .*F.train.pos.fa"),
    "unknown motif": (
        {"tasks": {"one": {**_chip("."), "motif": "CTFC"}}},
        r"tasks.one.motif: motif: 'CTFC' is not in the library",
    ),
    "architecture": ({"architectures": {"bassett": None}}, r"architectures.bassett: "),
    "architecture option": (
        {"architectures": {"x": {"architecture": "deepbind", "options": {"filter": 3}}}},
        r"architectures.x.options: .*filter",
    ),
    "training": ({"training": {"epochs": 0}}, r"training: epochs: is 0; give at least 1"),
    "training of one": (
        {"architectures": {"x": {"architecture": "deepbind", "training": {"patience": 0}}}},
        r"architectures.x.training: patience: is 0",
    ),
    "a seed set in training": ({"training": {"seed": 3}}, r"training.seed: is not a known key"),
    "seeds": ({"seeds": [1, 1]}, r"seeds: holds a seed twice"),
    "method": ({"methods": {"x": {"method": "plrb"}}}, r"methods.x.method: 'plrb' is not known; did you mean 'plrp'"),
    "field": ({"methods": {"x": {"method": "lrp", "p": 0.5}}}, r"methods.x.p: is no field of lrp"),
    "value": ({"methods": {"x": {"method": "plrp", "p": [0.5, 1.5]}}}, r"methods.x: p: 1.5 is not a share"),
    "references": (
        {"methods": {"x": {"method": "background", "references": "shuffle"}}},
        r"methods.x.references: 'shuffle' is not known; did you mean 'shuffled'",
    ),
    "rule": ({"methods": {"x": {"method": "lrp", "rule": "gama"}}}, r"methods.x.rule: rule: 'gama' is not known"),
    "truth's options": ({"methods": {"x": {"method": "truth", "p": 1}}}, r"methods.x.p: the truth has no options"),
    "empty sweep": ({"methods": {"x": {"method": "plrp", "p": []}}}, r"methods.x.p: is an empty list"),
    "default": ({"default": "plrp"}, r"default: 'plrp' is no method of this run; use one of plrp p=0, plrp p=0.5"),
    "peer": ({"peers": ["ism"]}, r"peers\[0\]: 'ism' is no method of this run"),
    "default as peer": ({"peers": ["plrp p=0.5"]}, r"peers\[0\]: is the method itself"),
    "default compared": ({"comparisons": {"plrp p=0.5": ["gxi"]}}, r"comparisons.plrp p=0.5: is the default"),
    "compared with itself": ({"comparisons": {"matrix": ["matrix"]}}, r"comparisons.matrix\[0\]: is the method itself"),
    "compared with none": ({"comparisons": {"matrix": []}}, r"comparisons.matrix: names no peer"),
    "compared name": ({"comparisons": {"lrp": ["gxi"]}}, r"comparisons.lrp: 'lrp' is no method of this run"),
    "protocol": ({"protocols": {"roar!": {}}}, r"protocols.roar!: 'roar!' is not known"),
    "protocol option": (
        {"protocols": {"faithfulness": {"draw": 3}}},
        r"protocols.faithfulness.draw: is not a known key; .*did you mean 'draws'",
    ),
    "protocol value": ({"protocols": {"faithfulness": {"draws": 0}}}, r"protocols.faithfulness: draws: is 0"),
    "protocol seeds": (
        {"protocols": {"localisation": None, "randomisation": {"seeds": 0}}},
        r"protocols.randomisation: seeds: is 0; give 1 or more",
    ),
    "protocol type": ({"protocols": {"faithfulness": {"draws": "many"}}}, r"faithfulness.draws: is 'many'"),
    "protocol method": (
        {"protocols": {"strands": {"methods": ["gxi", "ism"]}}},
        r"protocols.strands.methods\[1\]: 'ism' is not known",
    ),
    "causal draws": (
        {"protocols": {"localisation": None, "causal": {"draws": 5}}},
        r"protocols.causal.draws: is 5; write 10 or more",
    ),
    "causal null": (
        {"protocols": {"localisation": None, "causal": {"null_windows": 38}}},
        r"protocols.causal.null_windows: is 38; write 39 or more",
    ),
    "a default that nothing measures": (
        {"protocols": {"localisation": {"methods": ["gxi"]}}},
        r"default: 'plrp p=0.5' is measured by no protocol",
    ),
    "a peer that nothing measures": (
        {"protocols": {"localisation": {"methods": ["plrp"]}, "sparsity": {"methods": ["plrp"]}}},
        r"peers\[0\]: no protocol measures both 'gxi' and 'plrp p=0.5'",
    ),
    "a peer measured otherwise": (
        {"protocols": {"localisation": {"methods": ["plrp"]}, "sparsity": {"methods": ["gxi"]}}},
        r"peers\[0\]: no protocol measures both 'gxi' and 'plrp p=0.5'",
    ),
    "a comparison that nothing measures": (
        {"comparisons": {"random": ["truth"]}, "protocols": {"localisation": {"methods": ["plrp", "gxi", "truth"]}}},
        r"comparisons.random: 'random' is measured by no protocol",
    ),
    "cut maps that nothing measures": (
        {"protocols": {"faithfulness": None}},
        r"matched_sparsity.methods\[0\]: no protocol measures both 'gxi', cut down, and 'plrp p=0.5'",
    ),
    "the name of a control": (
        {"methods": {"gxi | cut to plrp": {"method": "gradient-x-input"}}},
        r"methods.gxi \| cut to plrp: .* is what a method is called that was cut down",
    ),
    "matched to itself": (
        {"matched_sparsity": {"to": "gxi", "methods": ["gxi"]}},
        r"matched_sparsity.methods: 'gxi' can't be matched to itself",
    ),
    "cost": ({"cost": {"repeats": 0}}, r"cost: repeats: is 0"),
    "picture": (
        {"pictures": {"methods": ["ism"]}},
        r"pictures.methods: 'ism' is no method|pictures.methods\[0\]: 'ism'",
    ),
    "common": ({"common": {"centre": "uniform"}}, r"common.centre: is not a known key; .*did you mean 'center'"),
}


@pytest.mark.parametrize(("changes", "told"), BROKEN.values(), ids=list(BROKEN))
def test_what_can_not_be_is_told_with_its_place(tmp_path, changes, told) -> None:
    with pytest.raises(sp.SeqplrpError, match=told) as error:
        read_config(written(tmp_path, **changes))
    assert "tiny.yaml, line" in str(error.value)
    assert "\n" not in str(error.value)


TEXTS = {
    "twice": ("seeds: [0]\nseeds: [1]\n", r"x.yaml, line 2, seeds: is there twice"),
    "no YAML": ("seeds: [0\ntasks: }\n", r"x.yaml, line \d: is not YAML"),
    "empty": ("# nothing\n", r"x.yaml: is empty"),
    "a list": ("- a\n", r"x.yaml, line 1: is a list, not a mapping"),
    "itself": ("seeds: &a [*a]\n", r"x.yaml, line 1, seeds\[0\]: holds itself"),
    "not finite": ("learned: .nan\n", r"x.yaml, line 1, learned: is nan"),
}


@pytest.mark.parametrize(("text", "told"), TEXTS.values(), ids=list(TEXTS))
def test_what_is_no_description_is_told_with_its_line(tmp_path, text, told) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(sp.SeqplrpError, match=told):
        read_config(path)


def test_a_peer_may_stand_in_several_comparisons(tmp_path) -> None:
    """One form of a peer is a fair rival of two forms of the default."""
    found = read_config(written(tmp_path, comparisons={"matrix": ["gxi", "random"], "plrp p=0": ["gxi"]}))
    tested = [(one.reference.name, [peer.name for peer in one.peers]) for one in found.tested]
    assert tested == [
        ("plrp p=0.5", ["gxi", "plrp p=0"]),
        ("matrix", ["gxi", "random"]),
        ("plrp p=0", ["gxi"]),
    ]


def test_the_fewest_that_causal_truth_takes_can_be_asked_for(tmp_path) -> None:
    found = read_config(
        written(tmp_path, protocols={"localisation": None, "causal": {"draws": 10, "null_windows": 39}})
    )
    assert found.protocols["causal"].draws == 10


def test_the_example_holds_its_default_to_what_the_benchmark_is_for(tmp_path) -> None:
    from pathlib import Path

    full = read_config(Path(__file__).parents[2] / "examples" / "benchmark" / "full.yaml")
    aims = full.must_hold
    assert (aims.p, aims.better_in, aims.matched_better_in) == (0.01, ("auprc", "rra", "rma"), ("rma", "rra")[::-1])
    assert aims.not_below_best == {"abpc": 0.05}
    assert [(one.method.name, one.at_most) for one in aims.cost_shares] == [
        ("plrp", 1 / 50),
        ("plrp-both-strands", 1 / 25),
    ]


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path) -> None:
    with pytest.raises(sp.SeqplrpError, match="there is no such file"):
        read_config(tmp_path / "none.yaml")
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(sp.SeqplrpError, match="is not UTF-8 text"):
        read_config(tmp_path / "x.yaml")


def test_the_examples_can_be_read(monkeypatch, tmp_path) -> None:
    from pathlib import Path

    folder = Path(__file__).parents[2] / "examples" / "benchmark"
    (tmp_path / "chipseq").mkdir()
    for factor in ("USF1_HepG2", "GABPA_GM12878", "CTCFL_K562", "SP1_GM12878"):
        for part in ("train.pos", "test.pos", "test.neg"):
            (tmp_path / "chipseq" / f"{factor}.{part}.fa").write_text(">a\nACGT\n")
    monkeypatch.setenv("SEQPLRP_REAL_DATA", str(tmp_path))
    names = {path.stem: read_config(path) for path in folder.glob("*.yaml")}
    assert set(names) >= {"small", "development", "full", "real"}
    full = names["full"]
    assert (len(full.seeds), len(full.tasks), len(full.architectures)) == (5, 3, 3)
    assert {task.group for task in full.tasks} == {"report"}
    chosen_on = {task.task.name for task in names["development"].tasks}
    assert not chosen_on & {task.task.name for task in full.tasks}, "defaults must not be chosen on what is reported"
