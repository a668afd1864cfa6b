"""Input-specific pruning of the network: the gradient of the few units that matter for one input (Khakzar et al.)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import BatchAxis, by_sample, from_samples
from seqplrp.methods.base import Attribution, Batch, Prepared, chosen_of, score_of
from seqplrp.methods.gradients import check_continuous
from seqplrp.methods.settings import check_choice, check_count, check_number
from seqplrp.methods.traced import (
    TracedMethod,
    TracedModel,
    outside_inference,
    traced_of,
    with_autograd,
)

aten = torch.ops.aten

Readout = Literal["gradient-x-input", "gradient"]

SPARSITY = 0.9
"""The share of units that is pruned where nothing else is asked for (METHODS.md, section 5)."""

_RECTIFIERS = {
    aten.relu.default,
    aten.relu6.default,
    aten.leaky_relu.default,
    aten.prelu.default,
    aten._prelu_kernel.default,
    aten.rrelu.default,
    aten.elu.default,
    aten.selu.default,
    aten.celu.default,
    aten.gelu.default,
    aten.silu.default,
    aten.mish.default,
    aten.hardswish.default,
    aten.softplus.default,
}
_CLAMPS = {aten.clamp.default, aten.clamp_min.default, aten.hardtanh.default, aten.threshold.default}
"""Operations that are a ReLU where their lower bound is 0."""


@dataclass(frozen=True)
class Units:
    """The units of a network that can be pruned: those of every ReLU-like output, each call of it by itself.

    Attributes
    ----------
    axes : dict of str to (BatchAxis or None)
        By the value's name, in the order of the forward pass: where the batch stands in it, if not first.
    """

    axes: Mapping[str, BatchAxis | None]

    def scores(self, values: Mapping[str, Any], gradients: Mapping[str, Tensor | None]) -> Tensor:
        """Return |a * gradient| of every unit (N, units), all layers together."""
        parts = []
        for name, axis in self.axes.items():
            value, gradient = values[name].detach(), gradients[name]
            score = torch.zeros_like(value) if gradient is None else (value * gradient).abs()
            parts.append(by_sample(score, axis))
        return torch.cat(parts, 1)

    def masks(self, kept: Tensor, values: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return which units (N, units) are kept, as 0 and 1 in the shapes of their values."""
        sizes = [values[name].numel() // len(kept) for name in self.axes]
        parts = torch.split(kept, sizes, 1)
        return {
            name: from_samples(part, values[name], axis).to(values[name].dtype)
            for (name, axis), part in zip(self.axes.items(), parts, strict=True)
        }


def units_of(prepared: Prepared) -> Units:
    """Find the outputs of every ReLU-like operation of the model itself.

    Raises
    ------
    SeqplrpError
        Where there is none.
    """
    axes = {step.output: step.batch for step in prepared.plan.steps}
    found = {node.name: axes.get(node.name) for node in traced_of(prepared).nodes if _rectifies(node)}
    if not found:
        raise SeqplrpError(
            type(prepared.model).__name__,
            "has no ReLU-like activation, so there are no units to prune",
            "use a gradient method, or LRP",
        )
    return Units(found)


def _rectifies(node: Any) -> bool:
    if node.op in _CLAMPS:
        low = node.args[1] if len(node.args) > 1 else node.kwargs.get("min")
        return bool(low == 0)
    return node.op in _RECTIFIERS


@dataclass(frozen=True, kw_only=True)
class NeuronMCT(TracedMethod):
    """Gradient of the network that is left where the units of least marginal contribution are pruned, for each input.

    A unit's score is ``|a df/da|``, the first-order change of the score if it were set to 0. Over all ReLU-like outputs
    together, the lowest of a sequence's scores are pruned: those units are multiplied by 0 in a second forward pass, of
    which the gradient is the attribution.

    Parameters
    ----------
    sparsity : float, optional
        The share of all units that is pruned, 0 <= sparsity < 1; 0.9 where neither this nor `max_change` is given.
        Units of equal scores fall together, so more may be pruned; most units of a ReLU net have a score of 0.
    max_change : float, optional
        Instead: prune as much, for each sequence, as leaves the score within this share of itself (0.15 in the paper).
        It is found by bisection over the sorted scores. The change need not grow with the number of pruned units, so
        another sparsity may do as well; the one that is found does keep the bound.
    readout : {"gradient-x-input", "gradient"}
        What the map is: the gradient at the present bases, with its sign; or its size there, as in `Saliency`. The
        hypothetical contributions are the gradient, or its size, at all bases.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Source: Khakzar et al., arXiv 1911.11081, and CVPR 2021; METHODS.md, section 5. In a ReLU net ``a df/da`` is the
    unit's relevance under LRP-epsilon with eps -> 0.
    """

    sparsity: float | None = None
    max_change: float | None = None
    readout: Readout = "gradient-x-input"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sparsity is not None and self.max_change is not None:
            raise SeqplrpError("sparsity, max_change", "are both given", "give one of them")
        if self.sparsity is not None:
            check_number("sparsity", self.sparsity, 0, 1, below=True)
        if self.max_change is not None:
            check_number("max_change", self.max_change, 0)
        check_choice("readout", self.readout, ("gradient-x-input", "gradient"))

    @property
    def notes(self) -> tuple[str, ...]:
        return ("gradients of a pruned network: the map does not sum to the score",)

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        traced, units = traced_of(prepared), units_of(prepared)
        check_continuous(batch.x, self)
        found = []
        with with_autograd():
            batch = outside_inference(batch)
            values, every = self.scored(traced, units, batch)
            for score, target, of_units in every:
                threshold = self._thresholds(traced, units, batch, values, (score, target), of_units)
                masks = units.masks(of_units > threshold, values)
                gradient = masked_gradient(traced, masks, batch, target)
                shown = gradient if self.readout == "gradient-x-input" else gradient.abs()
                found.append(Attribution(batch.x * shown, shown, score, target))
        return found

    def scored(
        self, traced: TracedModel, units: Units, batch: Batch
    ) -> tuple[dict[str, Any], list[tuple[Tensor, Tensor | None, Tensor]]]:
        """Return a pass's values, and for each target the score (N,), its index and the units' scores (N, units)."""
        values = traced.run(batch.x.requires_grad_(), batch.others)
        output, found = values[traced.graph.output], []
        for number, asked in enumerate(batch.targets, start=1):
            target = chosen_of(output, asked)
            score = score_of(output, target)
            gradients = _gradients(score, units, values, retain=number < len(batch.targets))
            found.append((score.detach(), target, units.scores(values, gradients)))
        batch.x.requires_grad_(False)
        return {name: values[name].detach() for name in units.axes}, found

    def _thresholds(
        self,
        traced: TracedModel,
        units: Units,
        batch: Batch,
        values: Mapping[str, Any],
        explained: tuple[Tensor, Tensor | None],
        of_units: Tensor,
    ) -> Tensor:
        """Return the score (N, 1) up to which units are pruned."""
        if self.max_change is None:
            share = SPARSITY if self.sparsity is None else self.sparsity
            n = int(share * of_units.shape[1] + 1e-9)  # 0.29 * 100 is 28.999999999999996
            nothing = of_units.new_full((len(of_units), 1), -1.0)
            return nothing if n == 0 else of_units.kthvalue(n, 1, keepdim=True).values
        ordered = of_units.sort(1).values
        score, target = explained
        allowed = self.max_change * score.abs()

        def is_within(n: Tensor) -> Tensor:
            masks = units.masks(of_units > _threshold(ordered, n), values)
            with torch.no_grad():
                output = traced.run(batch.x, batch.others, _masking(masks))[traced.graph.output]
            return (score_of(output, target) - score).abs() <= allowed

        return _threshold(ordered, _most_within(is_within, ordered))


@dataclass(frozen=True, kw_only=True)
class NeuronIntGrad(NeuronMCT):
    """As `NeuronMCT`, with a unit's score from gradients that are integrated along its layer's activation.

    A unit's score is ``|a mean_k df/da at (k / steps) a|``, k = 1 ... steps, with one layer scaled at a time: what
    depends on it is run again, all else stays as it was.

    Parameters
    ----------
    steps : int
        How fine the grid is.
    sparsity, max_change, readout, center, reverse_complement
        See `NeuronMCT`.

    Notes
    -----
    Source: Khakzar et al., arXiv 1911.11081, and CVPR 2021; METHODS.md, section 5. It costs `steps` forward and
    backward passes of what is above each ReLU-like output.
    """

    steps: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("steps", self.steps)

    def scored(
        self, traced: TracedModel, units: Units, batch: Batch
    ) -> tuple[dict[str, Any], list[tuple[Tensor, Tensor | None, Tensor]]]:
        with torch.no_grad():
            values = traced.run(batch.x, batch.others)
        output = values[traced.graph.output]
        targets = [chosen_of(output, asked) for asked in batch.targets]
        means = {name: self._mean_gradients(traced, values, name, targets) for name in units.axes}
        found = []
        for place, target in enumerate(targets):
            gradients = {name: of_targets[place] for name, of_targets in means.items()}
            found.append((score_of(output, target), target, units.scores(values, gradients)))
        return {name: values[name] for name in units.axes}, found

    def _mean_gradients(
        self, traced: TracedModel, values: Mapping[str, Any], name: str, targets: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """Return the mean gradient along one layer's activation for each target; None where it does not matter."""
        totals: list[Tensor | None] = [None] * len(targets)
        for k in range(1, self.steps + 1):
            leaf = (k / self.steps * values[name]).requires_grad_()
            output = traced.rerun(values, name, leaf)
            if not output.requires_grad:
                return totals
            for place, target in enumerate(targets):
                score = score_of(output, target).sum()
                (gradient,) = torch.autograd.grad(score, leaf, retain_graph=place + 1 < len(targets))
                before = totals[place]
                totals[place] = gradient if before is None else before + gradient
        return [None if total is None else total / self.steps for total in totals]


def _gradients(score: Tensor, units: Units, values: Mapping[str, Any], *, retain: bool) -> dict[str, Tensor | None]:
    """Return the gradient at each value of units; None where the score does not depend on it."""
    reached = [name for name in units.axes if values[name].requires_grad]
    gradients: dict[str, Tensor | None] = dict.fromkeys(units.axes)
    if reached and score.requires_grad:
        of_values = torch.autograd.grad(
            score.sum(), [values[name] for name in reached], retain_graph=retain, allow_unused=True
        )
        gradients.update(zip(reached, of_values, strict=True))
    return gradients


def _masking(masks: Mapping[str, Tensor]) -> Any:
    def masked(name: str, value: Tensor) -> Tensor:
        return value * masks[name] if name in masks else value

    return masked


def masked_gradient(traced: TracedModel, masks: Mapping[str, Tensor], batch: Batch, target: Tensor | None) -> Tensor:
    """Return the gradient (N, ...) of the score at the input in a network some of whose units are multiplied by 0."""
    leaf = batch.x.detach().clone().requires_grad_()
    output = traced.run(leaf, batch.others, _masking(masks))[traced.graph.output]
    (gradient,) = torch.autograd.grad(score_of(output, target).sum(), leaf, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient


def _threshold(ordered: Tensor, n: Tensor) -> Tensor:
    """Return the n-th lowest score (N, 1) of each sequence, up to which units fall; none falls where n is 0."""
    at = ordered.gather(1, (n - 1).clamp(min=0).unsqueeze(1))
    return at.masked_fill((n == 0).unsqueeze(1), -1.0)


def _most_within(is_within: Any, ordered: Tensor) -> Tensor:
    """Bisect, for each sequence, for the number of lowest scores (N,) that can go; all at once may be one of them."""
    low = torch.zeros(len(ordered), dtype=torch.long, device=ordered.device)  # none pruned: no change
    high = torch.full_like(low, ordered.shape[1])
    low = torch.where(is_within(high), high, low)
    while bool((high - low > 1).any()):
        middle = (low + high) // 2
        fits = is_within(middle)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, torch.maximum(middle, low))
    return low
