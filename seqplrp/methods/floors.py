"""What any method must beat: a map that knows nothing of the model."""

from __future__ import annotations

from dataclasses import dataclass

from seqplrp.methods.base import Attribution, Batch, Method, Prepared
from seqplrp.methods.draws import generators_of, normal_like
from seqplrp.methods.gradients import plan_scores
from seqplrp.methods.settings import check_seed


@dataclass(frozen=True, kw_only=True)
class Random(Method):
    """Independent standard normal contributions: the floor of every comparison.

    Parameters
    ----------
    seed : int
        With it a sequence always gets the same map, whatever else is in the batch.
    center, reverse_complement
        See `Method`.

    Notes
    -----
    The map depends on the sequence and the seed alone: it is the same for every model and every output.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed)

    @property
    def notes(self) -> tuple[str, ...]:
        return ("random: the map knows nothing of the model",)

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        drawn = normal_like(batch.x, generators_of(batch.x, self.seed))
        return [Attribution(batch.x * drawn, drawn, score, target) for score, target in plan_scores(prepared, batch)]
