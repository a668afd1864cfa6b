"""seqplrp: which bases made my network say that?

Explains sequence models with pruned layer-wise relevance propagation (PLRP). The names below are the public
interface; each is imported on first use, so that ``import seqplrp`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seqplrp._version import __version__
from seqplrp.display import supply
from seqplrp.errors import SeqplrpError

# name -> module that holds it (a name equal to the module's own last part is the module itself)
_PUBLIC = {
    "one_hot": "seqplrp.genomics",
    "reverse_complement": "seqplrp.genomics",
    "shuffled_references": "seqplrp.genomics",
    "read_fasta": "seqplrp.genomics",
    "motifs": "seqplrp.genomics.motifs",
    "explain": "seqplrp.methods",
    "Explainer": "seqplrp.methods",
    "Explanation": "seqplrp.methods",
    "EnsembleExplanation": "seqplrp.methods",
    "LRP": "seqplrp.methods",
    "PLRP": "seqplrp.methods",
    "GradientTimesInput": "seqplrp.methods",
    "Saliency": "seqplrp.methods",
    "NeuronMCT": "seqplrp.methods",
    "NeuronIntGrad": "seqplrp.methods",
    "SmoothGrad": "seqplrp.methods",
    "Background": "seqplrp.methods",
    "DeepLIFTSHAP": "seqplrp.methods",
    "ISM": "seqplrp.methods",
    "IntegratedGradients": "seqplrp.methods",
    "Random": "seqplrp.methods",
    "Epsilon": "seqplrp.lrp",
    "Gamma": "seqplrp.lrp",
    "ZPlus": "seqplrp.lrp",
    "AlphaBeta": "seqplrp.lrp",
    "Flat": "seqplrp.lrp",
    "WSquare": "seqplrp.lrp",
    "ZBox": "seqplrp.lrp",
    "Relative": "seqplrp.lrp",
    "ConservingRelative": "seqplrp.lrp",
    "composite": "seqplrp.lrp",
    "load_model": "seqplrp.models",
}

__all__ = [
    "ISM",
    "LRP",
    "PLRP",
    "AlphaBeta",
    "Background",
    "ConservingRelative",
    "DeepLIFTSHAP",
    "EnsembleExplanation",
    "Epsilon",
    "Explainer",
    "Explanation",
    "Flat",
    "Gamma",
    "GradientTimesInput",
    "IntegratedGradients",
    "NeuronIntGrad",
    "NeuronMCT",
    "Random",
    "Relative",
    "Saliency",
    "SeqplrpError",
    "SmoothGrad",
    "WSquare",
    "ZBox",
    "ZPlus",
    "__version__",
    "composite",
    "explain",
    "load_model",
    "motifs",
    "one_hot",
    "read_fasta",
    "reverse_complement",
    "shuffled_references",
]


def _when_called(module: str, name: str) -> Callable[..., Any]:
    """Return a function of a room, which is imported when it is first called."""

    def call(*arguments: Any, **settings: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*arguments, **settings)

    return call


# methods lie beneath pictures and know nothing of them; here, outside of the rooms, the one is given the other
supply(
    logo=_when_called("seqplrp.plot", "explanation_logo"),
    html=_when_called("seqplrp.plot", "explanation_html"),
)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'seqplrp' has no attribute {name!r}")
    module = importlib.import_module(_PUBLIC[name])
    value = module if _PUBLIC[name].rsplit(".", 1)[1] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from seqplrp.genomics import motifs, one_hot, read_fasta, reverse_complement, shuffled_references
    from seqplrp.lrp import (
        AlphaBeta,
        ConservingRelative,
        Epsilon,
        Flat,
        Gamma,
        Relative,
        WSquare,
        ZBox,
        ZPlus,
        composite,
    )
    from seqplrp.methods import (
        ISM,
        LRP,
        PLRP,
        Background,
        DeepLIFTSHAP,
        EnsembleExplanation,
        Explainer,
        Explanation,
        GradientTimesInput,
        IntegratedGradients,
        NeuronIntGrad,
        NeuronMCT,
        Random,
        Saliency,
        SmoothGrad,
        explain,
    )
    from seqplrp.models import load_model
