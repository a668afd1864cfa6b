"""Saved programs are explained exactly as the modules that they were made of."""

from __future__ import annotations

import pytest
import torch
import torch.utils._sympy.functions
from saved_programs import (
    FREE,
    FREE_BATCH,
    LENGTH,
    AnyLength,
    ChannelsLast,
    Net,
    TwoOutputs,
    WithControl,
    dna,
    fresh,
    save,
    seeded,
)

import seqplrp as sp
from seqplrp.errors import SeqplrpError
from seqplrp.models import load_model, program_inputs


@pytest.mark.parametrize(
    "method",
    [sp.PLRP(p=0.4), sp.LRP(rule="epsilon-gamma-box"), sp.GradientTimesInput()],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize("kind", ["free", "fixed"])
def test_a_program_explains_to_the_bit_as_the_module_does(programs, kind, method):
    x = dna(6)
    ours = sp.explain(programs[kind], x, target=1, method=method, batch_size=3)
    theirs = sp.explain(seeded(Net), x, target=1, method=method, batch_size=3)
    assert torch.equal(ours.relevance, theirs.relevance)
    assert torch.equal(ours.output, theirs.output)
    if theirs.has_hypothetical:
        assert torch.equal(ours.hypothetical, theirs.hypothetical)
    if not theirs.ledger.empty:
        columns = ["layer", "op", "rule", "relevance_out", "relevance_in", "bias", "pruned"]
        assert ours.ledger[columns].equals(theirs.ledger[columns])


def test_a_batch_that_does_not_fill_a_programs_own_is_filled_up_and_cut_again(programs):
    program = programs["fixed"]
    assert program_inputs(program) == ((3, 4, LENGTH),)
    assert program_inputs(programs["free"]) == ((None, 4, LENGTH),)
    x = dna(7)
    ours, theirs = (sp.explain(m, x, target="predicted", batch_size=3) for m in (program, seeded(Net)))
    assert torch.equal(ours.target, theirs.target)
    torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-5, atol=1e-7)
    assert ours.ledger["sequence"].tolist() == theirs.ledger["sequence"].tolist()
    ours.check()


@pytest.mark.parametrize("kind", ["free", "fixed"])
def test_the_plan_has_the_modules_own_paths(programs, kind):
    ours = sp.Explainer(programs[kind], dna(1))
    theirs = sp.Explainer(seeded(Net), dna(1))
    assert [(layer.path, layer.op, layer.position, layer.rule) for layer in ours.layers] == [
        (layer.path, layer.op, layer.position, layer.rule) for layer in theirs.layers
    ]
    layers = ours(dna(2), target=0, layers=["norm", "body.1"]).layers
    expected = theirs(dna(2), target=0, layers=["norm", "body.1"]).layers
    for name, relevance in expected.items():
        torch.testing.assert_close(layers[name], relevance, rtol=1e-5, atol=1e-7)


def test_a_callable_target_picks_one_of_two_outputs(place):
    net = fresh(TwoOutputs)
    net.load_state_dict(seeded(Net).state_dict())
    x, expected = dna(3), sp.explain(seeded(Net), dna(3), target=1)
    for name, free in (("two", FREE_BATCH), ("two3", None)):
        program = load_model(save(net, place / f"{name}.pt2", free=free))
        ours = sp.explain(program, x, target=lambda outputs: outputs["counts"][:, 1])
        assert torch.equal(ours.relevance, expected.relevance)
        with pytest.raises(SeqplrpError, match="2 values"):
            sp.explain(program, x)


