"""What the defaults that are written None, or as a name, stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from seqplrp.lrp import DEFAULT_BUDGET
from seqplrp.methods.base import Method
from seqplrp.methods.names import resolve_method
from seqplrp.methods.pruned_network import SPARSITY, NeuronMCT
from seqplrp.methods.relevance import LRP, PLRP
from seqplrp.methods.wrapping import Around


def settled(method: str | Method) -> Method:
    """Return a method that does the same, with what it falls back on written out.

    A composite's name becomes its rules with their parameters, and the shares that are pruned unless others are given
    become numbers. Its repr says what was done even where a later version has other defaults.

    Parameters
    ----------
    method : str or Method
        As `seqplrp.explain` takes it.

    Examples
    --------
    >>> import seqplrp as sp
    >>> sp.methods.settled("plrp").budget
    0.5
    """
    chosen = resolve_method(method)
    fields: dict[str, Any] = {}
    if isinstance(chosen, LRP):
        fields["rule"] = chosen.rules()
    if isinstance(chosen, PLRP):
        if chosen.p is None and chosen.budget is None:
            fields["budget"] = DEFAULT_BUDGET
        if chosen.p_neg is None and isinstance(chosen.p, int | float):
            fields["p_neg"] = chosen.p / 2
    if isinstance(chosen, NeuronMCT) and chosen.sparsity is None and chosen.max_change is None:
        fields["sparsity"] = SPARSITY
    if isinstance(chosen, Around):
        fields["over"] = settled(chosen.inner)
    return replace(chosen, **fields)
