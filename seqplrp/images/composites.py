"""The rules for image networks by the names that composites of them have in the literature."""

from __future__ import annotations

from seqplrp.images.preprocessing import Preprocessing
from seqplrp.lrp import COMPOSITES, Rule, composite

IMAGE_COMPOSITES = COMPOSITES
"""The names that `image_composite` knows."""


def image_composite(name: str, preprocessing: Preprocessing, *, gamma: float = 0.25) -> Rule | dict[str, Rule]:
    """Return a named assignment of rules to an image network's layers.

    Parameters
    ----------
    name : str
        One of `IMAGE_COMPOSITES`.
    preprocessing : Preprocessing
        The network's: its bounds are those of the z-box rule.
    gamma : float
        Where the composite uses the gamma rule.

    Returns
    -------
    Rule or dict of str to Rule
        What `seqplrp.LRP` and `seqplrp.PLRP` take as their rule.

    Raises
    ------
    SeqplrpError
        Where the name is unknown.

    Notes
    -----
    The composites of `seqplrp.lrp.composite`, which has their sources; where the z-box rule stands first, its bounds
    are a normalised black and a normalised white pixel.
    """
    low, high = preprocessing.bounds()
    return composite(name, low=low, high=high, gamma=gamma)
