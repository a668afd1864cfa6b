"""Run a plan: forward, then relevance back, pruning on the way; values are freed as soon as nothing needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.batch import BatchAxis, by_sample, from_samples, samples_in
from seqplrp.lrp.ledger import Ledger, per_sample_sum
from seqplrp.lrp.ops.branches import Quotient, propagate_again, share_by_rule
from seqplrp.lrp.ops.linear import LinearHandler
from seqplrp.lrp.ops.pooling import MaxPool
from seqplrp.lrp.plan import Plan, PrunePoint
from seqplrp.lrp.prune import Cut, Pruning, count, count_nonzero, described, find_cut, scaled, shares_of
from seqplrp.lrp.rules import Relative
from seqplrp.lrp.steps import Contribution, MoveHandler, Run, Step, moved
from seqplrp.lrp.winners import Winners


@dataclass(frozen=True)
class Propagated:
    """What one way back gives.

    Attributes
    ----------
    relevance : Tensor
        (N, ...) of the input.
    coefficient : Tensor or None
        (N, ...) with ``relevance = input * coefficient``: the hypothetical contributions; None where the first layers'
        rules are not proportional to the input.
    ledger : Ledger
        Every layer's account.
    layers : dict of str to Tensor
        The relevance (N, ...) at the outputs of the modules that were asked for, pruned where it is pruned there.
    """

    relevance: Tensor
    coefficient: Tensor | None
    ledger: Ledger
    layers: Mapping[str, Tensor] = field(default_factory=dict)


def run_forward(plan: Plan, x: Tensor, others: Sequence[Tensor] = (), *, keep: bool = True) -> Run:
    """Run the plan's steps, storing what the way back needs.

    Parameters
    ----------
    plan : Plan
        The plan.
    x : Tensor
        (N, ...) input, of the dtype and on the device of the weights.
    others : sequence of Tensor
        The further inputs (N, ...), held fixed.
    keep : bool
        False to store nothing for the way back, where only the output is wanted.
    """
    run = Run()
    run.values[plan.graph.input] = x
    run.shapes[plan.graph.input] = x.shape
    for name, value in zip(plan.graph.fixed_inputs, others, strict=True):
        run.values[name], run.shapes[name] = value, value.shape
    run.input_nonnegative = bool((x >= 0).all())
    ends: dict[int, list[str]] = {}
    for name, at in plan.last_forward_use.items():
        ends.setdefault(at, []).append(name)
    for number, step in enumerate(plan.steps):
        value = step.handler.forward(step, run)  # sizes, too, and what is held constant
        run.values[step.output] = value
        if isinstance(value, Tensor):
            run.shapes[step.output] = value.shape
        for name in ends.get(number, ()):
            run.values.pop(name, None)
        if not keep:
            run.extras.clear()
    return run


def output_of(plan: Plan, run: Run) -> Tensor:
    """Return the explained output of a pass: (N,) or (N, outputs)."""
    output: Tensor = run.values[plan.graph.output]
    return output


def start_at(output: Tensor, target: Tensor | None) -> Tensor:
    """Return the relevance to start from: the explained score at its place, 0 elsewhere.

    Parameters
    ----------
    output : Tensor
        (N, outputs), or (N,) where the score is the only output.
    target : Tensor or None
        (N,) index of the output for each sample; None where there is only one.
    """
    if target is None:
        return output
    start = torch.zeros_like(output)
    place = target.unsqueeze(1)
    return start.scatter_(1, place, output.gather(1, place))


@dataclass
class _Arrived:
    """The relevance that has arrived at a value so far."""

    relevance: Tensor | None = None
    coefficient: Tensor | None = None
    winners: Winners | None = None
    # matrix mode: relevance from conv and linear layers, and what it takes to propagate them again
    from_layers: Tensor | None = None
    layers: list[tuple[Step, Tensor, list[Quotient]]] = field(default_factory=list)
    items: dict[int, Tensor] = field(default_factory=dict)
    # the sums of the relevance and of its size (N,), where they are known
    total: Tensor | None = None
    size: Tensor | None = None
    is_own: bool = False

    def add(self, contribution: Contribution) -> None:
        if contribution.item is not None:
            place, relevance = contribution.item
            known = self.items.get(place)
            self.items[place] = relevance if known is None else known + relevance
            return
        is_first = self.is_empty()
        self.total = contribution.total if is_first else _both(self.total, contribution.total)
        self.size = contribution.size if is_first else None  # sizes don't add up
        self._add_relevance(contribution)
        self.coefficient = _sum(self.coefficient, contribution.coefficient)
        self.winners = contribution.winners  # the pool that gives them is the only reader

    def is_empty(self) -> bool:
        return self.relevance is None and self.coefficient is None and self.winners is None

    def _add_relevance(self, contribution: Contribution) -> None:
        """Add a relevance to what is there, in place where one of the two is nobody else's."""
        new = contribution.relevance
        if new is None:
            return
        if self.relevance is None:
            self.relevance, self.is_own = new, contribution.is_own
        elif self.is_own:
            self.relevance.add_(new)
        else:
            self.relevance = new.add_(self.relevance) if contribution.is_own else self.relevance + new
            self.is_own = True


