"""Which rule each conv and linear layer gets: by module path, by kind of operation, by position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp.graph import Graph
from seqplrp.lrp.ops.linear import Convolution, LinearHandler
from seqplrp.lrp.rules import AlphaBeta, ConservingRelative, Epsilon, Flat, Gamma, Relative, Rule, ZBox, ZPlus
from seqplrp.lrp.steps import Step

Rules = Rule | str | Mapping[str, Rule]
Position = Literal["first", "last", "first and last", ""]


@dataclass(frozen=True)
class Window:
    """What one output position of a 1d convolution reads: inputs from ``j * stride - padding`` on.

    Attributes
    ----------
    kernel, stride, padding, dilation : int
        In positions of the layer's input; padding is that on the left.
    """

    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def width(self) -> int:
        """How many positions of the input the window spans."""
        return self.dilation * (self.kernel - 1) + 1


@dataclass(frozen=True)
class LayerInfo:
    """A conv or linear layer of a plan.

    Attributes
    ----------
    path : str
        Module path.
    op : str
        Operation, such as ``conv1d``.
    position : {"first", "last", "first and last", ""}
        First: reads the explained input itself. Last: no other conv or linear layer comes after it.
    shape : tuple of (int or None)
        Of its output, None for sizes that vary.
    rule : str
        Its rule.
    window : Window or None
        What one output position reads; None but for 1d convolutions.
    """

    path: str
    op: str
    position: Position
    shape: tuple[int | None, ...]
    rule: str
    window: Window | None


def composite(
    name: str, *, low: float | Tensor = 0.0, high: float | Tensor = 1.0, gamma: float = 0.25
) -> Rule | dict[str, Rule]:
    """Return a named assignment of rules to layers.

    Parameters
    ----------
    name : str
        A key of `COMPOSITES`.
    low, high : float or Tensor
        Bounds of the input under z-box; 0 and 1 for one-hot input.
    gamma : float
        Where the composite uses the gamma rule.

    Raises
    ------
    SeqplrpError
        Where the name is unknown.

    Notes
    -----
    ``epsilon``, ``gamma`` and ``relative`` are that rule everywhere. ``default``: what `PLRP` uses unless told
    otherwise, the conserving relative rule at the first layers and gamma at all others (ours; docs/benchmark.md).
    The others have epsilon at linear layers, and at convolutions what follows it in the name: z+ for ``plus``,
    alpha-beta(2, 1), gamma; ``box`` and ``flat`` are the rule of the first layers, z-box and flat. Sources: Montavon et
    al. 2019 (gamma and box), Lapuschkin et al. 2019 and Kohlbrenner et al. 2020 (plus, alpha-beta and flat).
    """
    if name not in COMPOSITES:
        raise SeqplrpError("rule", f"{name!r} is no composite", f"use one of {', '.join(COMPOSITES)}, or a rule")
    if name == "epsilon":
        return Epsilon()
    if name == "gamma":
        return Gamma(gamma)
    if name == "default":
        return {"@first": ConservingRelative(), "*": Gamma(gamma)}
    if name == "relative":
        return Relative()
    rules: dict[str, Rule] = {}
    if name.endswith("-box"):
        rules["@first"] = ZBox(low, high)
    if name.endswith("-flat"):
        rules["@first"] = Flat()
    rules["@conv"] = Gamma(gamma) if "gamma" in name else AlphaBeta(2, 1) if "alpha" in name else ZPlus()
    return {**rules, "*": Epsilon()}


COMPOSITES = (
    "epsilon",
    "epsilon-plus",
    "epsilon-plus-box",
    "epsilon-plus-flat",
    "epsilon-alpha2-beta1",
    "epsilon-alpha2-beta1-box",
    "epsilon-alpha2-beta1-flat",
    "epsilon-gamma-box",
    "gamma",
    "relative",
    "default",
)
"""The names that `composite` knows."""


def layers_of(graph: Graph, steps: Sequence[Step], input_like: frozenset[str]) -> dict[str, LayerInfo]:
    """Describe every conv and linear layer, by the name of its output's value."""
    before_layer: set[str] = set()  # values from which a layer is reached
    last: set[str] = set()
    for step in reversed(steps):
        if isinstance(step.handler, LinearHandler) and step.output not in before_layer:
            last.add(step.output)
        if isinstance(step.handler, LinearHandler) or step.output in before_layer:
            before_layer.update(step.inputs)
    found = {}
    for step in steps:
        if not isinstance(step.handler, LinearHandler):
            continue
        is_first = step.inputs[0] in input_like
        position: Position = "first" if is_first else ""
        if step.output in last:
            position = "first and last" if is_first else "last"
        rule = "" if step.extra.rule is None else repr(step.extra.rule)
        found[step.output] = LayerInfo(step.path, step.op, position, step.node.shape or (), rule, _window(step))
    return found


def _window(step: Step) -> Window | None:
    if not isinstance(step.handler, Convolution) or step.extra.weight.dim() != 3:
        return None
    conv = step.handler.geometry(step)
    return Window(step.extra.weight.shape[2], conv.stride[0], conv.padding[0], conv.dilation[0])


def place_rules(steps: Sequence[Step], layers: Mapping[str, LayerInfo], rules: Rules | None) -> None:
    """Give every conv and linear layer its rule, and work out the rule's branches from the layer's weights.

    Raises
    ------
    SeqplrpError
        Where a mapping leaves a layer out, one of its keys names no layer, or something is no rule.
    """
    if isinstance(rules, str):
        rules = composite(rules)
    for key in rules if isinstance(rules, Mapping) else ():
        if not isinstance(key, str):
            raise SeqplrpError(f"rule pattern {key!r}", "is no text", "give a module path, '@first' or '*', say")
    for step in steps:
        if step.output not in layers:
            continue
        rule = _rule_of(step, layers[step.output], Epsilon() if rules is None else rules)
        layer = step.extra
        step.extra = replace(layer, rule=rule, branches=rule.branches(layer.weight, layer.bias))
    if isinstance(rules, Mapping):
        for key in rules:
            if not any(_matches(key, step, layers[step.output]) for step in steps if step.output in layers):
                known = ", ".join(dict.fromkeys(f"{layer.path} ({layer.op})" for layer in layers.values()))
                if key in ("@conv", "@first", "@last", "@linear", "*"):
                    continue  # a composite serves nets that have none
                raise SeqplrpError(f"rule pattern {key!r}", "matches no layer", f"the layers are {known}")


def _rule_of(step: Step, layer: LayerInfo, rules: Rule | Mapping[str, Rule]) -> Rule:
    rule: object = rules
    if isinstance(rules, Mapping):
        key = next((key for key in rules if _matches(key, step, layer)), None)
        if key is None:
            raise SeqplrpError(
                f"rule for {layer.path}",
                "no pattern of the mapping matches this layer",
                "add a '*' pattern for the rest",
            )
        rule = rules[key]
    if not isinstance(rule, Rule) or isinstance(rule, type):
        raise SeqplrpError(
            f"rule for {layer.path}", f"{rule!r} is no rule", "use one of seqplrp's rules, such as sp.Gamma(0.25)"
        )
    return rule


def _matches(key: str, step: Step, layer: LayerInfo) -> bool:
    """Say whether a key means a layer: a path, or ``@first``, ``@last``, ``@conv``, ``@linear``, ``@op``."""
    if not key.startswith("@"):
        return fnmatchcase(layer.path, key)
    name = key[1:]
    if name in ("first", "last"):
        return name in layer.position
    if name in ("conv", "linear") and name != layer.op:
        return ("conv" in layer.op) == (name == "conv")
    return name == layer.op
