"""SmoothGrad: the mean over noisy copies of the input, of any method."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqplrp.methods.base import Attribution, Batch, Prepared
from seqplrp.methods.draws import generators_of, normal_like
from seqplrp.methods.gradients import check_continuous, plan_scores
from seqplrp.methods.maps import per_map, scaled, sign_of
from seqplrp.methods.settings import check_count, check_number, check_seed
from seqplrp.methods.wrapping import Around, Mean


@dataclass(frozen=True, kw_only=True)
class SmoothGrad(Around):
    """The mean of a method's maps over copies of the input with noise added.

    Independent Gaussian noise is added to every channel at every position: to the 1 of the base that is present, to the
    0s of the others, and to the columns of unknown bases. So the network sees no one-hot input, but what the published
    method has it see. The mean is of the hypothetical contributions, which are read out at the clean input; of a method
    that has none, it is of the maps themselves.

    Parameters
    ----------
    over : Method or str
        What is averaged; gradient x input unless given. See `Around`.
    sigma : float
        The noise's standard deviation as a share of the input's range, ``max x - min x`` of each sequence; that is 1
        for one-hot DNA.
    draws : int
        How many noisy copies.
    seed : int
        With it, a sequence's noise is always the same, whatever else is in the batch.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    Source: Smilkov et al., arXiv 1706.03825: sigma of 10 % to 20 %, 50 copies. The score and the output that is
    explained are those of the clean input. There is no ledger.
    """

    sigma: float = 0.15
    draws: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("sigma", self.sigma, 0)
        check_count("draws", self.draws)
        check_seed(self.seed)

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.inner.notes, f"mean over {self.draws} noisy inputs: the map does not sum to the score")

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        check_continuous(batch.x, self)
        scores = plan_scores(prepared, batch)
        asked = replace(batch, targets=[target for _, target in scores], layers=())
        generators, scale = generators_of(batch.x, self.seed), self.sigma * _range(batch.x)
        means = [Mean() for _ in scores]
        for _ in range(self.draws):
            noisy = torch.addcmul(batch.x, scale, normal_like(batch.x, generators))
            every = self.inner.attribute(prepared, replace(asked, x=noisy))
            for mean, found, (score, _) in zip(means, every, scores, strict=True):
                mean.add(scaled(found, sign_of(found, score)))
        return [_read_out(batch.x, mean, *score) for mean, score in zip(means, scores, strict=True)]


def _range(x: Tensor) -> Tensor:
    """Return max - min of each input, in a shape that multiplies it."""
    flat = x.flatten(1)
    return per_map(flat.amax(1) - flat.amin(1), x)


def _read_out(x: Tensor, mean: Mean, score: Tensor, target: Tensor | None) -> Attribution:
    hypothetical = mean.of_hypothetical()
    relevance = mean.of_relevance() if hypothetical is None else x * hypothetical
    return Attribution(relevance, hypothetical, score, target, notes=tuple(mean.notes), turned=mean.turned)
