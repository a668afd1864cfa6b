"""From images in memory to batches that a network takes: normalised, laid in other ways, and what it says of them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, first_line
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


def predict_images(module: nn.Module, preprocessing: Preprocessing, pixels: Any, name: str = "network") -> Tensor:
    """Logits ``(N, C)`` on the CPU of images ``(N, 3, H, W)`` of uint8, by a module in evaluation mode.

    Raises
    ------
    SeqplrpError
        As `scores_of`.
    """
    source = torch.as_tensor(pixels)
    weights = next(module.parameters(), None)
    device = source.device if weights is None else weights.device
    parts = torch.split(source, _PREDICTED_AT_ONCE)
    return torch.cat([scores_of(module, normalised(part.to(device), preprocessing), name) for part in parts])


def scores_of(module: nn.Module, x: Tensor, name: str) -> Tensor:
    """What a network says of images that it can take.

    Parameters
    ----------
    module : Module
        In evaluation mode.
    x : Tensor
        (N, 3, H, W), on the network's device.
    name : str
        The network's, for errors.

    Returns
    -------
    Tensor
        (N, classes), float32, on the CPU.

    Raises
    ------
    SeqplrpError
        Where it takes no such images, or gives something else than a score of each class.
    """
    try:
        with torch.inference_mode():
            found = module(x)
    except torch.OutOfMemoryError as error:
        raise SeqplrpError("batch_size", f"{len(x)} images don't fit into memory", "take fewer at a time") from error
    except Exception as error:  # of code that we have not seen
        raise SeqplrpError(
            name,
            f"fails on images {tuple(x.shape)} ({first_line(error, kind=True)})",
            "give the size that it is for, or a network of red, green and blue images (N, 3, H, W)",
        ) from error
    shape = tuple(found.shape) if isinstance(found, Tensor) else None
    if shape is None or len(shape) != 2 or shape[0] != len(x) or not found.is_floating_point():
        what = f"a {type(found).__name__}" if shape is None else f"{found.dtype} {shape}"
        raise SeqplrpError(
            name, f"gives {what} for {len(x)} images", "wrap it in a module that gives scores (N, classes)"
        )
    scores: Tensor = found.float().cpu()
    return scores
