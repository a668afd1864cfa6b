"""What an explanation is, for the user who holds one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch
from torch import Tensor

from seqplrp.display import shown
from seqplrp.errors import SeqplrpError
from seqplrp.lrp import NUMBERS, Ledger, Obstacle
from seqplrp.methods.base import Method

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Explanation:
    """The relevance of every input for one score a sequence.

    Attributes
    ----------
    relevance : Tensor
        (N, 4, L), in the units of the score and the dtype of the input; 0 at bases that are not present.
    output : Tensor
        (N,) the explained score before a closing sigmoid or softmax; the mean of both strands' scores where the method
        averages both.
    target : Tensor or None
        (N,) the index of the explained output; None where the model has one output, or the target is a callable.
    method : Method
        What was asked for, centring included.
    notes : tuple of str
        What a reader of the map must know: a closing activation that was left out, negative scores, sums that changed.
    layers : dict of str to Tensor
        Relevance (N, ...) at the outputs of the modules that were asked for, pruned where it is pruned there.
    strand_consistency : Tensor or None
        (N,) where the method averages both strands: the cosine between the per-base maps of the two, 1 where they
        agree, NaN where one of them is all zero. With several models the mean over them.
    """

    relevance: Tensor
    output: Tensor
    target: Tensor | None
    method: Method
    notes: tuple[str, ...] = ()
    layers: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    strand_consistency: Tensor | None = field(default=None, repr=False, kw_only=True)
    _hypothetical: Tensor | None = field(default=None, repr=False)
    _accounts: tuple[Account, ...] = field(default=(), repr=False)
    _turned: bool = field(default=False, repr=False)
    _obstacle: Obstacle | None = field(default=None, repr=False)

    @property
    def hypothetical(self) -> Tensor:
        """(N, 4, L) contributions of all four bases at each position; ``relevance`` is the input times these.

        Raises
        ------
        SeqplrpError
            Where there are none: the first-layer rules flat, w-square and z-box have none, nor has an operation that is
            no layer, a maximum say, that the input passes first.
        """
        if self._hypothetical is None:
            raise no_hypothetical("hypothetical", self.method, self._obstacle)
        return self._hypothetical

    @property
    def has_hypothetical(self) -> bool:
        """Whether the method gives hypothetical contributions."""
        return self._hypothetical is not None

    @property
    def per_base(self) -> Tensor:
        """(N, L) relevance of each position: the sum over its bases."""
        return self.relevance.sum(1)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """Every layer's account, one row a sequence and layer, from the output down; see `seqplrp.lrp.NUMBERS`.

        With both strands averaged, the column `strand` tells them apart; with several models, `member`.
        """
        frames = [pd.DataFrame(account.table()) for account in self._accounts]
        if not frames:
            return pd.DataFrame(columns=["sequence", "layer", "op", "rule", *NUMBERS])
        return pd.concat(frames, ignore_index=True)

    def check(self, tolerance: float | None = None) -> None:
        """Raise where a layer's ledger leaves more unexplained than a share of its |relevance|.

        Parameters
        ----------
        tolerance : float, optional
            1e-5 in float32 and 1e-12 in float64 unless given.

        Raises
        ------
        SeqplrpError
            Where it does, or the method keeps no ledger.
        """
        if not self._accounts:
            raise SeqplrpError("check", f"{self.method!r} keeps no ledger", "use LRP or PLRP")
        if tolerance is None:
            tolerance = 1e-12 if self.relevance.dtype == torch.float64 else 1e-5
        for account in self._accounts:
            worst = account.ledger.largest_unexplained()
            if worst is not None and not worst.share <= tolerance:  # nor is NaN
                raise SeqplrpError(
                    f"layer {worst.layer} ({worst.op}), sequence {account.first + worst.sample}",
                    f"the ledger leaves {worst.share:.2g} of the layer's |relevance| unexplained, above {tolerance:g}",
                    "explain in float64; if that does not help, report the model",
                )

    def logo(
        self, index: int = 0, *, start: int | None = None, end: int | None = None, hypothetical: bool = False
    ) -> Figure:
        """Draw one sequence's logo.

        Parameters
        ----------
        index : int
            Which sequence; from the end where it is negative.
        start, end : int, optional
            The stretch to draw, 0-based and half-open; the whole sequence unless given.
        hypothetical : bool
            Whether to draw what each of the four bases would contribute, rather than the bases that are there.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; `seqplrp.plot.save_figure` writes it.

        Raises
        ------
        SeqplrpError
            Where it is no explanation of DNA, has no such sequence or stretch, or no hypothetical contributions.
        """
        figure: Figure = shown("logo", self, index, start=start, end=end, hypothetical=hypothetical)
        return figure

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the method, how relevance adds up, and the first sequences' logos."""
        page: str = shown("html", self)
        return page

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.relevance)

    def __repr__(self) -> str:
        shape = ", ".join(map(str, self.relevance.shape))
        lines = [f"Explanation of {len(self)} inputs, relevance ({shape}) by {self.method!r}"]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def no_hypothetical(where: str, method: Method, obstacle: Obstacle | None) -> SeqplrpError:
    """Return the error that says why there are no hypothetical contributions, and what to do."""
    if obstacle is None:
        return SeqplrpError(where, f"{method!r} gives no hypothetical contributions", "use its relevance")
    if obstacle.rule is not None:
        return SeqplrpError(
            where,
            f"there are no hypothetical contributions, as under {obstacle.rule} the first layer's ({obstacle.path}) "
            "share is not the input times something",
            "use the epsilon, gamma, zplus, alphabeta or relative rule at the first layer",
        )
    return SeqplrpError(
        where,
        f"there are no hypothetical contributions, as the input passes {obstacle.op} ({obstacle.path}), which under "
        "any rule hands it relevance as it is, not the input times something",
        "explain a model that starts behind it (a relu leaves one-hot input as it is), or use relevance alone",
    )


@dataclass(frozen=True)
class Account:
    """The ledger of one batch: how many sequences, which is the first, and what tells it from others (its strand)."""

    ledger: Ledger
    n: int
    first: int
    labels: Mapping[str, object] = field(default_factory=dict)

    def table(self) -> dict[str, object]:
        """Return the ledger by columns."""
        return {**self.ledger.columns(self.n, self.first), **self.labels}


def joined(parts: Sequence[Explanation]) -> Explanation:
    """Put the explanations of successive batches together."""
    first = parts[0]
    if len(parts) == 1:
        return first
    together: dict[str, Any] = {
        "relevance": torch.cat([part.relevance for part in parts]),
        "output": torch.cat([part.output for part in parts]),
        "target": None if first.target is None else torch.cat([p.target for p in parts if p.target is not None]),
        "_hypothetical": torch.cat([part.hypothetical for part in parts]) if first.has_hypothetical else None,
        "layers": {name: torch.cat([part.layers[name] for part in parts]) for name in first.layers},
        "_accounts": tuple(account for part in parts for account in part._accounts),
        "strand_consistency": _joined_or_none([part.strand_consistency for part in parts]),
    }
    notes = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    return Explanation(method=first.method, notes=notes, _turned=first._turned, _obstacle=first._obstacle, **together)


def _joined_or_none(parts: Sequence[Tensor | None]) -> Tensor | None:
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None
