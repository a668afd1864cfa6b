"""From images in memory to batches that a network takes: normalised, laid in other ways, and what it says of them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqplrp.images.preprocessing import Preprocessing

Augmentation = Literal["turns", "flips", "none"]

_PREDICTED_AT_ONCE = 256


def usual_preprocessing(size: int) -> Preprocessing:
    """Return what slim networks are trained with: images of their size, and values from -2 to 2."""
    return Preprocessing(resize=size, crop=size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


def normalised(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Do to images of uint8 that have the right size what the preprocessing does to one."""
    values = (preprocessing.mean, preprocessing.std)
    mean, std = (torch.tensor(channels, device=images.device).view(3, 1, 1) for channels in values)
    pixels = images.to(torch.float32).div_(255).sub_(mean).div_(std)
    # on CPUs convolutions of few channels take two thirds of the time in this layout
    return pixels.contiguous(memory_format=torch.channels_last)


def augmented(images: Tensor, how: Augmentation, shift: int = 0) -> Tensor:
    """Lay each image in a way drawn for it: turned by right angles, mirrored, moved.

    Parameters
    ----------
    images : Tensor
        (N, C, S, S).
    how : {"turns", "flips", "none"}
        Turned by right angles and mirrored, mirrored left to right, or neither.
    shift : int
        Pixels by which it is moved at most, up or down and left or right; what is left free mirrors what is beside it.
    """
    laid = _turned(images, 8 if how == "turns" else 2) if how != "none" else images
    return _moved(laid, shift) if shift else laid


def _turned(images: Tensor, ways: int) -> Tensor:
    drawn = torch.randint(0, ways, (len(images),)).to(images.device)
    laid = torch.empty_like(images)
    for way in range(ways):
        chosen = images[drawn == way]
        turns, mirrored = divmod(way, 2)
        laid[drawn == way] = torch.rot90(chosen.flip(3) if mirrored else chosen, turns, (2, 3))
    return laid


def _moved(images: Tensor, most: int) -> Tensor:
    number, channels, last = len(images), images.shape[1], images.shape[2] - 1
    moves = torch.randint(-most, most + 1, (2, number, 1))
    rows, columns = (last - (last - (torch.arange(last + 1) + move).abs()).abs() for move in moves)
    index = torch.arange(number)[:, None, None, None], torch.arange(channels)[None, :, None, None]
    return images[*(part.to(images.device) for part in (*index, rows[:, None, :, None], columns[:, None, None, :]))]


def predict_images(module: nn.Module, preprocessing: Preprocessing, pixels: Any) -> Tensor:
    """Logits ``(N, C)`` on the CPU of images ``(N, 3, S, S)`` of uint8, by a module in evaluation mode."""
    source = torch.as_tensor(pixels)
    device = next(module.parameters()).device
    with torch.inference_mode():
        parts = torch.split(source, _PREDICTED_AT_ONCE)
        return torch.cat([module(normalised(part.to(device), preprocessing)).cpu() for part in parts])
