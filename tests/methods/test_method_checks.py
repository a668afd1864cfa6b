"""check_method passes what is right, and names what is wrong."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import seqplrp as sp
from seqplrp.methods import Attribution, Batch, GradientTimesInput, Prepared, check_method, plan_scores

OURS = [
    "plrp",
    sp.PLRP(rule="relative", threshold="gain", center="composition", reverse_complement=True),
    sp.LRP(rule=sp.Flat()),  # without hypothetical contributions
    sp.Random(seed=3),
    sp.NeuronMCT(),
    sp.SmoothGrad(draws=2),
    sp.Background(over="plrp", n_shuffles=2, references=sp.shuffled_references),
]


@pytest.mark.parametrize("method", OURS, ids=str)
def test_our_own_methods_pass(method) -> None:
    check_method(method)


class Changed(GradientTimesInput):
    """Gradient times input with something amiss."""

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        return [self.amiss(prepared, batch, found) for found in super().attribute(prepared, batch)]


@dataclass(frozen=True, kw_only=True)
class Whole(Changed):
    def amiss(self, prepared, batch, found):
        return found


@dataclass(frozen=True, kw_only=True)
class NotThePresentBases(Changed):
    def amiss(self, prepared, batch, found):
        return replace(found, relevance=found.hypothetical)


@dataclass(frozen=True, kw_only=True)
class OfAnotherShape(Changed):
    def amiss(self, prepared, batch, found):
        return replace(found, relevance=found.relevance.sum(1), hypothetical=None)


@dataclass(frozen=True, kw_only=True)
class NotFinite(Changed):
    def amiss(self, prepared, batch, found):
        return replace(found, relevance=found.relevance / 0, hypothetical=None)


@dataclass(frozen=True, kw_only=True)
class Nothing(Changed):
    def amiss(self, prepared, batch, found):
        return replace(found, relevance=found.relevance * 0, hypothetical=found.hypothetical * 0)


@dataclass(frozen=True, kw_only=True)
class BesideOthers(Changed):
    def amiss(self, prepared, batch, found):
        mean = found.hypothetical - found.hypothetical.mean(0, keepdim=True)
        return replace(found, relevance=batch.x * mean, hypothetical=mean)


@dataclass(frozen=True, kw_only=True)
class OfItsPlace(Changed):
    def amiss(self, prepared, batch, found):
        there = torch.arange(1, len(batch.x) + 1).to(batch.x)[:, None, None] * found.hypothetical
        return replace(found, relevance=batch.x * there, hypothetical=there)


@dataclass(frozen=True, kw_only=True)
class AnotherScore(Changed):
    def amiss(self, prepared, batch, found):
        return replace(found, output=found.output.sigmoid())


@dataclass(frozen=True, kw_only=True)
class OfTheClock(Changed):
    """Draws by a generator that nobody seeds."""

    def amiss(self, prepared, batch, found):
        drawn = torch.from_numpy(np.random.default_rng().normal(size=batch.x.shape)).to(batch.x)
        return replace(found, relevance=batch.x * drawn, hypothetical=drawn)


@dataclass(frozen=True, kw_only=True)
class GlobalDraws(Changed):
    def amiss(self, prepared, batch, found):
        torch.rand(1)
        return found


@dataclass(frozen=True, kw_only=True)
class OtherGlobalDraws(Changed):
    def amiss(self, prepared, batch, found):
        random.random()
        return found


@dataclass(frozen=True, kw_only=True)
class WritesWeights(Changed):
    def amiss(self, prepared, batch, found):
        with torch.no_grad():
            prepared.model[0].weight.mul_(1.0)
        return found


@dataclass(frozen=True, kw_only=True)
class LeavesTraining(Changed):
    def amiss(self, prepared, batch, found):
        prepared.model.eval()
        return found


@dataclass(frozen=True, kw_only=True)
class LeavesHooks(Changed):
    def amiss(self, prepared, batch, found):
        prepared.model[1].register_forward_hook(print)
        return found


@dataclass(frozen=True, kw_only=True)
class Double(Changed):
    def amiss(self, prepared, batch, found):
        if batch.x.dtype == torch.float64:
            return found
        return replace(found, relevance=found.relevance * float("nan"), hypothetical=None)


@dataclass(frozen=True, kw_only=True)
class Backwards(GradientTimesInput):
    """Gives its targets in another order."""

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        found = super().attribute(prepared, batch)
        maps = [one.hypothetical for one in found][::-1]
        return [replace(one, relevance=batch.x * map, hypothetical=map) for one, map in zip(found, maps, strict=True)]


@dataclass(frozen=True, kw_only=True)
class FirstOutput(GradientTimesInput):
    """Takes the highest output to be the first."""

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        highest = [target for _, target in plan_scores(prepared, batch)]
        first = torch.zeros(len(batch.x), dtype=torch.long)
        asked = [first if isinstance(target, str) else target for target in batch.targets]
        found = super().attribute(prepared, replace(batch, targets=asked))
        return [replace(one, target=target) for one, target in zip(found, highest, strict=True)]


@dataclass(frozen=True, kw_only=True)
class OwnStrands(Changed):
    """Does a part of its own where both strands are asked for."""

    def amiss(self, prepared, batch, found):
        twice = 2.0 if self.reverse_complement else 1.0
        map = found.hypothetical * twice
        return replace(found, relevance=batch.x * map, hypothetical=map)


class Undecorated(Whole):
    strength: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Unequal(Whole):
    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]


WRONG = [
    (NotThePresentBases, "the map", "is not exactly the input times the hypothetical"),
    (OfAnotherShape, "the map", r"is \(5, 18\) of inputs \(5, 4, 18\)"),
    (NotFinite, "the map", "is not finite"),
    (Nothing, "the map", "is all zero for a sequence"),
    (BesideOthers, "batch independence", "differs by .* in company"),
    (OfItsPlace, "batch independence", "differs by .* in company"),
    (AnotherScore, "the explained score", "is not the model's"),
    (OfTheClock, "a second call", "gives another map"),
    (GlobalDraws, "what is left behind", "torch's global randomness has changed"),
    (OtherGlobalDraws, "what is left behind", "Python's global randomness has changed"),
    (WritesWeights, "what is left behind", "the model's weights or the inputs have changed"),
    (LeavesTraining, "what is left behind", "the model's modules, their mode or their hooks have changed"),
    (LeavesHooks, "what is left behind", "the model's modules, their mode or their hooks have changed"),
    (Double, "single precision", "relevance is torch.float32, or not finite"),
    (Backwards, "several targets", "are mixed up"),
    (FirstOutput, "the highest output", "is not what is explained"),
    (OwnStrands, "both strands", "are not averaged"),
    (Undecorated, "the method itself", "Undecorated is no frozen dataclass"),
    (Unequal, "the method itself", "a copy of it is another method"),
]


def test_a_right_one_of_ones_own_passes() -> None:
    check_method(Whole())


@pytest.mark.parametrize(("kind", "check", "text"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_wrong_is_named(kind, check: str, text: str) -> None:
    with pytest.raises(sp.SeqplrpError, match=rf"\({check}\): .*{text}"):
        check_method(kind())


def test_a_method_that_can_not_travel_is_told() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Local(Whole):
        pass

    with pytest.raises(sp.SeqplrpError, match=r"can't be pickled .*; define classes at the top of a module"):
        check_method(Local())


def test_what_is_no_method_is_told_and_names_are_those_of_methods() -> None:
    with pytest.raises(sp.SeqplrpError, match="is no Method; extend"):
        check_method(Whole)  # type: ignore[arg-type]
    with pytest.raises(sp.SeqplrpError, match="'gradient' is not known"):
        check_method("gradient")


def test_what_a_methods_own_code_raises_stays_as_it_is_with_a_note_of_whose_it_is() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Raises(Changed):
        pass

    Raises.__qualname__ = "Raises"
    globals()["Raises"] = Raises
    with pytest.raises(AttributeError, match="amiss") as error:
        check_method(Raises())
    assert error.value.__notes__ == ["this was Raises(center=None, reverse_complement=False), on a small classifier"]
