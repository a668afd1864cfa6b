"""What users can rely on, as text: public names with their parameters and fields, and the options of every command.

    python tests/public_names.py --write     # after a change that is meant, with a line in CHANGELOG.md

`test_public_interface.py` compares the text with what is kept in `tests/data/public_interface.txt`.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KEPT = Path(__file__).parent / "data" / "public_interface.txt"
ROOMS = [
    *["lrp", "genomics", "genomics.motifs", "genomics.simulation", "genomics.tracks", "methods", "models", "evaluate"],
    *["plot", "benchmark", "recovery", "recovery.benchmark", "images", "pipeline"],
]
"""The modules that have public names, lower rooms first; `seqplrp` itself gives some of theirs."""

_MARKS = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def interface() -> str:
    """Return the whole of it."""
    top = importlib.import_module("seqplrp")
    lines = ["seqplrp", *(f"  {name}" for name in sorted(top.__all__)), ""]
    for name in ROOMS:
        room = importlib.import_module(f"seqplrp.{name}")
        told = [f"  {line}" for public in sorted(room.__all__) for line in _told(public, room)]
        lines += [f"seqplrp.{name}", *told, ""]
    return "\n".join([*lines, *_commands()]) + "\n"


def _told(name: str, module: Any) -> Iterator[str]:
    """Give the lines of one public name: how it is called, and of a class what its objects have."""
    value = getattr(module, name)
    if inspect.ismodule(value):
        yield f"{name}: module"
    elif inspect.isclass(value):
        yield f"{name}{parameters(value)}: class"
        yield from (f"  .{line}" for line in _members(value))
    elif hasattr(value, "__origin__") or (
        type(value).__module__ in ("typing", "types") and not inspect.isroutine(value)
    ):
        yield f"{name}: type"  # an alias; how these describe themselves changes with Python
    elif callable(value):
        yield f"{name}{parameters(value)}"
    else:
        yield f"{name}: {type(value).__name__}"


def _members(owner: type) -> Iterator[str]:
    """Give a class's public methods and attributes, those that it has from other classes of ours with them."""
    if issubclass(owner, BaseException):
        return
    ours = [base for base in owner.__mro__ if base.__module__.startswith("seqplrp")]
    found = {name: value for base in reversed(ours) for name, value in vars(base).items() if not name.startswith("_")}
    fields = {one.name for one in dataclasses.fields(owner)} if dataclasses.is_dataclass(owner) else set()
    for name in sorted(set(found) - fields):
        value = found[name]
        value = getattr(value, "__func__", value)  # of class methods and static ones
        yield f"{name}{parameters(value)}" if inspect.isfunction(value) else name


def parameters(value: Any) -> str:
    """Return how something is called: names in order, `=` where there is a default, `*` before what must be named."""
    try:
        parameters = list(inspect.signature(value).parameters.values())
    except ValueError:  # a class of a library, written in C, that tells nothing
        return ""
    told, named = [], False
    for parameter in parameters:
        if parameter.name.startswith("_"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not named:
            told.append("*")
        named = named or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        told.append(_MARKS.get(parameter.kind, "") + parameter.name + _default(parameter))
    return f"({', '.join(told)})"


def _default(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    simple = parameter.default is None or type(parameter.default) in (bool, int, float, str)
    return f"={parameter.default!r}" if simple else "=..."


def _commands() -> Iterator[str]:
    """Give every command with its arguments and options."""
    import typer

    from seqplrp.cli.app import build_app

    ahead: list[tuple[str, Any]] = [("seqplrp", typer.main.get_command(build_app()))]
    while ahead:
        name, command = ahead.pop(0)
        inside = getattr(command, "commands", {})
        ahead[:0] = [(f"{name} {key}", one) for key, one in sorted(inside.items())]
        yield f"$ {name}"
        for parameter in command.params:
            spelled = ", ".join((*parameter.opts, *parameter.secondary_opts))
            yield f"  {spelled}{' (required)' if parameter.required else ''}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {KEPT.name} anew; otherwise it is printed")
    if parser.parse_args().write:
        KEPT.write_text(interface(), encoding="utf-8")
    else:
        print(interface(), end="")
