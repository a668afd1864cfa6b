"""What a method says of shuffled copies of a sequence, subtracted from what it says of the sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from seqplrp.lrp import obstacle_to_coefficients
from seqplrp.methods.base import Attribution, Batch, Prepared
from seqplrp.methods.explanation import no_hypothetical
from seqplrp.methods.maps import brought_to
from seqplrp.methods.references import References, check_drawing, check_one_hot, drawn, shown
from seqplrp.methods.settings import check_choice
from seqplrp.methods.wrapping import Around, Mean

By = Literal["base", "position"]


@dataclass(frozen=True, kw_only=True)
class Background(Around):
    """A method's map less its mean over references of the same sequence.

    Parameters
    ----------
    over : Method or str
        The method; see `Around`.
    n_shuffles : int
        How many references each sequence has.
    by : {"base", "position"}
        What is subtracted from the hypothetical contributions c(x) of the four bases at a position. "base": the mean c
        of the references there, base by base: what a base contributes at this place in a random context. "position":
        the mean relevance of the references there, the same for all four bases: what any base of a random sequence has
        at this place; then the map's sum is the score less the references' mean score, for a method whose maps sum to
        the score, and the references' columns of unknown bases stand where the sequence's do.
    references : callable, optional
        From (x, n, seed) to one-hot references (N, n, 4, L), `seqplrp.shuffled_references` say; tangermeme's
        dinucleotide shuffles unless given, for which the extra `peers` is needed.
    seed : int
        Seeds the references.
    center, reverse_complement
        See `Method`. Centring follows the subtraction.

    Notes
    -----
    Ours. Relevance stays the input times the hypothetical contributions, exactly. Maps whose size means nothing
    (relative LRP) are brought to the size and sign of the sequence's own before their mean is taken. Centring takes a
    background by position away again, as it is the same for all bases. It costs 1 + `n_shuffles` runs of the method.
    There is no ledger.
    """

    n_shuffles: int = 20
    by: By = "base"
    references: References | None = None
    seed: int = 0

    __repr__ = shown

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("by", self.by, ("base", "position"))
        check_drawing(self.n_shuffles, self.references, self.seed)

    @property
    def notes(self) -> tuple[str, ...]:
        note = f"background of {self.n_shuffles} shuffles subtracted: the map does not sum to the score"
        if self.by == "position" and self.center is None:
            note += ", but, where the method's own does, to the score less its mean over the shuffles"
        return (*self.inner.notes, note)

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        check_one_hot(batch.x, self)
        plain = self.inner.attribute(prepared, replace(batch, layers=()))
        if any(found.hypothetical is None for found in plain):
            raise no_hypothetical("over", self.inner, obstacle_to_coefficients(prepared.plan))
        references = drawn(self.references, batch.x, self.n_shuffles, self.seed)
        asked = replace(batch, targets=[found.target for found in plain], layers=())
        means = [Mean() for _ in plain]
        for reference in references.unbind(1):
            copies = replace(asked, x=reference.contiguous())
            for mean, found, own in zip(means, self.inner.attribute(prepared, copies), plain, strict=True):
                mean.add(found if self.keeps_size else brought_to(own, found))
        return [self._less(found, mean, batch.x) for found, mean in zip(plain, means, strict=True)]

    def _less(self, found: Attribution, mean: Mean, x: Tensor) -> Attribution:
        expected = mean.of_hypothetical() if self.by == "base" else mean.of_relevance().sum(1, keepdim=True)
        assert found.hypothetical is not None
        assert expected is not None
        hypothetical = found.hypothetical - expected
        notes = tuple(dict.fromkeys((*found.notes, *mean.notes)))
        return replace(
            found, relevance=x * hypothetical, hypothetical=hypothetical, ledger=None, layers={}, notes=notes
        )
