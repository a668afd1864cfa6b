"""From the options of a command to the method that they name: ``--method plrp --rule conv*=gamma --p 0.5``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqplrp.cli.errors import as_options
from seqplrp.errors import SeqplrpError
from seqplrp.methods import Method, parse_rule, resolve_method


def method_of(
    name: str, *, rule: Sequence[str] | None, p: Sequence[str] | None, **settings: Any
) -> tuple[Method, dict[str, Any]]:
    """Make the method that a command's options name.

    Parameters
    ----------
    name : str
        Of the method.
    rule, p : sequence of str, optional
        One value, or several of which each is PATTERN=VALUE; a value without a pattern is for all other layers.
    **settings
        The method's other fields; None where an option was not given.

    Returns
    -------
    Method
        The method.
    dict
        The settings that were given, by field.

    Raises
    ------
    SeqplrpError
        If there is no such method, it has no such setting, or a value does not suit it.
    """
    every = {"rule": _by_pattern("--rule", rule, _rule), "p": _by_pattern("--p", p, _share), **settings}
    given = {field: value for field, value in every.items() if value is not None}
    with as_options("method", *given):
        return resolve_method(name, **given), given


def described(name: str, given: Mapping[str, Any]) -> str:
    """Say a method and its settings in the user's words."""
    return ", ".join([name, *(f"{field} {value}" for field, value in given.items())])


def _by_pattern(option: str, texts: Sequence[str] | None, parse: Callable[[str], Any]) -> Any:
    """Read one value, or a mapping from module-path patterns to values."""
    if not texts:
        return None
    if len(texts) == 1 and "=" not in texts[0]:
        return parse(texts[0])
    found: dict[str, Any] = {}
    for text in texts:
        pattern, equals, value = text.partition("=")
        pattern, value = (pattern, value) if equals else ("*", text)
        if pattern in found:
            raise SeqplrpError(option, f"gives {pattern!r} twice", "give each pattern once")
        found[pattern] = parse(value)
    return found


def _rule(text: str) -> Any:
    with as_options("rule"):
        return parse_rule(text)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SeqplrpError("--p", f"{text!r} is not a number", "give a share such as 0.5") from None
