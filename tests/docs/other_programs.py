"""Programs of others that the pages name: that what is asked of them exists, without doing it."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


class Unchecked(Exception):
    """What a page asks of a program is not there."""


def make(arguments: list[str], root: Path) -> None:
    """Every target has a rule in the Makefile."""
    rules = re.findall(r"^([\w-][\w -]*):(?!=)", (root / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    known = {target for rule in rules for target in rule.split()}
    for target in arguments:
        if "=" not in target and target not in known:
            raise Unchecked(f"the Makefile has no target {target!r}")


def pip(arguments: list[str], root: Path) -> None:
    """It installs this package, with extras that there are, or what the package knows of."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    extras = set(project["project"]["optional-dependencies"])
    named = [
        *project["project"]["dependencies"],
        *(one for group in project["project"]["optional-dependencies"].values() for one in group),
        *(one for group in project["dependency-groups"].values() for one in group if isinstance(one, str)),
    ]
    known = {re.split(r"[^\w.-]", one)[0].lower() for one in named}
    if not arguments or arguments[0] != "install":
        raise Unchecked("pip is only asked to install")
    for what in arguments[1:]:
        if what.startswith("-"):
            continue
        if (root / what).is_dir() and (root / what / "pyproject.toml").exists():
            continue
        name, _, rest = what.partition("[")
        if name not in {".", "seqplrp"} and name.lower() not in known:
            raise Unchecked(f"{name!r} is neither this package nor one that its pyproject.toml names")
        if name in {".", "seqplrp"} and not set(filter(None, rest.rstrip("]").split(","))) <= extras:
            raise Unchecked(f"there are no such extras: {rest.rstrip(']')}")


def python(arguments: list[str], root: Path) -> None:
    """The script is in the repository, and its help knows the options."""
    script, *rest = arguments
    if not (root / script).is_file():
        raise Unchecked(f"there is no {script}")
    options = [argument for argument in rest if argument.startswith("--")]
    if options:
        before = [argument for argument in rest[: rest.index(options[0])] if not (root / argument).exists()]
        text = _help_of(root / script, before)
        for option in options:
            if not re.search(rf"{option}\b", text):
                raise Unchecked(f"{script} has no {option}")
    for argument in rest:
        if re.search(r"/.*\.\w+$", argument) and not (root / argument).exists():
            raise Unchecked(f"there is no {argument}")


def _help_of(script: Path, before: list[str]) -> str:
    said, argv = io.StringIO(), sys.argv
    sys.argv = [str(script), *before, "--help"]
    sys.path.insert(0, str(script.parent))
    try:
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = argv
        sys.path.remove(str(script.parent))
    return said.getvalue()


def bash(arguments: list[str], root: Path) -> None:
    """The script is in the repository."""
    if not (root / arguments[0]).is_file():
        raise Unchecked(f"there is no {arguments[0]}")


def click_command(command: Any, arguments: list[str]) -> None:
    """Let a click command of another program read its arguments."""
    try:
        name, *rest = arguments
        for parameter in command.commands[name].params:
            if hasattr(parameter.type, "exists"):
                parameter.type.exists = False
        command.commands[name].make_context(name, list(rest))
    except Exception as error:
        raise Unchecked(f"is not understood: {error}") from error


def modisco(arguments: list[str], root: Path) -> None:
    """TF-MoDISco's own command line understands it."""
    cli = pytest.importorskip("modiscolite.cli")
    click_command(cli.cli, arguments)


def ray(arguments: list[str], root: Path) -> None:
    """Ray's own command line understands it."""
    scripts = pytest.importorskip("ray.scripts.scripts")
    click_command(scripts.cli, arguments)


PROGRAMS: dict[str, Callable[[list[str], Path], None]] = {
    "make": make,
    "pip": pip,
    "python": python,
    "bash": bash,
    "modisco": modisco,
    "ray": ray,
}
