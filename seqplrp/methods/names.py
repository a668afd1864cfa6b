"""Methods and rules by the names that users type."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import AlphaBeta, Epsilon, Flat, Gamma, Relative, Rule, WSquare, ZBox, ZPlus
from seqplrp.methods.base import Method
from seqplrp.methods.gradients import GradientTimesInput, Saliency
from seqplrp.methods.relevance import LRP, PLRP


def _relative_lrp(**options: Any) -> LRP:
    return LRP(**{"rule": Relative(), **options})


METHODS: dict[str, Callable[..., Method]] = {
    "plrp": PLRP,
    "lrp": LRP,
    "r-lrp": _relative_lrp,
    "gradient-x-input": GradientTimesInput,
    "saliency": Saliency,
}
"""Every method by name; call the value with the method's fields."""

RULES: dict[str, Callable[..., Rule]] = {
    "epsilon": Epsilon,
    "gamma": Gamma,
    "zplus": ZPlus,
    "alphabeta": AlphaBeta,
    "flat": Flat,
    "wsquare": WSquare,
    "zbox": ZBox,
    "relative": Relative,
}
"""Every rule by name."""


def resolve_method(method: str | Method, **options: Any) -> Method:
    """Return a method by name, or the method itself.

    Parameters
    ----------
    method : str or Method
        A key of `METHODS`, or an instance.
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
    if not isinstance(method, str) or method not in METHODS:
        raise SeqplrpError(
            "method", f"{method!r} is not known{_guess(method, METHODS)}", f"use one of {', '.join(METHODS)}"
        )
    factory = METHODS[method]
    known = {field.name for field in fields(LRP if factory is _relative_lrp else factory)}  # type: ignore[arg-type]
    for option in options:
        if option not in known:
            raise SeqplrpError(
                f"method {method}",
                f"has no option {option!r}{_guess(option, known)}",
                f"its options are {', '.join(sorted(known))}",
            )
    return factory(**options)


def parse_rule(text: str) -> Rule:
    """Return a rule from text: a name, or a name with numbers, as in ``gamma``, ``gamma(0.5)`` or ``alphabeta(2, 1)``.

    Raises
    ------
    SeqplrpError
        Where the name is unknown or the numbers don't suit the rule.
    """
    match = re.fullmatch(r"\s*([\w+-]+)\s*(?:\(([^()]*)\))?\s*", text)
    name = match[1].lower() if match else ""
    if match is None or name not in RULES:
        raise SeqplrpError("rule", f"{text!r} is not known{_guess(name, RULES)}", f"use one of {', '.join(RULES)}")
    try:
        numbers = [float(part) for part in (match[2] or "").split(",") if part.strip()]
        return RULES[name](*numbers)
    except (TypeError, ValueError) as error:
        if isinstance(error, SeqplrpError):
            raise
        raise SeqplrpError(
            "rule", f"{text!r} does not suit the rule", "write for example gamma(0.25) or alphabeta(2, 1)"
        ) from error


def _guess(name: object, known: Any) -> str:
    close = get_close_matches(str(name).lower(), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
