"""The rules for image networks by the names that composites of them have in the literature."""

from __future__ import annotations

from seqplrp.errors import SeqplrpError
from seqplrp.images.preprocessing import Preprocessing
from seqplrp.lrp import COMPOSITES, AlphaBeta, Epsilon, Flat, Gamma, Rule, ZBox, ZPlus, composite

IMAGE_COMPOSITES = (
    *COMPOSITES,
    "epsilon-plus-box",
    "epsilon-plus-flat",
    "epsilon-alpha2-beta1",
    "epsilon-alpha2-beta1-box",
    "epsilon-alpha2-beta1-flat",
)
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
    Epsilon holds at linear layers, what follows it in the name at convolutions: z+ for ``plus``, alpha-beta(2, 1),
    gamma. ``box`` and ``flat`` are the rule of the first convolutions: the z-box rule, with a normalised black and a
    normalised white pixel as the bounds, and the flat rule. Sources: Montavon et al. 2019 (gamma and box), Lapuschkin
    et al. 2019 and Kohlbrenner et al. 2020 (plus, alpha-beta and flat). Other names are those of
    `seqplrp.lrp.composite`.
    """
    if name not in IMAGE_COMPOSITES:
        raise SeqplrpError("rule", f"{name!r} is no composite", f"use one of {', '.join(IMAGE_COMPOSITES)}, or a rule")
    if not name.startswith(("epsilon-plus", "epsilon-alpha2-beta1", "epsilon-gamma")):
        return composite(name, gamma=gamma)
    rules: dict[str, Rule] = {}
    if name.endswith("-box"):
        rules["@first"] = ZBox(*preprocessing.bounds())
    if name.endswith("-flat"):
        rules["@first"] = Flat()
    rules["@conv"] = Gamma(gamma) if "gamma" in name else AlphaBeta(2, 1) if "alpha" in name else ZPlus()
    return {**rules, "*": Epsilon()}
