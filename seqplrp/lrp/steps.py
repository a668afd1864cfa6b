"""What a plan is made of: steps, the values that flow between them, and the handlers that know each operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.ledger import Ledger
from seqplrp.lrp.rules import Branch, Rule
from seqplrp.lrp.trace import Node, Operation, Ref, op_name

EPS = 1e-6
"""Stabiliser of every denominator that belongs to no rule: sums, averages, lone batch norms (METHODS.md, section 2)."""


def stabilised(denominator: Tensor, eps: float) -> Tensor:
    """Return ``d + eps sgn d`` with sgn 0 = +1."""
    return torch.where(denominator < 0, denominator - eps, denominator + eps)


@dataclass(frozen=True)
class Contribution:
    """What a step hands on to one of its inputs.

    `coefficient` c stands for the relevance ``input * c``; it is left unmultiplied so that, at the network's input, it
    gives the hypothetical contributions. `relevance` is relevance as it is. A step gives one of the two, or both.
    """

    coefficient: Tensor | None = None
    relevance: Tensor | None = None


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
    """The state of one pass: what the forward pass left for the way back."""

    values: dict[str, Any] = field(default_factory=dict)
    shapes: dict[str, torch.Size] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    input_nonnegative: bool = False

    def filled(self, arguments: Any) -> Any:
        """Return arguments with every `Ref` replaced by its value."""
        if isinstance(arguments, Ref):
            return self.values[arguments.name]
        if isinstance(arguments, tuple):
            return [self.filled(item) for item in arguments]
        if isinstance(arguments, dict):
            return {key: self.filled(item) for key, item in arguments.items()}
        return arguments


Vanishing = Literal["always", "with output", "never"]


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

    def prepare(self, step: Step) -> None:
        """Work out, once a plan, what the step needs; raise SeqplrpError for arguments that it can't serve."""

    def forward(self, step: Step, run: Run) -> Tensor:
        """Run the operation."""
        result = step.call(run)
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
        raise NotImplementedError

    def describe(self, step: Step) -> str:
        """Return what the plan's table says in its rule column."""
        return ""


class MoveHandler(Handler):
    """An operation that moves values about: relevance and coefficients move back alike."""

    moves = True
    vanishing: ClassVar[Vanishing] = "with output"

    def nonnegative(self, step: Step, inputs: Sequence[bool]) -> bool:
        return all(inputs)

    def back(self, step: Step, moved: Tensor, run: Run) -> list[Tensor]:
        """Apply the adjoint of the move: one tensor an input, of the input's shape."""
        raise NotImplementedError

    def backward(self, step: Step, relevance: Tensor, run: Run, ledger: Ledger) -> list[Contribution]:
        return [Contribution(relevance=part) for part in self.back(step, relevance, run)]

    def describe(self, step: Step) -> str:
        return "moved"


HANDLERS: dict[Operation, Handler] = {}


def register(*operations: Operation) -> Callable[[type[Handler]], type[Handler]]:
    """Register a handler class for ATen operations.

    Parameters
    ----------
    *operations
        Overloads such as ``torch.ops.aten.relu.default``.

    Raises
    ------
    SeqplrpError
        Where an operation has a handler already.
    """

    def decorate(handler: type[Handler]) -> type[Handler]:
        for operation in operations:
            if operation in HANDLERS:
                raise SeqplrpError(
                    f"register({operation})",
                    f"the operation is handled by {type(HANDLERS[operation]).__name__} already",
                    "register a custom op of your own, or change that handler",
                )
            HANDLERS[operation] = handler()
        return handler

    return decorate


def handler_of(node: Node, model_name: str) -> Handler:
    """Return the handler of a node's operation.

    Raises
    ------
    SeqplrpError
        Where there is none: relevance never passes through an operation that nobody thought about.
    """
    handler = HANDLERS.get(node.op)
    if handler is None:
        raise SeqplrpError(
            node.path or model_name,
            f"the operation {node.op} ({op_name(node.op)}) has no relevance handler",
            "register a handler (seqplrp.lrp.register), or explain the model up to the layer before it",
        )
    return handler


@dataclass(frozen=True)
class LinearLayer:
    """What the steps of conv and linear layers carry in `extra`."""

    weight: Tensor
    bias: Tensor | None
    apply: Callable[[Tensor, Tensor], Tensor]
    adjoint: Callable[[Tensor, Tensor, torch.Size], Tensor]
    channel_axis: int
    rule: Rule | None = None
    branches: tuple[Branch, ...] = ()
