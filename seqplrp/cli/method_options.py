"""From the options of a command to the method that they name: ``--method plrp --rule conv*=gamma --p 0.5``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seqplrp.cli.named_values import named_values
from seqplrp.errors import SeqplrpError, as_options, option_of
from seqplrp.genomics import REFERENCES
from seqplrp.lrp import Rule, composite
from seqplrp.methods import Method, options_of, parse_rule, resolve_method

CENTERS = ("none", "uniform", "composition")


def method_of(
    name: str,
    *,
    rule: Sequence[str] | None,
    p: Sequence[str] | None,
    option: Sequence[str] | None = None,
    seed: int = 0,
    **settings: Any,
) -> tuple[Method, dict[str, Any]]:
    """Make the method that a command's options name.

    Parameters
    ----------
    name : str
        Of the method.
    rule, p : sequence of str, optional
        One value, or several of which each is PATTERN=VALUE; a value without a pattern is for all other layers.
    option : sequence of str, optional
        Fields that have no option of their own, each as NAME=VALUE.
    seed : int
        For methods that have one.
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
    if settings.get("center") not in (None, *CENTERS):
        raise SeqplrpError("--center", f"{settings['center']!r} is not known", f"choose {', '.join(CENTERS)}")
    if settings.get("center") == "none":
        settings["center"] = None
    every = {"rule": _rules(rule), "p": _shares(p), **settings}
    given = {field: value for field, value in every.items() if value is not None}
    with as_options("method"):
        known = options_of(name)
    for field in given:
        if field not in known:
            has = ", ".join(option_of(option) for option in every if option in known)
            raise SeqplrpError(
                option_of(field),
                f"is no option of the method {name}",
                f"leave it out, or choose another --method ({name} has {has})",
            )
    free = [field for field in known if field not in (*every, "seed")]
    others = _others(name, option or (), free)
    named_references = {"references": _references(others["references"])} if "references" in others else {}
    if name == "background" and not named_references:  # all sequences are DNA here, and no extra is needed for it
        named_references = {"references": REFERENCES["shuffled"]}
    if "seed" in known and seed != 0:
        others["seed"] = seed
    named = {field: f"--option {field}" for field in others} | {"seed": "--seed"}
    with as_options("method", *given, **named):
        return resolve_method(name, **given, **(others | named_references)), given | others


def _others(name: str, texts: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Read the settings of a method that have no option of their own."""
    found = named_values(texts, "n_shuffles=50")
    for field in found:
        if field not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise SeqplrpError(f"--option {field}", f"is no further setting of the method {name}", has)
    return found


def _references(name: Any) -> Any:
    """Return what draws references, by name: a function, which nobody can type."""
    if name not in REFERENCES:
        raise SeqplrpError("--option references", f"{name!r} is not known", f"choose {' or '.join(REFERENCES)}")
    return REFERENCES[name]


def described(name: str, given: Mapping[str, Any]) -> str:
    """Say a method and its settings in the user's words."""
    return ", ".join([name, *(f"{field} {value}" for field, value in given.items())])


def _by_pattern(option: str, texts: Sequence[str]) -> tuple[dict[str, str], str | None]:
    """Read PATTERN=VALUE texts, and the one without a pattern, which is for all other layers."""
    found: dict[str, str] = {}
    rest: str | None = None
    for text in texts:
        pattern, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            if rest is not None:
                raise SeqplrpError(option, f"gives {rest!r} and {text!r} for all layers", "write PATTERN=VALUE")
            rest = text
        elif not pattern:
            raise SeqplrpError(option, f"{text!r} has no pattern", "write PATTERN=VALUE, or the value alone")
        elif pattern in found:
            raise SeqplrpError(option, f"gives {pattern!r} twice", "give each pattern once")
        else:
            found[pattern] = value
    return found, rest


def _rules(texts: Sequence[str] | None) -> Rule | str | dict[str, Rule] | None:
    """Read rules by pattern; a composite without a pattern places its own rules on all other layers."""
    if not texts:
        return None
    patterns, rest = _by_pattern("--rule", texts)
    placed: dict[str, Rule] = {}
    for pattern, text in patterns.items():
        rule = _rule(text)
        if isinstance(rule, str):
            raise SeqplrpError(
                f"--rule {pattern}", f"{rule!r} places rules on all layers", "give a rule here, such as gamma(0.25)"
            )
        placed[pattern] = rule
    if rest is None:
        return placed
    others = _rule(rest)
    if not placed:
        return others
    rules = composite(others) if isinstance(others, str) else others
    own = rules if isinstance(rules, dict) else {"*": rules}
    return placed | {key: rule for key, rule in own.items() if key not in placed}


def _shares(texts: Sequence[str] | None) -> float | dict[str, float] | None:
    if not texts:
        return None
    patterns, rest = _by_pattern("--p", texts)
    shares = {pattern: _share(text) for pattern, text in patterns.items()}
    if rest is None:
        return shares
    return shares | {"*": _share(rest)} if shares else _share(rest)


def _rule(text: str) -> Rule | str:
    with as_options("rule"):
        return parse_rule(text)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise SeqplrpError("--p", f"{text!r} is not a number", "give a share such as 0.5") from None
