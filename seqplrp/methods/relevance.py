"""Layer-wise relevance propagation, plain and pruned, on our engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import nn

from seqplrp.lrp import (
    COMPOSITES,
    AttentionWeights,
    Epsilon,
    Graph,
    Plan,
    Pruning,
    Relative,
    Rule,
    composite,
    make_plan,
    output_of,
    propagate,
    run_forward,
    start_at,
)
from seqplrp.methods.base import Attribution, Batch, Method, Prepared, Rules, chosen_of, score_of
from seqplrp.methods.settings import check_choice


def turns_with_score(plan: Plan) -> bool:
    """Say whether the layers that make the score are under the relative rule.

    It divides by no z, so signs turn with the relevance that arrives: of a negative score, evidence for it is negative.
    """
    made_by = {step.output: step for step in plan.steps}
    ahead, rules = [plan.graph.output], []
    while ahead:
        step = made_by.get(ahead.pop())
        rule = None if step is None else getattr(step.extra, "rule", None)
        if rule is not None:
            rules.append(rule)
        elif step is not None:
            ahead.extend(step.inputs)
    return bool(rules) and all(isinstance(rule, Relative) for rule in rules)


def ways_back(plan: Plan, batch: Batch, prunings: Sequence[Pruning | None]) -> list[Attribution]:
    """Propagate relevance from each of a batch's targets, with the pruning at its place, from one forward pass."""
    found, turned = [], turns_with_score(plan)
    with torch.inference_mode():
        run = run_forward(plan, batch.x, batch.others)
        output = output_of(plan, run)
        for number, (asked, pruning) in enumerate(zip(batch.targets, prunings, strict=True), start=1):
            target = chosen_of(output, asked)
            start = start_at(output, target)
            is_last = number == len(batch.targets)
            result = propagate(plan, run, start, pruning, layers=batch.layers, free=is_last)
            found.append(
                Attribution(
                    result.relevance,
                    result.coefficient,
                    score_of(start, target),
                    target,
                    result.ledger,
                    result.layers,
                    turned=turned,
                )
            )
    return found


@dataclass(frozen=True, kw_only=True)
class LRP(Method):
    """Layer-wise relevance propagation.

    Parameters
    ----------
    rule : Rule, str or mapping
        One rule for every conv and linear layer; the name of a composite (`seqplrp.lrp.composite`) or of a rule, as
        commands take it (``"zplus"``, ``"gamma(0.5)"``, a plug-in's); or a mapping to rules from module-path patterns,
        ``@first``, ``@last``, ``@conv``, ``@linear`` or ``@op``, the first that matches a layer serving.
    attention : {"constant", "attnlrp"}
        Whether attention weights are held constant, or share in the relevance by the rules of AttnLRP (Achtibat et al.
        2024).
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Source: Bach et al. 2015; the rules are those of METHODS.md, section 2. With ``rule=Relative()`` it is R-LRP (Nyiri
    and Gibaru, arXiv 2501.14322).
    """

    rule: Rules = field(default_factory=Epsilon)
    attention: AttentionWeights = "constant"

    gives_layers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("attention", self.attention, ("constant", "attnlrp"))
        self.rules()  # a name that is none shows here

    @property
    def keeps_size(self) -> bool:
        """Whether the map's size is the output's; not so under the relative rule."""
        placed = self.rules()
        rules = placed.values() if isinstance(placed, Mapping) else (placed,)
        return not any(isinstance(rule, Relative) for rule in rules)

    @property
    def pruning(self) -> Pruning | None:
        """The pruning; None in plain LRP."""
        return None

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> Prepared:
        return Prepared(model, graph, make_plan(graph, model, self.rules(), device, attention=self.attention))

    def rules(self) -> Rule | Mapping[str, Rule]:
        if not isinstance(self.rule, str):
            return self.rule
        if self.rule in COMPOSITES:
            return composite(self.rule)
        from seqplrp.methods.names import parse_rule  # which knows this class

        found = parse_rule(self.rule)
        return composite(found) if isinstance(found, str) else found

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        return ways_back(prepared.plan, batch, [self.pruning] * len(batch.targets))


@dataclass(frozen=True, kw_only=True)
class PLRP(LRP):
    """Pruned layer-wise relevance propagation.

    Small relevances are pruned at every activation that feeds a conv or a linear layer, for each input anew, and their
    mass is given to what remains, so explanations are sparse and still add up.

    Parameters
    ----------
    rule, attention
        As in `LRP`; unless given the composite ``default``: the conserving relative rule at the first layers, gamma
        (0.25) at all others.
    p, budget, p_neg, mode, threshold, gain, tau, prune_input
        See `seqplrp.lrp.Pruning`; a budget of 0.5 where neither p nor budget is given.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Our implementation of PLRP (Yanez Sarmiento, Witzke, Klein and Renard, arXiv 2404.14271), reconstructed from
    secondary sources; METHODS.md, section 3.
    """

    rule: Rules = "default"
    p: float | Mapping[str, float] | None = None
    budget: float | None = None
    p_neg: float | None = None
    mode: Literal["lambda", "matrix"] = "lambda"
    threshold: Literal["mass", "gain"] = "mass"
    gain: float = 1.0
    tau: float = 0.2
    prune_input: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        assert self.pruning is not None  # building it checks every value

    def without_pruning(self) -> LRP:
        """Return the same map without its pruning."""
        return LRP(
            rule=self.rule,
            attention=self.attention,
            center=self.center,
            reverse_complement=self.reverse_complement,
        )

    def prepare(self, model: nn.Module, graph: Graph, device: torch.device | None) -> Prepared:
        prepared = super().prepare(model, graph, device)
        assert self.pruning is not None
        prepared.plan.check(self.pruning)
        return prepared

    @property
    def pruning(self) -> Pruning | None:
        """The pruning that these fields set."""
        return Pruning(
            p=self.p,
            budget=self.budget,
            p_neg=self.p_neg,
            mode=self.mode,
            threshold=self.threshold,
            gain=self.gain,
            tau=self.tau,
            prune_input=self.prune_input,
        )
