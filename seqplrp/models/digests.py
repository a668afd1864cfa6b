"""What tells one model's weights from another's, whatever file they were read from."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from seqplrp.lrp import Program


def weights_sha256(model: nn.Module) -> str:
    """Hash names, shapes and values of all weights, in the order of their names: the same for any file format."""
    digest = hashlib.sha256()
    weights = model.exported.state_dict if isinstance(model, Program) else model.state_dict()
    for name, value in sorted(weights.items()):
        array = value.detach().cpu().contiguous()
        digest.update(f"{name} {array.dtype} {tuple(array.shape)}\n".encode())
        digest.update(array.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
