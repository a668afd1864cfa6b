"""Layer-wise relevance propagation, plain and pruned, on our engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqplrp.lrp import Epsilon, Gamma, Graph, Pruning, Relative, Rule, output_of, propagate, run_forward, start_at
from seqplrp.methods.base import Attribution, Method, Prepared


@dataclass(frozen=True, kw_only=True)
class LRP(Method):
    """Layer-wise relevance propagation.

    Parameters
    ----------
    rule : Rule or mapping
        One rule for every conv and linear layer, or a mapping from module-path patterns to rules.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Source: Bach et al. 2015; the rules are those of METHODS.md, section 2. With ``rule=Relative()`` it is R-LRP (Nyiri
    and Gibaru, arXiv 2501.14322).
    """

    rule: Rule | Mapping[str, Rule] = field(default_factory=Epsilon)

    @property
    def keeps_size(self) -> bool:  # type: ignore[override]
        """Whether the map's size is the output's; not so under the relative rule."""
        rules = self.rule.values() if isinstance(self.rule, Mapping) else (self.rule,)
        return not any(isinstance(rule, Relative) for rule in rules)

    @property
    def pruning(self) -> Pruning | None:
        """The pruning; None in plain LRP."""
        return None

    def rules(self) -> Any:
        return self.rule

    def attribute(self, prepared: Prepared, x: Tensor, target: Tensor | None) -> Attribution:
        with torch.inference_mode():
            run = run_forward(prepared.plan, x)
            start = start_at(output_of(prepared.plan, run), target)
            result = propagate(prepared.plan, run, start, self.pruning)
            score = start if target is None else start.gather(1, target.unsqueeze(1))
        return Attribution(result.relevance, result.coefficient, score.reshape(len(x)), result.ledger)


@dataclass(frozen=True, kw_only=True)
class PLRP(LRP):
    """Pruned layer-wise relevance propagation.

    Small relevances are pruned at every activation that feeds a conv or a linear layer, for each input anew, and their
    mass is given to what remains, so explanations are sparse and still add up.

    Parameters
    ----------
    rule : Rule or mapping
        As in `LRP`; gamma (0.25) unless given.
    p, budget, p_neg, mode, threshold, gain, tau, prune_input
        See `seqplrp.lrp.Pruning`; p = 0.5 where neither p nor budget is given.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Our implementation of PLRP (Yanez Sarmiento, Witzke, Klein and Renard, arXiv 2404.14271), reconstructed from
    secondary sources; METHODS.md, section 3.
    """

    rule: Rule | Mapping[str, Rule] = field(default_factory=Gamma)
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
