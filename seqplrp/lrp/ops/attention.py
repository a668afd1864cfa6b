"""Attention: its weights are held constant, or share in the relevance by AttnLRP's rule (METHODS.md, section 2).

Held constant, a softmax is a gate: a product hands all relevance to the values. Under AttnLRP (Achtibat et al. 2024,
arXiv 2402.05602) it is a signal like any other: products hand half to the weights (Proposition 3.3), and the softmax
hands it on to the scores by a Taylor decomposition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.batch import BatchAxis
from seqplrp.lrp.graph import Ref
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum, taken_by_stabiliser
from seqplrp.lrp.ops.sharing import SharedByContribution
from seqplrp.lrp.registry import register
from seqplrp.lrp.steps import EPS, Contribution, Handler, Run, Step, Vanishing, lowest_level, stabilised

aten = torch.ops.aten


def softmax_rule(scores: Tensor, weights: Tensor, relevance: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """Apply AttnLRP's rule of a softmax (Achtibat et al. 2024, Proposition 3.1).

    The rule is ``r_i = x_i (R_i - s_i sum_j R_j)``, a Taylor decomposition at the scores x; what it leaves over is a
    bias.

    Parameters
    ----------
    scores : Tensor
        x; what a mask set to minus infinity has no weight and takes nothing.
    weights : Tensor
        s, the softmax of the scores; the same shape.
    relevance : Tensor
        R, of the weights; the same shape.
    axis : int
        The axis of the softmax.

    Returns
    -------
    coefficient : Tensor
        c with ``r = x c``.
    bias : Tensor
        What is left over, one number a weight; their sum is that of R without r.
    """
    scores = scores.masked_fill(scores.isinf(), 0)
    coefficient = relevance - weights * relevance.sum(axis, keepdim=True)
    bias = relevance * (1 - scores + (weights * scores).sum(axis, keepdim=True))
    return coefficient, bias


@register(aten.softmax.int, aten._softmax.default, aten._safe_softmax.default)
class Softmax(Handler):
    """Weights that sum to 1: a gate; relevance that arrives all the same is shared by AttnLRP's rule."""

    vanishing: ClassVar[Vanishing] = "always"

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return max(2, lowest_level(step, levels))

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return True

    def needs(self, step: Step) -> tuple[str, ...]:
        return (step.inputs[0], step.output)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        scores, weights = run.values[step.inputs[0]], run.values[step.output]
        coefficient, bias = softmax_rule(scores.to(weights.dtype), weights, relevance, step.args[1])
        coefficient = coefficient.to(scores.dtype)
        handed_on = scores.masked_fill(scores.isinf(), 0) * coefficient
        ledger.add(
            step.path,
            step.op,
            self.describe(step),
            relevance_out=per_sample_sum(relevance, step.batch),
            relevance_in=per_sample_sum(handed_on, step.input_batches[0]),
            bias=per_sample_sum(bias, step.batch),
            size=per_sample_size(relevance, step.batch),
        )
        if step.reads_input[0] and not bool(scores.isinf().any()):
            return [Contribution(coefficient=coefficient)]
        return [Contribution(relevance=handed_on)]

    def describe(self, step: Step) -> str:
        return "AttnLRP softmax"


class SignalSoftmax(Softmax):
    """A softmax that is no gate."""

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return lowest_level(step, levels)


@register(aten.log_softmax.int, aten._log_softmax.default)
class LogSoftmax(SharedByContribution):
    """Scores minus the logarithm of their sum of exponentials, which is held constant and takes its share as a bias."""

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return False

    def coefficients(self, step: Step, share: Tensor, run: Run) -> list[Tensor]:
        return [share.to(run.values[step.inputs[0]].dtype)]

    def taken_by_constants(self, step: Step, share: Tensor, run: Run) -> Tensor | None:
        shift = run.values[step.output] - run.values[step.inputs[0]]
        return per_sample_sum(shift.masked_fill(shift.isnan(), 0) * share, step.batch)


@dataclass(frozen=True)
class _Arguments:
    """What an attention operation is given: values, or references to them."""

    query: Any
    key: Any
    value: Any
    mask: Any
    is_causal: bool
    scale: float | None
    grouped: bool

    @property
    def parts(self) -> tuple[Any, Any, Any]:
        return self.query, self.key, self.value


