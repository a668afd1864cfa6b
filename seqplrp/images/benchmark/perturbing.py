"""What stands in for pixels that are taken away: the image's mean colour, a blurred image, or other colours."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from seqplrp.evaluate import row_generators

BLUR = 0.08
"""Standard deviation of the blur, as a share of the image's side: shapes and textures are gone, colours stay."""


def mean_colour(x: Tensor, seed: int) -> Tensor:
    """Return images of one colour each, their mean."""
    return x.mean((2, 3), keepdim=True).expand_as(x)


def blurred(x: Tensor, seed: int) -> Tensor:
    """Return images after a Gaussian blur; beyond an image's edge it goes on mirrored.

    Source: Fong and Vedaldi, ICCV 2017, take a blur for what has no information left and looks natural.
    """
    sigma = BLUR * min(x.shape[2:])
    reach = min(round(3 * sigma), min(x.shape[2:]) - 1)
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    kernel = torch.exp(-(at**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1)
    padded = torch.nn.functional.pad(x, [reach] * 4, mode="reflect")
    rows = torch.nn.functional.conv2d(padded, kernel[:, :, None], groups=x.shape[1])
    return torch.nn.functional.conv2d(rows, kernel[..., None], groups=x.shape[1])


def other_colours(x: Tensor, seed: int) -> Tensor:
    """Return each image's own pixels in random order, which depends on the seed and the image alone."""
    flat = x.flatten(2)
    order = np.stack([random.permutation(flat.shape[2]) for random in row_generators(cast(Any, x.cpu().numpy()), seed)])
    places = torch.from_numpy(order).to(x.device)[:, None].expand_as(flat)
    return flat.gather(2, places).view_as(x)