def _both(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return None if a is None or b is None else a + b


def _sum(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    if a is None or b is None:
        return b if a is None else a
    return a + b


@dataclass
class _Backward:
    """One way back through a plan."""

    plan: Plan
    run: Run
    pruning: Pruning | None
    free: bool
    ledger: Ledger = field(default_factory=Ledger)
    arrived: dict[str, _Arrived] = field(default_factory=dict)
    seen: dict[str, Tensor | None] = field(default_factory=dict)  # relevance at the values that were asked for

    def at(self, value: str) -> _Arrived:
        return self.arrived.setdefault(value, _Arrived())

    def propagate(self, start: Tensor, layers: Sequence[str] = ()) -> Propagated:
        plan = self.plan
        wanted = {layer: plan.value_of(layer) for layer in layers}
        self.seen = dict.fromkeys(wanted.values())
        # sums of an earlier way back through the same forward pass
        self.run.totals.clear()
        self.run.sizes.clear()
        self.run.keeps_sums = not self.free
        self.at(plan.graph.output).relevance = start
        ends: dict[int, list[str]] = {}
        for name, at in plan.first_backward_use.items():
            ends.setdefault(at, []).append(name)
        for number in range(len(plan.steps) - 1, -1, -1):
            step = plan.steps[number]
            arrived = self.arrived.pop(step.output, None)
            if arrived is not None and step.inputs:
                self._step(step, arrived)
            if self.free:
                self.run.extras.pop(step.output, None)
                for name in ends.get(number, ()):
                    if name != plan.graph.input:
                        self.run.values.pop(name, None)
        result = self._finish()
        if self.pruning is not None and self.pruning.prune_input:
            result = self._with_pruned_input(result, self.pruning)
        return replace(
            result, layers={layer: self._relevance_of(layer, value, start) for layer, value in wanted.items()}
        )

    def _relevance_of(self, layer: str, value: str, like: Tensor) -> Tensor:
        """Return what was seen at a value that was asked for; zeros where no relevance came by."""
        found = self.seen[value]
        if found is not None:
            return found
        if self.pruning is not None and self.pruning.mode == "matrix":
            raise SeqplrpError(
                f"layers: {layer!r}",
                "only moves values to the next layer; matrix mode works out no relevance there",
                "ask for the layer before it, or use mode='lambda'",
            )
        return like.new_zeros(self.run.shapes[value])

    def _step(self, step: Step, arrived: _Arrived) -> None:
        if step.output in self.plan.input_like:
            self._move_input(step, arrived)
            return
        if arrived.total is not None:
            self.run.totals[step.output] = arrived.total
        if arrived.size is not None:
            self.run.sizes[step.output] = arrived.size
        if arrived.winners is not None:
            if step.output in self.seen:
                self.seen[step.output] = arrived.winners.spread(arrived.winners.relevance)
            self._layer(step, arrived.winners)
            return
        if arrived.items:
            parts = step.handler.backward_items(step, arrived.items, self.run, self.ledger)
            for name, part in zip(step.inputs, parts, strict=True):
                self._hand_on(name, part)
            return
        relevance = self._relevance_at(step.output, arrived)
        if step.output in self.seen:
            self.seen[step.output] = relevance
        if isinstance(step.handler, LinearHandler):
            self._layer(step, relevance)
            return
        parts = step.handler.backward(self._signed(step), relevance, self.run, self.ledger)
        if step.handler.conserves and len(parts) == 1:
            # where windows overlap, relevances of both signs may meet at a winner
            entries_stay = parts[0].winners is not None or not isinstance(step.handler, MaxPool)
            known = self.run.sizes.get(step.output) if entries_stay else None
            parts = [replace(parts[0], total=self.run.relevance_out(step, relevance), size=known)]
        for name, part in zip(step.inputs, parts, strict=True):
            self._hand_on(name, part)

    def _signed(self, step: Step) -> Step:
        """Let a step that reads the input itself know whether this input has negative values."""
        if self.run.input_nonnegative and any(name in self.plan.input_like for name in step.inputs):
            signs = tuple(
                known or name in self.plan.input_like
                for name, known in zip(step.inputs, step.inputs_nonnegative, strict=True)
            )
            return replace(step, inputs_nonnegative=signs)
        return step

    def _hand_on(self, name: str, part: Contribution) -> None:
        if part.coefficient is not None and name not in self.plan.input_like:
            relevance = self.run.values[name] * part.coefficient
            part = Contribution(relevance=_sum(relevance, part.relevance), is_own=True)
        self.at(name).add(part)

    def _move_input(self, step: Step, arrived: _Arrived) -> None:
        """Move coefficients and relevances back towards the input, each for itself."""
        handler = step.handler
        assert isinstance(handler, MoveHandler)
        parts: list[Contribution] = []
        if arrived.relevance is not None:
            parts += handler.backward(self._signed(step), arrived.relevance, self.run, self.ledger)
        if arrived.coefficient is not None:
            if step.output in handler.needs(step):  # constants stand beside the input and take their share
                handler.account(step, self.run.values[step.output] * arrived.coefficient, self.run, self.ledger)
            parts += [
                Contribution(coefficient=part) for part in handler.back_coefficient(step, arrived.coefficient, self.run)
            ]
        for name, part in zip([*step.inputs] * (len(parts) // len(step.inputs)), parts, strict=True):
            self.at(name).add(part)

    def _in_matrix_mode(self, step: Step) -> bool:
        """Whether a layer is propagated again; not where nothing is pruned, so that p = 0 is plain LRP bit for bit."""
        if (
            self.pruning is None
            or self.pruning.mode != "matrix"
            or step.output not in self.plan.chains
            or isinstance(step.extra.rule, Relative)
        ):
            return False
        chain = self.plan.chains[step.output]
        point = self.plan.prune_points[chain[0].inputs[0] if chain else step.inputs[0]]
        return shares_of(self.pruning, point.readers, self.plan.depth).prunes

    def _layer(self, step: Step, relevance: Tensor | Winners) -> None:
        """Share a conv or linear layer's relevance.

        In matrix mode the shares go straight to the prune point, where they are worked out again once it is cut.
        """
        again = self._in_matrix_mode(step)
        contribution, quotients = share_by_rule(self._signed(step), relevance, self.run, self.ledger, keep=again)
        if not again:
            self._hand_on(step.inputs[0], contribution)
            return
        share = contribution.relevance
        assert share is not None
        chain = self.plan.chains[step.output]
        for move in reversed(chain):
            assert isinstance(move.handler, MoveHandler)
            share = move.handler.back(move, share, self.run)[0]
        at = self.at(chain[0].inputs[0] if chain else step.inputs[0])
        at.from_layers = _sum(at.from_layers, share)
        at.layers.append((step, self.run.values[step.inputs[0]], quotients))

    def _relevance_at(self, value: str, arrived: _Arrived) -> Tensor:
        """Return what has arrived at a value, pruned where the value is a prune point."""
        relevance = _sum(arrived.relevance, arrived.from_layers)
        assert relevance is not None
        if arrived.from_layers is not None:
            self.run.totals.pop(value, None)
            self.run.sizes.pop(value, None)
        point = self.plan.prune_points.get(value)
        if self.pruning is None or point is None:
            return relevance
        return self._pruned(relevance, arrived, point, self.pruning)

    def _pruned(self, relevance: Tensor, arrived: _Arrived, point: PrunePoint, pruning: Pruning) -> Tensor:
        shares = shares_of(pruning, point.readers, self.plan.depth)
        if not shares.prunes:
            return relevance
        flat = by_sample(relevance, point.batch)
        cut = find_cut(flat, pruning, shares)
        guarded = None
        scales: Tensor | None
        if not arrived.layers:
            scales = _factors(cut.total, cut.kept)
            result, *counts = scaled(flat, cut, scales)
        else:
            masks = cut.masks(flat)
            left = count(masks[0]) + count(masks[1])
            kept = from_samples(masks[0].add_(masks[1]), relevance, point.batch)
            again, guarded = self._again(kept, arrived, pruning.tau, point.batch)
            result = by_sample(again, point.batch)
            result, scales = _to_totals(result, cut.total) if pruning.tau > 0 else (result, None)
            counts = [left, count_nonzero(flat)]
        self._record(point, result, cut, counts, scales, guarded, described(pruning, shares))
        return from_samples(result, relevance, point.batch)

    def _again(self, mask: Tensor, arrived: _Arrived, tau: float, batch: BatchAxis | None) -> tuple[Tensor, Tensor]:
        """Propagate every layer that reads the prune point again, among the kept units."""
        total = torch.zeros_like(mask) if arrived.relevance is None else arrived.relevance * mask
        guarded = torch.zeros(samples_in(mask, batch), dtype=torch.float64, device=mask.device)
        for step, values, quotients in arrived.layers:
            kept = mask
            chain = self.plan.chains[step.output]
            for move in chain:
                kept = moved(move, kept, self.run)
            share, count = propagate_again(step, quotients, values * kept, kept, tau)
            for move in reversed(chain):
                assert isinstance(move.handler, MoveHandler)
                share = move.handler.back(move, share, self.run)[0]
            total = total.add_(share)
            guarded = guarded + count
        return total, guarded

    def _record(
        self,
        point: PrunePoint,
        after: Tensor,
        cut: Cut,
        counts: Sequence[Tensor],
        scales: Tensor | None,
        guarded: Tensor | None,
        how: str,
    ) -> None:
        size, size_kept = cut.total.sum(1), cut.kept.sum(1)
        total, result = cut.total[:, 0] - cut.total[:, 1], per_sample_sum(after)
        self.run.totals[point.value] = result
        self.run.sizes.pop(point.value, None)
        if scales is not None and guarded is None:  # what is kept was brought to the size before, sign by sign
            self.run.sizes[point.value] = torch.where(cut.kept > 0, cut.total, 0.0).sum(1)
        numbers = {
            "relevance_out": total,
            "relevance_in": result,
            "residue": total - result,
            "size": size,
            "pruned": size - size_kept,
            "lambda": torch.where(size_kept > 0, size / size_kept, 1.0),
            "kept_share": counts[0] / counts[1].clamp(min=1),
            "kept_mass": torch.where(size > 0, size_kept / size, 1.0),
        }
        if scales is not None:
            numbers["lambda_pos"], numbers["lambda_neg"] = scales[:, 0], scales[:, 1]
        if guarded is not None:
            numbers["guarded"] = guarded
        self.ledger.add(" + ".join(point.readers), "prune", how, **numbers)

    def _finish(self) -> Propagated:
        x = self.run.values[self.plan.graph.input]
        arrived = self.at(self.plan.graph.input)
        coefficient, relevance = arrived.coefficient, arrived.relevance
        if coefficient is None and relevance is None:
            coefficient = torch.zeros_like(x)
        if coefficient is None:
            assert relevance is not None
            return Propagated(relevance, None, self.ledger)
        whole = x * coefficient
        if relevance is not None:
            return Propagated(whole + relevance, None, self.ledger)
        return Propagated(whole, coefficient, self.ledger)

    def _with_pruned_input(self, result: Propagated, pruning: Pruning) -> Propagated:
        """Prune the map itself, as an option has it; the coefficients of what is present follow."""
        shares = shares_of(pruning, ("(input)",), self.plan.depth)
        if not shares.prunes:
            return result
        flat = result.relevance.flatten(1)
        cut = find_cut(flat, pruning, shares)
        scales = _factors(cut.total, cut.kept)
        pruned, *counts = scaled(flat, cut, scales)
        point = PrunePoint(self.plan.graph.input, ("(input)",))
        self._record(point, pruned, cut, counts, scales, None, described(pruning, shares))
        relevance = pruned.view_as(result.relevance)
        coefficient = result.coefficient
        if coefficient is not None:
            factor = torch.where(result.relevance != 0, relevance / result.relevance, 1.0)
            coefficient = coefficient * factor
            relevance = self.run.values[self.plan.graph.input] * coefficient
        return Propagated(relevance, coefficient, self.ledger)


def _factors(total: Tensor, kept: Tensor) -> Tensor:
    """Return the factors (N, 2) that bring what is kept, sign by sign, to its total before; 1 where nothing is kept."""
    return torch.where(kept > 0, total / kept, 1.0)


def _to_totals(flat: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Bring the positive and the negative entries of (N, units), each by one factor, to totals (N, 2)."""
    positive, negative = flat.clamp(min=0), flat.clamp(max=0)
    sizes = torch.stack([positive.sum(1), -negative.sum(1)], dim=1).to(torch.float64)
    scales = _factors(total, sizes)
    factors = scales.to(flat.dtype)
    return positive.mul_(factors[:, :1]).addcmul_(negative, factors[:, 1:]), scales


def propagate(
    plan: Plan,
    run: Run,
    start: Tensor,
    pruning: Pruning | None = None,
    *,
    layers: Sequence[str] = (),
    free: bool = True,
) -> Propagated:
    """Pass relevance from the output back to the input.

    Parameters
    ----------
    plan : Plan
        The plan.
    run : Run
        Its forward pass.
    start : Tensor
        Relevance at the explained output, from `start_at`.
    pruning : Pruning, optional
        Prune on the way (PLRP); without it, plain LRP.
    layers : sequence of str
        Module paths whose outputs' relevance is wanted, too (`Plan.value_of`).
    free : bool
        Free the forward pass's values on the way; False to use them, and the rules' own sums, for another way back.

    Raises
    ------
    SeqplrpError
        Where the start does not fit the output.
    """
    if start.shape != output_of(plan, run).shape:
        raise SeqplrpError(
            "start",
            f"has shape {tuple(start.shape)}, the output {tuple(output_of(plan, run).shape)}",
            "use start_at",
        )
    return _Backward(plan, run, pruning, free).propagate(start, layers)
