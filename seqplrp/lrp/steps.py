"""What a plan is made of: steps, what flows between them, and what a handler of an operation says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeGuard

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.batch import BatchAxis
from seqplrp.lrp.graph import Node, Ref, refs_of
from seqplrp.lrp.ledger import Ledger, per_sample_size, per_sample_sum
from seqplrp.lrp.rules import Branch, Rule
from seqplrp.lrp.winners import Winners

EPS = 1e-6
"""Stabiliser of every denominator that belongs to no rule: sums, averages, lone batch norms (METHODS.md, section 2)."""

FEW_OUTPUTS = 64
"""Up to so many outputs a sequence, the ledger measures a layer's relevance at its inputs, too (`size_in`)."""


def stabilised(denominator: Tensor, eps: float, *, nonnegative: bool = False) -> Tensor:
    """Return ``d + eps sgn d`` with sgn 0 = +1; one pass where the denominator is known not to be negative.

    Where eps is too small to be seen beside 0, a denominator of 0 is taken for infinity: 0 / 0 shares nothing.
    """
    if eps < torch.finfo(denominator.dtype).tiny:
        return denominator.masked_fill(denominator == 0, float("inf"))
    if nonnegative:
        return denominator + eps
    # eps times +1 or -1, by a comparison into a float: far quicker than a choice between two tensors
    return at_least_zero(denominator).mul_(2 * eps).sub_(eps).add_(denominator)


def at_least_zero(tensor: Tensor) -> Tensor:
    """Return 1 where a tensor is >= 0 and 0 elsewhere, in its dtype."""
    return torch.ge(tensor, 0, out=torch.empty_like(tensor))


def divided(relevance: Tensor, denominator: Tensor) -> Tensor:
    """Return relevance over a stabilised denominator, which nobody else holds: it is overwritten where that can be."""
    if denominator.shape == relevance.shape and not torch.is_grad_enabled():
        return torch.div(relevance, denominator, out=denominator)
    return relevance / denominator


@dataclass(frozen=True)
class Contribution:
    """What a step hands on to one of its inputs.

    `coefficient` c stands for the relevance ``input * c``; it is left unmultiplied so that, at the network's input, it
    gives the hypothetical contributions. `relevance` is relevance as it is. A step gives one of the two, or both; a max
    pool may give `winners` instead, and what picks one of several results gives that result's place and relevance as
    `item`. `total` and `size` are the sums of the relevance and of its size (N,), where they are known. `is_own` says
    that nobody else holds the relevance, so that it may be added to in place.
    """

    coefficient: Tensor | None = None
    relevance: Tensor | None = None
    winners: Winners | None = None
    item: tuple[int, Tensor] | None = None
    total: Tensor | None = None
    size: Tensor | None = None
    is_own: bool = False