class Pooled(torch.nn.Module):
    """Has axes as long as its batch, and reduces one."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(4, 6, 5)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).mean(2))


class Mixing(Pooled):
    def forward(self, x):
        scores = super().forward(x)
        return scores - scores.mean(0)


class Moving(Pooled):
    def forward(self, x):
        return self.head(torch.relu(self.conv(x)).permute(2, 0, 1).amax(0))


class Doubled(Pooled):
    """Puts its sequences among others, and takes them out again, by numbers that say nothing of the batch."""

    def forward(self, x):
        both = torch.cat([x, torch.zeros_like(x[:1])])
        return super().forward(both)[: x.shape[0]]


@pytest.mark.parametrize("size", [1, 2, 6])
def test_a_fixed_batch_is_told_from_axes_of_the_same_size(place, size):
    path = save(seeded(Pooled), place / "pooled.pt2", (size, 4, LENGTH), free=None)
    ours, theirs = (sp.explain(m, dna(7), target=0, batch_size=size) for m in (load_model(path), seeded(Pooled)))
    torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-5, atol=1e-8)
    ours.check()


@pytest.mark.parametrize("size", [1, 2, 6])
def test_a_fixed_batch_that_is_moved_is_followed(place, size):
    path = save(seeded(Moving), place / "moving.pt2", (size, 4, LENGTH), free=None)
    ours, theirs = (sp.explain(m, dna(7), target=0, batch_size=size) for m in (load_model(path), seeded(Moving)))
    torch.testing.assert_close(ours.relevance, theirs.relevance, rtol=1e-5, atol=1e-8)
    ours.check()


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Mixing, "fixed batch size|over the batch"), (Doubled, r"export it with a free batch size: .*Dim\.AUTO")],
)
def test_a_fixed_batch_that_is_mixed_or_lost_is_refused(place, kind, said):
    program = load_model(save(seeded(kind), place / "refused.pt2", free=None))
    with pytest.raises(SeqplrpError, match=said):
        sp.explain(program, dna(2), target=0)


def test_channels_last(place):
    program = load_model(save(seeded(ChannelsLast), place / "nlc.pt2", (3, LENGTH, 4)))
    ours = sp.explain(program, dna(4), target=0, layout="NLC")
    assert torch.equal(ours.relevance, sp.explain(seeded(Net), dna(4), target=0).relevance)
    with pytest.raises(SeqplrpError, match=rf"exported for \(N, {LENGTH}, 4\)"):
        sp.explain(program, dna(4), target=0)


def test_a_program_saved_in_double_precision_computes_in_it(place):
    net = fresh(Net).double()
    program = load_model(save(net, place / "double.pt2", dtype=torch.float64))
    x = dna(4).double()
    ours = sp.explain(program, x, target=0)
    assert torch.equal(ours.relevance, sp.explain(net, x, target=0).relevance)
    ours.check(1e-12)
    assert sp.explain(program, x.float(), target=0).relevance.dtype == torch.float32


def test_a_free_length_stays_free(place):
    net = seeded(AnyLength)
    program = load_model(save(net, place / "any.pt2", free=FREE))
    explainer = sp.Explainer(program, dna(1))
    for length in (LENGTH, LENGTH + 7, 22):
        expected = sp.explain(net, dna(2, length), target=1)
        torch.testing.assert_close(
            explainer(dna(2, length), target=1).relevance, expected.relevance, rtol=1e-4, atol=1e-7
        )


def test_a_fixed_length_is_said(programs):
    with pytest.raises(SeqplrpError, match=r"\(1, 4, 20\), exported for \(N, 4, 30\)"):
        sp.explain(programs["free"], dna(1, 20), target=0)


def test_further_inputs_are_held_fixed(place):
    net = seeded(WithControl)
    path = save(net, place / "control.pt2", (3, 4, LENGTH), (3, 2, 10), free=(*FREE_BATCH, *FREE_BATCH))
    control = torch.rand(2, 2, 10)
    ours, theirs = (
        sp.explain(model, dna(2), target=0, method="lrp", args=(control,)) for model in (load_model(path), net)
    )
    assert torch.equal(ours.relevance, theirs.relevance)
    assert theirs.ledger["fixed_inputs"].abs().sum() > 0
    assert ours.ledger["fixed_inputs"].equals(theirs.ledger["fixed_inputs"])


def test_explaining_leaves_a_program_as_it_was(free):
    program = load_model(free)
    before = {name: value.clone() for name, value in program.state_dict().items()}
    code, training = program.exported.graph_module.code, program.training
    hooks = [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in program.modules()]
    sp.explain(program, dna(2), target=0)
    with pytest.raises(SeqplrpError):
        sp.explain(program, dna(2), target=9)
    after = program.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert (program.exported.graph_module.code, program.training) == (code, training)
    assert all(p.grad is None for p in program.parameters())
    assert hooks == [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in program.modules()]


def test_an_ensemble_may_hold_programs_and_modules(programs):
    x = dna(3)
    both = sp.explain([*programs.values(), seeded(Net)], x, target=0)
    torch.testing.assert_close(both.relevance, sp.explain(seeded(Net), x, target=0).relevance, rtol=1e-5, atol=1e-7)
    assert float(both.relevance_spread.max()) < 1e-6
