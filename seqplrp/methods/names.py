"""Methods and rules by the names that users type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.lrp import (
    COMPOSITES,
    AlphaBeta,
    ConservingRelative,
    Epsilon,
    Flat,
    Gamma,
    Relative,
    Rule,
    WSquare,
    ZBox,
    ZPlus,
)
from seqplrp.methods.background import Background
from seqplrp.methods.base import Method
from seqplrp.methods.floors import Random
from seqplrp.methods.gradients import GradientTimesInput, Saliency
from seqplrp.methods.peers import ISM, DeepLIFTSHAP, IntegratedGradients
from seqplrp.methods.pruned_network import NeuronIntGrad, NeuronMCT
from seqplrp.methods.relevance import LRP, PLRP
from seqplrp.methods.smoothing import SmoothGrad
from seqplrp.plugins import Named, Plugin


def _relative_lrp(**options: Any) -> LRP:
    return LRP(**{"rule": Relative(), **options})


def _gradient_correction(**options: Any) -> GradientTimesInput:
    return GradientTimesInput(**{"center": "uniform", **options})


def _method(plugin: Plugin, found: Any) -> type[Method]:
    """Return a plug-in's method; raise a SeqplrpError where it is none."""
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise plugin.error(f"({plugin.place}) is no method: it does not extend seqplrp.methods.Method")
    try:
        found()
    except Exception as error:  # of code that we have not seen
        raise plugin.error(f"can't be made without options ({first_line(error, kind=True)})") from error
    return found


def _rule(plugin: Plugin, found: Any) -> type[Rule]:
    """Return a plug-in's rule; raise a SeqplrpError where it can be none."""
    if not (isinstance(found, type) and callable(getattr(found, "branches", None))):
        raise plugin.error(f"({plugin.place}) is no rule: it is no class with eps and branches(weight, bias)")
    rule: type[Rule] = found
    return rule


_METHODS: dict[str, Callable[..., Method]] = {
    "plrp": PLRP,
    "lrp": LRP,
    "r-lrp": _relative_lrp,
    "neuron-mct": NeuronMCT,
    "neuron-intgrad": NeuronIntGrad,
    "gradient-x-input": GradientTimesInput,
    "gradient-correction": _gradient_correction,
    "saliency": Saliency,
    "smoothgrad": SmoothGrad,
    "background": Background,
    "deeplift-shap": DeepLIFTSHAP,
    "ism": ISM,
    "integrated-gradients": IntegratedGradients,
    "random": Random,
}

METHODS: Named[Callable[..., Method]] = Named("method", _METHODS, _method, taken=("truth",))  # benchmarks have a truth
"""Every method by name, those of plug-ins behind ours; call the value with the method's fields."""

_RULES: dict[str, Callable[..., Rule]] = {
    "epsilon": Epsilon,
    "gamma": Gamma,
    "zplus": ZPlus,
    "alphabeta": AlphaBeta,
    "flat": Flat,
    "wsquare": WSquare,
    "zbox": ZBox,
    "relative": Relative,
    "conserving-relative": ConservingRelative,
}

RULES: Named[Callable[..., Rule]] = Named("rule", _RULES, _rule, taken=COMPOSITES)
"""Every rule by name, those of plug-ins behind ours."""


def resolve_method(method: str | Method, **options: Any) -> Method:
    """Return a method by name, or the method itself.

    Parameters
    ----------
    method : str or Method
        A key of `METHODS`, one of a plug-in say, or an instance.
    **options
        Fields of the named method, such as ``p=0.25``.

    Raises
    ------
    SeqplrpError
        Where the name is unknown, an option is none of the method's, or options come with an instance.
    """
    if isinstance(method, Method):
        if options:
            raise SeqplrpError(
                "method", f"options {sorted(options)} were given beside {method!r}", "set them on the method"
            )
        return method
    known = options_of(method)
    for option in options:
        if option not in known:
            raise SeqplrpError(
                f"method {method}",
                f"has no option {option!r}{_guess(option, known)}",
                f"its options are {', '.join(sorted(known))}",
            )
    return METHODS[method](**options)


def options_of(method: str) -> tuple[str, ...]:
    """Return the names of a method's fields, by the method's own name.

    Raises
    ------
    SeqplrpError
        Where the name is unknown.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise SeqplrpError(
            "method", f"{method!r} is not known{_guess(method, METHODS)}", f"use one of {', '.join(METHODS)}"
        )
    return tuple(field.name for field in fields(METHODS[method]()))


def parse_rule(text: str) -> Rule | str:
    """Return a rule from text, or the name of a composite, which `LRP` and `PLRP` take in a rule's place.

    Parameters
    ----------
    text : str
        A rule's name, with or without numbers (``gamma``, ``gamma(0.5)``, ``alphabeta(2, 1)``), or a composite's
        (``epsilon-plus``, ``epsilon-gamma-box``, ``default``). Names that are both, such as ``epsilon``, are rules.
        Rules of plug-ins stand behind ours.

    Raises
    ------
    SeqplrpError
        Where the name is unknown or the numbers don't suit the rule.
    """
    match = re.fullmatch(r"\s*([\w+-]+)\s*(?:\(([^()]*)\))?\s*", text)
    name = match[1].lower() if match else ""
    if match is None or not (name in COMPOSITES or name in RULES):
        known = tuple(dict.fromkeys((*RULES, *COMPOSITES)))
        raise SeqplrpError("rule", f"{text!r} is not known{_guess(name, known)}", f"use one of {', '.join(known)}")
    if name in COMPOSITES and name not in RULES.ours:
        if match[2] is not None:
            raise SeqplrpError("rule", f"{text!r}: the composite {name} takes no numbers", f"write {name}")
        return name
    factory, plugin = RULES[name], RULES.plugin(name)
    try:
        numbers = [float(part) for part in (match[2] or "").split(",") if part.strip()]
        rule = factory(*numbers)
    except SeqplrpError as error:  # its words are those of Python: Gamma(-1.0)
        raise SeqplrpError("rule", f"{text!r}: {error.what}", _as_typed(error.remedy)) from error
    except (TypeError, ValueError) as error:
        raise SeqplrpError(
            "rule", f"{text!r} does not suit the rule", "write for example gamma(0.25) or alphabeta(2, 1)"
        ) from error
    if plugin is not None and not isinstance(rule, Rule):
        raise plugin.error(f"({plugin.place}) is no rule: it has no eps")
    return rule


def _as_typed(text: str) -> str:
    """Return a text with rules' class names as `parse_rule` reads them."""
    names = {factory.__name__: name for name, factory in RULES.ours.items()}
    return re.sub(rf"\b({'|'.join(names)})\(", lambda found: f"{names[found[1]]}(", text)


def _guess(name: object, known: Any) -> str:
    close = get_close_matches(str(name).lower(), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