@dataclass
class Step:
    """One operation of a plan.

    Attributes
    ----------
    node : Node
        What runs: operation, module path, shapes.
    handler : Handler
        How it runs and how relevance passes back.
    inputs : tuple of str
        The values among its arguments that depend on the explained input, in order.
    output : str
        The value that it makes.
    args, kwargs : tuple, dict
        The arguments, with weights and constants in place and `Ref` for what is known only at run time.
    extra : object
        What the handler prepared for itself (folded weights, say).
    inputs_nonnegative : tuple of bool
        For each input, whether its values can't be negative.
    gated : bool
        Whether no relevance can arrive where the output is <= 0, because only a ReLU reads it.
    value_of_output : str
        The value to take for the output on the way back: the output itself, or the ReLU's where gated.
    output_nonnegative : bool
        Whether the output can't be negative.
    vanishes : bool
        Whether no relevance can arrive where the output is 0.
    reads_input : tuple of bool
        For each input, whether it is the explained input, moved: there a share stays a coefficient.
    pooled : bool
        Whether the output's relevance arrives at the winners of a max pool.
    padded_by : tuple of Step
        For a layer under a rule that gives relevance to units of value 0: the moves that lead to its input, if one of
        them is a pad.
    in_place : bool
        Whether the step may overwrite its input, which nothing else needs.
    batch, input_batches : BatchAxis or None, tuple of them
        Where the batch stands in the output and in each input; None where it comes first. Sums per sequence need it.
    has_items : bool
        Whether the operation has several results of which others than the first are read: then the value is the tuple
        of them, and relevance arrives for each.
    fixed : frozenset of str
        The values among its arguments that are the model's further inputs, or made of them: held fixed.
    """

    node: Node
    handler: Handler
    inputs: tuple[str, ...]
    output: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    extra: Any = None
    inputs_nonnegative: tuple[bool, ...] = ()
    gated: bool = False
    value_of_output: str = ""
    output_nonnegative: bool = False
    vanishes: bool = False
    reads_input: tuple[bool, ...] = ()
    pooled: bool = False
    padded_by: tuple[Step, ...] = ()
    in_place: bool = False
    batch: BatchAxis | None = None
    input_batches: tuple[BatchAxis | None, ...] = ()
    has_items: bool = False
    fixed: frozenset[str] = frozenset()

    def refs(self) -> list[str]:
        """Return the names of the values that the step reads, weights and constants apart."""
        return refs_of((self.args, dict(self.kwargs)))

    def argument(self, place: int, default: Any = None) -> Any:
        """Return an argument by its place; the operation's default where it was left out."""
        return self.args[place] if len(self.args) > place else default

    def is_input(self, argument: object) -> TypeGuard[Ref]:
        """Whether an argument is one of the inputs."""
        return isinstance(argument, Ref) and argument.name in self.inputs

    def handed_on(self, parts: Sequence[Tensor]) -> Tensor:
        """Return the sum (N,) of the relevance that is handed to the inputs, one part each."""
        sums = [per_sample_sum(part, axis) for part, axis in zip(parts, self.input_batches, strict=True)]
        return torch.stack(sums).sum(0)

    def share_out(
        self, place: int, coefficient: Tensor, run: Run, *, is_own: bool = False
    ) -> tuple[Contribution, Tensor]:
        """Return what one input is handed for a coefficient, and the sum of its relevance (N,).

        The product with the input is made once, here, unless the input is the explained one, where the coefficient
        itself is wanted. It overwrites a coefficient that is said to be nobody else's. A step of few outputs learns the
        size of what it hands on, too.
        """
        values = run.values[self.inputs[place]]
        if is_own and not self.reads_input[place] and coefficient.shape == values.shape:
            relevance = coefficient.mul_(values)
        else:
            relevance = values * coefficient
        total = per_sample_sum(relevance, self.input_batches[place])
        size = per_sample_size(relevance, self.input_batches[place]) if self.has_few_outputs(run) else None
        if self.reads_input[place]:
            return Contribution(coefficient=coefficient, size=size), total
        return Contribution(relevance=relevance, total=total, size=size, is_own=True), total

    def has_few_outputs(self, run: Run) -> bool:
        """Whether the outputs of a sequence are so few that they may all be small differences of large numbers."""
        shape = run.shapes.get(self.output)
        if shape is None:  # several results
            return False
        units = shape[1:].numel() if self.batch is None else self.batch.units
        return units <= FEW_OUTPUTS

    @property
    def path(self) -> str:
        """The module path, or a name for what the model's own forward does."""
        return self.node.path or f"(forward) {self.node.name}"

    @property
    def op(self) -> str:
        """The operation's short name."""
        return self.node.op_name

    def call(self, run: Run) -> Any:
        """Run the operation as it was traced."""
        return self.node.op(*run.filled(self.args), **run.filled(dict(self.kwargs)))


