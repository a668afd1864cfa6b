"""Several models, folds or seeds say, explained together: their mean and their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.methods.base import Attribution
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.maps import averaged, per_map, weights_of


@dataclass(frozen=True, repr=False)
class EnsembleExplanation(Explanation):
    """The mean over several models' explanations of the same inputs.

    Attributes
    ----------
    members : tuple of Explanation
        Each model's own, in the order given.

    Notes
    -----
    The ledger has every member's rows, told apart by the column `member`. Maps whose size means nothing (relative LRP)
    are brought to one size before they are averaged; the spread is that of the maps so scaled.
    """

    members: tuple[Explanation, ...] = field(default=(), repr=False)
    _scaled: tuple[Tensor, ...] = field(default=(), repr=False)

    @property
    def relevance_spread(self) -> Tensor:
        """(N, 4, L) standard deviation over the members (n - 1 in the denominator); 0 where there is one member."""
        return _spread(self._scaled)

    @property
    def per_base_spread(self) -> Tensor:
        """(N, L) standard deviation over the members of each position's relevance."""
        return _spread([relevance.sum(1) for relevance in self._scaled])

    @property
    def output_spread(self) -> Tensor:
        """(N,) standard deviation over the members of the explained score."""
        return _spread([member.output for member in self.members])


def _spread(values: Sequence[Tensor]) -> Tensor:
    stacked = torch.stack(list(values))
    return stacked.std(0) if len(stacked) > 1 else torch.zeros_like(stacked[0])


def together(members: Sequence[Explanation]) -> EnsembleExplanation:
    """Average explanations of the same inputs by several models.

    Raises
    ------
    SeqplrpError
        Where the members do not explain the same output of each sequence.
    """
    first = members[0]
    for place, member in enumerate(members[1:], start=1):
        if not _same(first.target, member.target):
            raise SeqplrpError(
                "target",
                f"models 0 and {place} explain different outputs of a sequence",
                "give an index, not 'predicted'",
            )
    found = [_as_attribution(member) for member in members]
    keeps_size = first.method.keeps_size
    relevance, hypothetical, output = averaged(found, keeps_size=keeps_size)
    maps = [one.relevance for one in found]
    weights = weights_of(found, keeps_size=keeps_size)
    scaled = tuple(m if keeps_size else m * per_map(w, m) for w, m in zip(weights, maps, strict=True))
    accounts = tuple(
        replace(account, labels={**account.labels, "member": place})
        for place, member in enumerate(members)
        for account in member._accounts
    )
    notes = tuple(dict.fromkeys(note for member in members for note in member.notes))
    return EnsembleExplanation(
        relevance=relevance,
        output=output,
        target=first.target,
        method=first.method,
        notes=(f"mean over {len(members)} models", *notes),
        layers=_mean_layers(members),
        strand_consistency=_mean_consistency(members),
        members=tuple(members),
        _scaled=scaled,
        _hypothetical=hypothetical,
        _accounts=accounts,
        _turned=first._turned and len(members) == 1,
        _obstacle=next((member._obstacle for member in members if not member.has_hypothetical), None),
    )


def _mean_consistency(members: Sequence[Explanation]) -> Tensor | None:
    found = [member.strand_consistency for member in members if member.strand_consistency is not None]
    return torch.stack(found).mean(0) if len(found) == len(members) else None


def _as_attribution(member: Explanation) -> Attribution:
    hypothetical = member.hypothetical if member.has_hypothetical else None
    return Attribution(member.relevance, hypothetical, member.output, turned=member._turned)


def _same(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


def _mean_layers(members: Sequence[Explanation]) -> dict[str, Tensor]:
    """Average relevance at layers, which every member was asked for by the same names."""
    return {name: torch.stack([member.layers[name] for member in members]).mean(0) for name in members[0].layers}
