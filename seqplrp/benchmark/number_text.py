"""Numbers as reports write them."""

from __future__ import annotations

from typing import Any

import numpy as np


def mean_text(row: dict[str, Any]) -> str:
    """Say a mean with its interval, from a row of a table of means."""
    if not np.isfinite(row["mean"]):
        return "undefined"
    interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if np.isfinite(row["low"]) else ""
    return f"{row['mean']:.3f}{interval}"


def difference_text(row: dict[str, Any]) -> str:
    """Say a difference with its interval, from a row of a table of tests."""
    if not np.isfinite(row["difference"]):
        return "undefined"
    interval = f" [{signed_text(row['low'])}, {signed_text(row['high'])}]" if np.isfinite(row["low"]) else ""
    return f"{signed_text(row['difference'])}{interval}"


def number_text(value: float, digits: int) -> str:
    """Say a number; nothing where it is not known."""
    return f"{value:.{digits}f}" if np.isfinite(value) else ""


def signed_text(value: float) -> str:
    """Say a difference with its sign."""
    return f"{value:+.3f}"


def p_text(value: float) -> str:
    """Say a p-value, or that nothing was tested."""
    if not np.isfinite(value):
        return "none"
    return "< 1e-4" if value < 1e-4 else f"{value:.4f}"


def percent_text(value: float) -> str:
    """Say a share in percent; nothing where it is not known."""
    return f"{100 * value:.1f} %" if np.isfinite(value) else ""