@dataclass
class Run:
    """The state of one pass: what the forward pass left for the ways back, and what one of these leaves for the next.

    Attributes
    ----------
    values, shapes, extras : dict
        Of the forward pass: values, their shapes, and what a handler keeps beside them, by the value's name.
    input_nonnegative : bool
        Whether no entry of the explained input is below 0.
    totals, sizes : dict of str to Tensor
        Of the way back: sums (N,) of relevance, and of its size, where they are known.
    sums : dict of (str, int) to Tensor
        The denominators of rules that divide by other sums than the forward pass's, by the layer's output and the
        place of the rule's branch. They depend on the values alone, so every way back can use them.
    keeps_sums : bool
        Whether a way back leaves them for the next.
    """

    values: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, torch.Size] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    input_nonnegative: bool = False
    totals: dict[str, Tensor] = field(default_factory=dict)
    sizes: dict[str, Tensor] = field(default_factory=dict)
    sums: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    keeps_sums: bool = False

    def relevance_out(self, step: Step, relevance: Tensor) -> Tensor:
        """Return the sum of the relevance at a step's output (N,): that of what was handed there, where it is known."""
        known = self.totals.get(step.output)
        return per_sample_sum(relevance, step.batch) if known is None else known

    def size_out(self, step: Step, relevance: Tensor) -> Tensor:
        """Return the sum of |relevance| at a step's output (N,): that which pruning left there, where it did."""
        known = self.sizes.get(step.output)
        return per_sample_size(relevance, step.batch) if known is None else known

    def filled(self, arguments: Any) -> Any:
        """Return arguments with every `Ref` replaced by its value."""
        if isinstance(arguments, Ref):
            return self.values[arguments.name]
        if isinstance(arguments, tuple):
            return [self.filled(item) for item in arguments]
        if isinstance(arguments, dict):
            return {key: self.filled(item) for key, item in arguments.items()}
        return arguments


def refused(step: Step, what: str, remedy: str = "") -> SeqplrpError:
    """Return the error for an operation that no handler serves as it is called here; `what` says how that is."""
    mend = remedy or "register a handler (seqplrp.lrp.register), or explain the model up to the layer before it"
    return SeqplrpError(step.path, f"{step.op} {what} has no relevance handler", mend)


Vanishing = Literal["always", "with output", "never"]


def sizes_in(contributions: Sequence[Contribution]) -> dict[str, Tensor]:
    """Return the ledger's entry for the sizes of what a step hands on, if they were measured."""
    known = [contribution.size for contribution in contributions if contribution.size is not None]
    return {"size_in": torch.stack(known).sum(0)} if known and len(known) == len(contributions) else {}


class Handler:
    """How one operation runs forward and how relevance passes back through it.

    The base class runs the traced operation. A handler of your own says at least what `backward` gives each input.
    """

    hoists: ClassVar[bool] = False
    """Whether the output holds the input's units, moved or padded, so that pruning one is pruning the other."""

    moves: ClassVar[bool] = False
    """Whether the operation only moves values of its (one or several) inputs, so that coefficients move too."""

    vanishing: ClassVar[Vanishing] = "never"
    """When no relevance reaches an input that is 0: always, if the same holds of the output, or no promise."""

    conserves: ClassVar[bool] = False
    """Whether its one input is handed exactly the entries that arrive, so that they need not be summed again."""

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        """Return how much of a gate the output is, given the levels of the values that depend on the input.

        A product hands its relevance to the factor of the lowest level: 0 is a signal, 1 what is bounded on both sides
        of 0 (tanh), 2 what weighs (sigmoid, softmax, a normalisation), 3 what the model itself detached.
        """
        return 0

    def receivers(self, step: Step, levels: Mapping[str, int]) -> tuple[str, ...]:
        """Return those of the step's inputs that are handed relevance; the others are held constant."""
        return step.inputs

    def prepare(self, step: Step) -> None:
        """Work out, once a plan, what the step needs; raise SeqplrpError for arguments that it can't serve."""

    def forward(self, step: Step, run: Run) -> Tensor:
        """Run the operation."""
        result = step.call(run)
        if step.has_items:
            return tuple(result)  # type: ignore[return-value]  # only handlers that know of items read it
        value: Tensor = result[0] if isinstance(result, tuple | list) else result
        return value

    def needs(self, step: Step) -> tuple[str, ...]:
        """Return the names of the values that `backward` reads."""
        return ()

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        """Return whether the output can't be negative, given which inputs can't be."""
        return False

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        """Share the relevance of the output among `step.inputs`."""
        raise self._lacks(step, "backward(step, relevance, run, ledger)")

    def _lacks(self, step: Step, method: str) -> SeqplrpError:
        return SeqplrpError(
            step.path,
            f"{type(self).__name__}, the handler of {step.op}, does not say how relevance passes back",
            f"give it {method}; check_handler tells whether it is right",
        )

    def backward_items(
        self, step: Step, relevances: Mapping[int, Tensor], run: Run, ledger: Ledger
    ) -> list[Contribution]:
        """Share the relevances of several results, by their place, among `step.inputs` (`Step.has_items`)."""
        raise SeqplrpError(
            step.path,
            f"{step.op} has several results that are read, and its handler knows but one",
            "give it a backward_items, or use the first result alone",
        )

    def describe(self, step: Step) -> str:
        """Return what the plan's table says in its rule column."""
        return ""


