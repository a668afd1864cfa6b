"""What tests ask of torch's version."""

from __future__ import annotations

import torch

OLD_TORCH = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8)
"""Exports some things in another form: 2.6, the oldest that is admitted, does."""
