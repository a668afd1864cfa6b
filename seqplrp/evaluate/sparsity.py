"""How few bases carry a map? Measures of |r| that need no truth (METHODS, section 6).

Every function takes per-base relevance (N, L) and gives one value per sequence. Positions in ``ignore``
(padding, N) are left out; n below is the number of the others. A map that is 0 everywhere has no shape, so
its Gini, Hoyer and entropy are NaN; its share of zeros is 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seqplrp.evaluate.arrays import BoolArray, FloatArray, as_map, as_mask, ratio, scaled_to_one


def sparsity(relevance: Any, *, ignore: Any = None) -> dict[str, FloatArray]:
    """Give all sparsity measures of a batch.

    Parameters
    ----------
    relevance : array-like or torch.Tensor, shape (N, L)
        Per-base relevance.
    ignore : array-like of bool, shape (N, L), optional
        Positions to leave out.

    Returns
    -------
    dict of str to ndarray, shape (N,)
        Keys are the names in ``SPARSITY_MEASURES``.

    Raises
    ------
    SeqplrpError
        If shapes do not fit or the relevance is not finite.
    """
    return {
        "gini": gini(relevance, ignore=ignore),
        "hoyer": hoyer(relevance, ignore=ignore),
        "entropy": entropy(relevance, ignore=ignore),
        "zeros": zero_share(relevance, ignore=ignore),
    }


def gini(relevance: Any, *, ignore: Any = None) -> FloatArray:
    """Gini index of |r|: ``(2 sum i x_i - (n + 1) sum x) / (n sum x)``, x ascending, i from 1 to n.

    0 for a flat map, ``1 - 1/n`` for a single base. Source: METHODS, section 6; Hurley and Rickard 2009.
    """
    size, counted = _sizes(relevance, ignore)
    n = counted.sum(axis=1)
    # Left-out positions sort to the front (-1 < 0 <= |r|), so the others keep the last n places.
    ascending = np.sort(np.where(counted, size, -1.0), axis=1)
    rank = np.arange(1, size.shape[1] + 1) - (size.shape[1] - n)[:, None]
    x = np.maximum(ascending, 0.0)
    total = x.sum(axis=1)
    return ratio(2 * (rank * x).sum(axis=1) - (n + 1) * total, n * total)


def hoyer(relevance: Any, *, ignore: Any = None) -> FloatArray:
    """Hoyer sparsity of r: ``(sqrt(n) - L1/L2) / (sqrt(n) - 1)``, NaN where n is 1.

    0 for a flat map, 1 for a single base. Source: Hoyer, JMLR 2004, section 3.
    """
    size, counted = _sizes(relevance, ignore)
    root = np.sqrt(counted.sum(axis=1))
    shape = ratio(size.sum(axis=1), np.sqrt((size**2).sum(axis=1)))
    return ratio(root - shape, root - 1)


def entropy(relevance: Any, *, ignore: Any = None) -> FloatArray:
    """Shannon entropy in bits of |r| / sum |r|: 0 for a single base, ``log2 n`` for a flat map."""
    size, _ = _sizes(relevance, ignore)
    share = ratio(size, size.sum(axis=1, keepdims=True))
    bits = np.log2(share, out=np.zeros_like(share), where=share > 0)
    # The NaN shares of an all-zero map stay NaN; 0 - 0 is 0, where a bare minus would give -0.
    total: FloatArray = (share * bits).sum(axis=1)
    return 0.0 - total


def zero_share(relevance: Any, *, ignore: Any = None) -> FloatArray:
    """Share of positions with a relevance of exactly 0; NaN only where no position is counted."""
    values = as_map(relevance)
    counted = ~as_mask(ignore, (values.shape[0], values.shape[1]), "ignore")
    return ratio(((values == 0) & counted).sum(axis=1), counted.sum(axis=1))


def _sizes(relevance: Any, ignore: Any) -> tuple[FloatArray, BoolArray]:
    """|r| of the counted positions (0 elsewhere), its largest value per sequence 1, and the counted mask."""
    values = as_map(relevance)
    counted = ~as_mask(ignore, (values.shape[0], values.shape[1]), "ignore")
    return np.abs(scaled_to_one(np.where(counted, values, 0.0))), counted