def lowest_level(step: Step, levels: Mapping[str, int]) -> int:
    """Return the lowest gate level among a step's inputs."""
    return min((levels.get(name, 0) for name in step.inputs), default=0)


class MoveHandler(Handler):
    """An operation that moves values about: relevance and coefficients move back alike."""

    moves = True
    vanishing: ClassVar[Vanishing] = "with output"

    def gate_level(self, step: Step, levels: Mapping[str, int]) -> int:
        return lowest_level(step, levels)

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        """Apply the adjoint of the move: one tensor an input, of the input's shape."""
        raise self._lacks(step, "back(step, moved, run)")

    def back_coefficient(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        """Do so with a coefficient of the explained input, not with relevance: the same, unless values change."""
        return self.back(step, moved, run)

    def on_constants(self, step: Step, relevance: Tensor, run: Run) -> Tensor | None:
        """Return how much relevance (N,) falls on what is no input, such as constants; None where there is no such."""
        return None

    def account(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> None:
        """Enter what falls on constants into the ledger, as a bias; a move that only moves needs no row."""
        constant = self.on_constants(step, relevance, run)
        if constant is not None:
            ledger.add(
                step.path,
                step.op,
                self.describe(step),
                relevance_out=per_sample_sum(relevance, step.batch),
                relevance_in=step.handed_on(self.back(step, relevance, run)),
                size=per_sample_size(relevance, step.batch),
                **{constants_column(step, step.args): constant},
            )

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        self.account(step, relevance, run, ledger)
        return [Contribution(relevance=part) for part in self.back(step, relevance, run)]

    def describe(self, step: Step) -> str:
        return "moved"


def moved(step: Step, values: Tensor, run: Run) -> Tensor:
    """Apply a move's forward operation to other values than those of the pass."""
    name = step.inputs[0]
    own = run.values.get(name)
    run.values[name] = values
    try:
        return step.handler.forward(step, run)
    finally:
        if own is None:
            run.values.pop(name, None)
        else:
            run.values[name] = own


def constants_column(step: Step, arguments: Any) -> str:
    """Return where the ledger enters what falls on constants: as a bias, or on the model's further inputs."""
    return "fixed_inputs" if step.fixed.intersection(refs_of(arguments)) else "bias"


def scaled_rows(weight: Tensor, scale: Tensor) -> Tensor:
    """Return a weight (outputs, ...) with each output's part times its factor (outputs,)."""
    return weight * scale.view(-1, *(1,) * (weight.dim() - 1))


@dataclass(frozen=True)
class LinearLayer:
    """What the steps of conv and linear layers carry in `extra`.

    Attributes
    ----------
    weight, bias : Tensor, Tensor or None
        Private copies; bias (outputs,).
    apply : callable
        ``apply(values, weight, bias)``, the layer's product with any values and weights of its shapes.
    adjoint : callable
        ``adjoint(grad, weight, input_shape)``, the transposed product.
    channel_axis : int
        Axis of the output along which the bias runs.
    scaled : callable
        ``scaled(weight, factors)``, the weight of a layer whose outputs are multiplied by factors (outputs,).
    rule, branches
        What the plan places there.
    """

    weight: Tensor
    bias: Tensor | None
    apply: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    adjoint: Callable[[Tensor, Tensor, torch.Size], Tensor]
    channel_axis: int
    scaled: Callable[[Tensor, Tensor], Tensor] = scaled_rows
    rule: Rule | None = None
    branches: tuple[Branch, ...] = ()

    @property
    def gives_coefficients(self) -> bool:
        """Whether its rule's shares are the input times something, so that an input of 0 takes nothing."""
        return {term.part for branch in self.branches for term in branch.terms} <= {"input", "positive", "negative"}
