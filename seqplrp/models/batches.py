"""From integer codes to batches of one-hot DNA, and from batches to logits.

The whole data set stays as one byte a base; each batch becomes one-hot on the model's device, which costs about a
hundredth of the pass that follows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, first_line

_LETTERS = torch.arange(4, dtype=torch.uint8)


def expand(codes: Tensor) -> Tensor:
    """One-hot ``(N, 4, L)`` float32 of codes ``(N, L)`` on the codes' device; N is a column of zeros."""
    return (codes[:, None, :] == _LETTERS.to(codes.device)[None, :, None]).to(torch.float32)


def flip_strands(codes: Tensor, flipped: Tensor) -> Tensor:
    """Codes ``(N, L)`` with the rows where ``flipped`` is true replaced by their reverse complements."""
    reverse = codes.flip(1)
    # 3 - c is the complement's code; N (4) stays N.
    reverse = torch.where(reverse < 4, 3 - reverse, reverse)
    return torch.where(flipped[:, None], reverse, codes)


def predict(model: nn.Module, codes: npt.NDArray[np.uint8] | Tensor, *, batch_size: int = 512) -> Tensor:
    """Logits of a model in eval mode, without gradients.

    Parameters
    ----------
    model : Module
        Takes ``(N, 4, L)`` one-hot DNA. Its training flag is put back afterwards.
    codes : array or Tensor of uint8, shape (N, L)
        0..3 for ACGT, 4 for N.
    batch_size : int
        Sequences per pass.

    Returns
    -------
    Tensor, shape (N, C)
        On the CPU.
    """
    source = torch.from_numpy(codes) if isinstance(codes, np.ndarray) else codes
    parameter = next(model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            return torch.cat([model(expand(part.to(device))).cpu() for part in torch.split(source, batch_size)])
    finally:
        model.train(was_training)


def choose_device(name: str) -> torch.device:
    """The device of a name; "auto" takes a CUDA device, else an Apple GPU, else the CPU.

    Raises
    ------
    SeqplrpError
        For a name that torch does not know or a device that is not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device).tolist()  # not on a device without values
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SeqplrpError(
            "device", f"{name!r} can't be used ({first_line(error)})", "choose auto, cpu or cuda"
        ) from error
    return device
