"""The ledger: where every layer's relevance went, per sequence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from seqplrp.lrp.batch import BatchAxis, by_sample

NUMBERS = (
    "relevance_out",
    "relevance_in",
    "bias",
    "stabiliser",
    "fixed_inputs",
    "residue",
    "unexplained",
    "size",
    "size_in",
    "scale",
    "pruned",
    "lambda",
    "lambda_pos",
    "lambda_neg",
    "kept_share",
    "kept_mass",
    "guarded",
)
"""The ledger's numeric columns, each one number a sequence; a column that does not apply to a row is NaN.

relevance_out, relevance_in
    Sum of the relevance that arrived at the layer's output, and of what it handed on to its inputs.
bias, stabiliser
    What the bias and the stabiliser of the denominators took.
fixed_inputs
    What fell on the model's further inputs, which are held fixed.
residue
    What a pruning step lost or gained in sum (0 in exact arithmetic, except where tau = 0 leaves out the scaling).
unexplained
    relevance_out - relevance_in - bias - stabiliser - fixed_inputs - residue; NaN where completeness is not claimed
    (relative).
size
    Sum of |relevance| at the layer's output: what `unexplained` is to be measured against.
size_in
    The same at its inputs, where the layer has few outputs (at most 64 a sequence): one score may be a small difference
    of large numbers, whose rounding no score's size can tell, so `unexplained` is measured against the larger of the
    two. NaN elsewhere, where it would cost a look at every input to learn little.
scale
    The constant C of the relative rule.
pruned
    Sum of |relevance| of the units that were pruned.
lambda, lambda_pos, lambda_neg
    Factor on what was kept: of all |relevance|, of the positive, of the negative entries.
kept_share, kept_mass
    Share of the nonzero units that were kept, and of the |relevance| they held before the scaling.
guarded
    Matrix mode: how many outputs that carry relevance kept their own denominator, because the kept inputs' part of it
    was below tau.
"""


@dataclass(frozen=True)
class LedgerRow:
    """One layer's account for one batch; ``numbers`` holds a (N,) tensor a column."""

    layer: str
    op: str
    rule: str
    numbers: dict[str, Tensor]


@dataclass
class Ledger:
    """The rows of one backward pass, from the output down to the input."""

    rows: list[LedgerRow] = field(default_factory=list)

    def add(self, layer: str, op: str, rule: str, **numbers: Tensor) -> None:
        """Append a row; what is unexplained is worked out here, so that no step can leave it out."""
        if "relevance_out" in numbers and rule != "Relative":
            explained = numbers["relevance_in"]
            for column in ("bias", "stabiliser", "fixed_inputs", "residue"):
                if column in numbers:
                    explained = explained + numbers[column]
            numbers["unexplained"] = numbers["relevance_out"] - explained
        self.rows.append(LedgerRow(layer, op, rule, numbers))

    def columns(self, batch: int, first_sequence: int = 0) -> dict[str, object]:
        """Return the table by columns, one row a layer and sequence, sequences outermost.

        Parameters
        ----------
        batch : int
            Number of sequences.
        first_sequence : int
            Index of the first sequence in the caller's numbering.
        """
        table: dict[str, object] = {
            "sequence": torch.arange(first_sequence, first_sequence + batch).repeat_interleave(len(self.rows)).numpy(),
            "layer": [row.layer for row in self.rows] * batch,
            "op": [row.op for row in self.rows] * batch,
            "rule": [row.rule for row in self.rows] * batch,
        }
        nan = torch.full((batch,), torch.nan, dtype=torch.float64)
        for name in NUMBERS:
            columns = [
                row.numbers[name].to("cpu", torch.float64).expand(batch) if name in row.numbers else nan
                for row in self.rows
            ]
            table[name] = (torch.stack(columns, dim=1).reshape(-1) if columns else nan[:0]).numpy()
        return table

    def first(self, n: int) -> Ledger:
        """Return the account of the first n sequences alone."""
        return Ledger(
            [
                replace(row, numbers={key: v[:n] if v.dim() else v for key, v in row.numbers.items()})
                for row in self.rows
            ]
        )

    def largest_unexplained(self) -> Unexplained | None:
        """Return where the largest share of a layer's |relevance| is unexplained; None where nothing is claimed."""
        worst = None
        for row in self.rows:
            if "unexplained" not in row.numbers or "size" not in row.numbers:
                continue
            size = row.numbers["size"]
            if "size_in" in row.numbers:
                size = torch.maximum(size, row.numbers["size_in"])
            share = row.numbers["unexplained"].abs() / torch.where(size > 0, size, 1.0)
            sample = int(share.argmax())
            is_worse = worst is None or not (math.isnan(worst.share) or float(share[sample]) <= worst.share)
            if is_worse:  # NaN is the worst of all
                worst = Unexplained(row.layer, row.op, sample, float(share[sample]))
        return worst


@dataclass(frozen=True)
class Unexplained:
    """A layer and sample, and the share of the layer's |relevance| there that its account leaves unexplained."""

    layer: str
    op: str
    sample: int
    share: float


def per_sample_sum(tensor: Tensor, axis: BatchAxis | None = None) -> Tensor:
    """Sum everything but the batch axis, in float64: (N, ...) -> (N,), also where that is the only one."""
    return by_sample(tensor, axis).sum(1).to(torch.float64)


def taken_by_stabiliser(
    share: Tensor, denominator: Tensor, eps: float, *, nonnegative: bool = False, axis: BatchAxis | None = None
) -> Tensor:
    """Return what ``eps sgn(d)`` takes of ``share = R / (d + eps sgn d)``, summed per sample: (N,)."""
    if not nonnegative:
        share = torch.ge(denominator, 0, out=torch.empty_like(denominator)).mul_(2).sub_(1).mul_(share)
    return eps * per_sample_sum(share, axis)


def per_sample_size(tensor: Tensor, axis: BatchAxis | None = None) -> Tensor:
    """Sum |.| over everything but the batch axis: (N, ...) -> (N,), float64."""
    # not vector_norm(ord=1): its kernel takes three times as long on a CPU
    return by_sample(tensor, axis).abs().sum(1).to(torch.float64)
