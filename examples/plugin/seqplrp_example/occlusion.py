"""A method: what the score loses where a window of bases is blanked out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from seqplrp.methods import Attribution, Batch, Method, Prepared, plan_scores


@dataclass(frozen=True, kw_only=True)
class Occlusion(Method):
    """Occlusion (Zeiler and Fergus 2014): each position gets the mean loss over the windows of `width` that hide it."""

    width: int = 1

    def attribute(self, prepared: Prepared, batch: Batch) -> list[Attribution]:
        found = plan_scores(prepared, batch)  # one (score, target) for each of batch.targets
        fixed = replace(batch, targets=[target for _, target in found])  # "predicted" is that of the whole sequence
        lost = [torch.zeros_like(batch.x[:, 0]) for _ in found]
        hidden = torch.zeros_like(batch.x[0, 0])
        for start in range(batch.x.shape[2] - self.width + 1):
            window = slice(start, start + self.width)
            x = batch.x.clone()
            x[:, :, window] = 0
            hidden[window] += 1
            for loss, (score, _), (left, _) in zip(
                lost, found, plan_scores(prepared, replace(fixed, x=x)), strict=True
            ):
                loss[:, window] += (score - left)[:, None]
        return [
            Attribution(batch.x * (loss / hidden)[:, None], None, score, target)
            for loss, (score, target) in zip(lost, found, strict=True)
        ]