def _arguments(step: Step) -> _Arguments:
    names = [argument.name for argument in step.node.overload._schema.arguments]
    given = {**dict(zip(names, step.args, strict=False)), **step.kwargs}
    if given.get("dropout_p"):
        raise SeqplrpError(
            step.path,
            "the dropout of the attention weights stays switched on in evaluation mode, so the output is random",
            "pass dropout_p=0.0 to it unless self.training",
        )
    return _Arguments(
        given["query"],
        given["key"],
        given["value"],
        given.get("attn_mask", given.get("attn_bias")),
        bool(given.get("is_causal")),
        given.get("scale"),
        bool(given.get("enable_gqa")),
    )


@dataclass(frozen=True)
class _Attention:
    """The tensors of an attention, each with all its leading axes: queries (..., L, E), keys and values (..., S, E)."""

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    is_causal: bool
    scale: float

    @classmethod
    def of(cls, step: Step, run: Run, output: Tensor) -> _Attention:
        given = _arguments(step)
        query, key, value = run.filled(given.query), run.filled(given.key), run.filled(given.value)
        if given.grouped:
            key, value = (t.repeat_interleave(query.shape[-3] // t.shape[-3], -3) for t in (key, value))
        lead = output.shape[:-2]
        mask = run.filled(given.mask)
        query, key, value = (t.expand(*lead, *t.shape[-2:]) for t in (query, key, value))
        return cls(
            query,
            key,
            value,
            None if mask is None else mask.expand(*lead, query.shape[-2], key.shape[-2]),
            given.is_causal,
            query.shape[-1] ** -0.5 if given.scale is None else given.scale,
        )

    def chunks(self) -> Iterator[tuple[slice, _Attention]]:
        """Take the first axis apart, so that not all weights are in memory at a time."""
        count, lead = len(self.query), self.query.shape[1:-1].numel()
        step = max(1, _WEIGHTS_AT_A_TIME // max(1, lead * self.key.shape[-2]))
        for start in range(0, count, step):
            part = slice(start, start + step)
            mask = None if self.mask is None else self.mask[part]
            yield (
                part,
                _Attention(self.query[part], self.key[part], self.value[part], mask, self.is_causal, self.scale),
            )

    def scores(self) -> tuple[Tensor, Tensor | None]:
        """Return the scores (..., L, S), and what the mask adds to them."""
        scores = self.query @ self.key.transpose(-2, -1) * self.scale
        if self.is_causal:
            seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
            scores = scores.masked_fill(~seen, float("-inf"))
        if self.mask is None:
            return scores, None
        if self.mask.dtype == torch.bool:
            return scores.masked_fill(~self.mask, float("-inf")), None
        return scores + self.mask, self.mask

    @staticmethod
    def weights(scores: Tensor) -> Tensor:
        """Return the softmax of the scores (..., L, S); a query that sees nothing has weights of 0."""
        return scores.softmax(-1).masked_fill(scores.amax(-1, keepdim=True) == float("-inf"), 0)


_WEIGHTS_AT_A_TIME = 2**25
"""How many are worked out on the way back at a time, at least one sequence's: 128 MiB of them in float32."""


@dataclass(frozen=True)
class _Shares:
    """What queries, keys and values are handed (coefficients of their shapes), and what else takes, a query each."""

    query: Tensor | None
    key: Tensor | None
    value: Tensor | None
    bias: Tensor
    stabiliser: Tensor

    def handed_to(self, place: int) -> Tensor:
        """Return the share of queries (0), keys (1) or values (2), whichever of them receive."""
        share = (self.query, self.key, self.value)[place]
        assert share is not None
        return share


def _share(attention: _Attention, share: Tensor, receives: Sequence[bool]) -> _Shares:
    """Pass ``R / (y + eps sgn y)`` of an attention's output y (..., L, E) on to those that receive."""
    scores, mask = attention.scores()
    weights = attention.weights(scores)
    none = share.new_zeros(share.shape[:-1])
    query, key, value = receives
    part = share / (bool(value) + (query or key))
    to_value = weights.transpose(-2, -1) @ part if value else None
    if not (query or key):
        return _Shares(None, None, to_value, none, none)
    of_weights = weights * (part @ attention.value.transpose(-2, -1))
    coefficient, bias = softmax_rule(scores, weights, of_weights, -1)
    seen = ~scores.isinf()
    quotient = torch.where(seen, scores * coefficient / stabilised(scores, EPS), 0)
    if mask is not None:
        bias = bias + torch.where(seen, mask, 0) * quotient
    stabiliser = EPS * torch.where(scores < 0, -quotient, quotient).sum(-1)
    to_scores = quotient * (attention.scale / (bool(query) + bool(key)))
    return _Shares(
        to_scores @ attention.key if query else None,
        to_scores.transpose(-2, -1) @ attention.query if key else None,
        to_value,
        bias.sum(-1),
        stabiliser,
    )


@register(
    aten.scaled_dot_product_attention.default,
    aten._scaled_dot_product_attention_math.default,
    aten._scaled_dot_product_flash_attention_for_cpu.default,
    aten._scaled_dot_product_flash_attention.default,
    aten._scaled_dot_product_efficient_attention.default,
    aten._scaled_dot_product_cudnn_attention.default,
)
class Attention(Handler):
    """softmax(scale q k^T + mask) v in one operation: the values get all."""

    vanishing: ClassVar[Vanishing] = "always"

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        value = _arguments(step).value
        return levels.get(value.name, 0) if isinstance(value, Ref) else 0

    def prepare(self, step: Step) -> None:
        if len(step.node.shape or ()) < 3:
            raise SeqplrpError(
                step.path, "attention without a batch axis mixes the sequences of a batch", "give it (N, L, E)"
            )

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        value = _arguments(step).value
        if step.is_input(value):
            return (value.name,)
        return self._all(step)  # attention to constants: there is nothing but the weights

    @staticmethod
    def _all(step: Step) -> tuple[str, ...]:
        return tuple(a.name for a in _arguments(step).parts if step.is_input(a))

    @staticmethod
    def _receives(step: Step) -> list[bool]:
        """Say which of queries, keys and values are handed relevance."""
        given = _arguments(step)
        every = [step.is_input(a) for a in given.parts]
        return every if len(step.inputs) == sum(every) else [False, False, True]  # one value may be all three

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return self._receives(step)[2] and all(inputs)

    def needs(self, step: Step) -> tuple[str, ...]:
        return (*step.inputs, step.output)

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        output = run.values[step.output]
        attention = _Attention.of(step, run, output)
        receives = self._receives(step)
        share = relevance / stabilised(output, EPS)
        found = [_share(chunk, share[part], receives) for part, chunk in attention.chunks()]
        parts = _arguments(step).parts
        handed_on, total = [], relevance.new_zeros((), dtype=torch.float64)
        places = [place for place in range(3) if receives[place]]
        for number, place in enumerate(places):
            whole = torch.cat([shares.handed_to(place) for shares in found])
            contribution, part = step.share_out(number, _as_given(whole, run.shapes[parts[place].name]), run)
            handed_on.append(contribution)
            total = total + part
        per_query = _per_query(step.batch, output)
        taken = taken_by_stabiliser(share, output, EPS, axis=step.batch)
        ledger.add(
            step.path,
            step.op,
            self.describe(step),
            relevance_out=per_sample_sum(relevance, step.batch),
            relevance_in=total,
            bias=per_sample_sum(torch.cat([shares.bias for shares in found]), per_query),
            stabiliser=taken + per_sample_sum(torch.cat([shares.stabiliser for shares in found]), per_query),
            size=per_sample_size(relevance, step.batch),
        )
        return handed_on

    def describe(self, step: Step) -> str:
        return "weights held constant" if self._receives(step) == [False, False, True] else "AttnLRP attention"


class SignalAttention(Attention):
    """Attention whose queries and keys have their part in the relevance."""

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        return self._all(step)


def _as_given(coefficient: Tensor, shape: torch.Size) -> Tensor:
    """Sum what heads that share a key or value, or a widened axis, hand back."""
    if coefficient.dim() > 2 and len(shape) > 2 and 1 < shape[-3] < coefficient.shape[-3]:
        lead, heads = coefficient.shape[:-3], shape[-3]
        coefficient = coefficient.reshape(*lead, heads, -1, *coefficient.shape[-2:]).sum(-3)
    return coefficient.sum_to_size(shape)


def _per_query(batch: BatchAxis | None, output: Tensor) -> BatchAxis | None:
    """Return where the batch stands when the last axis is gone."""
    return None if batch is None else BatchAxis(batch.lead, batch.units // output.shape[-1])


_SIGNALS: dict[type[Handler], Handler] = {Softmax: SignalSoftmax(), Attention: SignalAttention()}


def under_attnlrp(handler: Handler) -> Handler:
    """Return the handler that serves where attention weights are no gates."""
    return _SIGNALS.get(type(handler), handler)
