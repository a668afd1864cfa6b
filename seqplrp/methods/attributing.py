"""Attribute inputs batch by batch, on one strand or both, and make explanations of what is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import obstacle_to_coefficients
from seqplrp.methods.base import Attribution, Batch, Chosen, Method, Prepared
from seqplrp.methods.batching import Progress, ran_out_of_memory, reporting
from seqplrp.methods.explanation import Account, Explanation, joined, no_hypothetical
from seqplrp.methods.inputs import readable
from seqplrp.methods.maps import averaged, centred, flipped
from seqplrp.methods.preparation import placed


@dataclass(frozen=True)
class Attributing:
    """How inputs are attributed.

    Attributes
    ----------
    method : Method
        By what.
    prepared : Prepared
        On what model.
    device, dtype
        Where, and in which precision.
    size : int
        How many inputs at a time.
    may_halve : bool
        Whether fewer may be taken where memory runs out.
    halved : callable, optional
        Is told how many fewer, then.
    """

    method: Method
    prepared: Prepared
    device: torch.device
    dtype: torch.dtype
    size: int
    may_halve: bool
    halved: Callable[[int], None] | None = None

    def explanations(self, asked: Batch, progress: Progress) -> list[Explanation]:
        """Return one explanation a target.

        Raises
        ------
        SeqplrpError
            Where a batch does not fit into memory.
        """
        batches = self._batches(asked, progress)
        return [joined([batch[place] for batch in batches]) for place in range(len(asked.targets))]

    def _batches(self, asked: Batch, progress: Progress) -> list[list[Explanation]]:
        """Attribute batch by batch; one that does not fit into memory is tried again at half its size."""
        n, start, size, done = len(asked.x), 0, self.size, []
        with reporting(progress, n) as report:
            while start < n:
                try:
                    done.append(self._batch(_part(asked, start, start + size), start, size))
                except (RuntimeError, MemoryError) as error:
                    if not ran_out_of_memory(error):
                        raise
                    if size == 1 or not self.may_halve:
                        raise self._does_not_fit(asked, size) from None
                    size = max(1, size // 2)
                    if self.halved is not None:
                        self.halved(size)
                    continue
                start += size
                report(min(start, n))
        return done

    def _does_not_fit(self, asked: Batch, size: int) -> SeqplrpError:
        shape = readable(tuple(asked.x.shape[1:]))
        return SeqplrpError(
            "batch_size",
            f"{size} inputs of {shape} do not fit into the memory of {self.device}",
            "leave batch_size out" if size > 1 else "explain shorter windows, or on another device",
        )

    def _batch(self, asked: Batch, first: int, size: int) -> list[Explanation]:
        """Attribute one batch: one explanation a target."""
        batch = Batch(
            placed(asked.x, self.device, self.dtype),
            tuple(placed(other, self.device, self.dtype) for other in asked.others),
            [target.to(self.device) if isinstance(target, Tensor) else target for target in asked.targets],
            asked.layers,
        )
        if self.prepared.graph.input_shape[0] is None:
            size = len(asked.x)
        strands = [[found] for found in self._attributed(batch, size)]
        if self.method.reverse_complement:
            # where the highest output was asked for, it is the forward strand's
            turned = replace(batch, x=batch.x.flip(1, 2), targets=[strand[0].target for strand in strands])
            for strand, found in zip(strands, self._attributed(turned, size), strict=True):
                strand.append(flipped(found))
        return [self._explanation(found, asked.x, first) for found in strands]

    def _attributed(self, batch: Batch, size: int) -> list[Attribution]:
        """Attribute a batch; one that is smaller than a program's own size is filled up and cut again."""
        n = len(batch.x)
        whole = batch if n == size else _filled_up(batch, size)
        found = self.method.attribute(self.prepared, whole)
        if self.method.center is not None:
            if any(one.hypothetical is None for one in found):
                raise no_hypothetical("center", self.method, obstacle_to_coefficients(self.prepared.plan))
            found = [centred(one, whole.x, self.method.center) for one in found]
        return found if n == size else [_first(one, n) for one in found]

    def _explanation(self, strands: Sequence[Attribution], x: Tensor, first: int) -> Explanation:
        relevance, hypothetical, output = averaged(strands, keeps_size=self.method.keeps_size)
        handed_out = self._handing_out(x)
        target = strands[0].target
        return Explanation(
            relevance=handed_out(relevance),
            output=handed_out(output),
            target=None if target is None else target.to(x.device).clone(),
            method=self.method,
            notes=tuple(dict.fromkeys(note for strand in strands for note in strand.notes)),
            layers={name: handed_out(found) for name, found in strands[0].layers.items()},
            strand_consistency=handed_out(_cosine(*strands)) if len(strands) == 2 else None,
            _hypothetical=None if hypothetical is None else handed_out(hypothetical),
            _accounts=self._accounts(strands, len(x), first),
            _turned=strands[0].turned and len(strands) == 1,  # in a mean, positive is the evidence for the output
            _obstacle=None if hypothetical is not None else obstacle_to_coefficients(self.prepared.plan),
        )

    def _handing_out(self, x: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what makes a result the user's: of the input's dtype and device, and no tensor of inference mode."""
        dtype = x.dtype if x.is_floating_point() else self.dtype
        return lambda result: result.to(x.device, dtype).clone()

    def _accounts(self, strands: Sequence[Attribution], n: int, first: int) -> tuple[Account, ...]:
        labels: tuple[dict[str, object], ...] = ({},)
        if self.method.reverse_complement:
            labels = ({"strand": "+"}, {"strand": "-"})
        return tuple(
            Account(strand.ledger, n, first, label)
            for strand, label in zip(strands, labels, strict=True)
            if strand.ledger is not None
        )


def _cosine(one: Attribution, other: Attribution) -> Tensor:
    """Return how alike two maps are position by position, (N,); NaN where one is all zero."""
    a, b = one.relevance.sum(1), other.relevance.sum(1)
    # brought to size 1 first, so that squares neither vanish nor overflow
    a, b = (side / side.abs().amax(1, keepdim=True) for side in (a, b))
    sizes = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    found: Tensor = (a * b).sum(1) / sizes
    return found


def _part(batch: Batch, start: int, stop: int) -> Batch:
    """Return some of a batch's inputs."""
    targets: list[Chosen] = [t[start:stop] if isinstance(t, Tensor) else t for t in batch.targets]
    return replace(
        batch, x=batch.x[start:stop], others=tuple(other[start:stop] for other in batch.others), targets=targets
    )


def _filled_up(batch: Batch, size: int) -> Batch:
    """Return a batch with its last input repeated up to a size."""
    missing = size - len(batch.x)

    def filled(tensor: Tensor) -> Tensor:
        return torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])])

    targets: list[Chosen] = [filled(t) if isinstance(t, Tensor) else t for t in batch.targets]
    return replace(batch, x=filled(batch.x), others=tuple(map(filled, batch.others)), targets=targets)


def _first(found: Attribution, n: int) -> Attribution:
    """Return an attribution of the first n inputs alone."""
    return replace(
        found,
        relevance=found.relevance[:n],
        hypothetical=None if found.hypothetical is None else found.hypothetical[:n],
        output=found.output[:n],
        target=None if found.target is None else found.target[:n],
        ledger=None if found.ledger is None else found.ledger.first(n),
        layers={name: layer[:n] for name, layer in found.layers.items()},
    )
