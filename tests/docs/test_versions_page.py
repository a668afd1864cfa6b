"""The table of docs/versions.md says what pyproject.toml admits and what constraints.txt pins."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from pages import ROOT


def table() -> dict[str, tuple[Version, Version]]:
    text = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w-]+)(?: \(extra \w+\))? \| ([\d.]+) \| ([\d.]+) \|$", text, flags=re.M)
    return {canonicalize_name(name): (Version(oldest), Version(newest)) for name, oldest, newest in rows}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_oldest_are_the_bounds_of_the_project_and_none_is_left_out():
    extras = project()["optional-dependencies"].values()
    asked = [Requirement(one) for group in (project()["dependencies"], *extras) for one in group]
    bounds = {canonicalize_name(one.name): Version(next(iter(one.specifier)).version) for one in asked}
    bounds["python"] = Version(project()["requires-python"].removeprefix(">="))
    assert {name: oldest for name, (oldest, _) in table().items()} == bounds


def test_the_newest_are_those_that_are_pinned():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    pins = {canonicalize_name(name): Version(version) for name, _, version in (line.partition("==") for line in lines)}
    newest = {name: newest for name, (_, newest) in table().items() if name != "python"}
    assert newest == {name: pins[name] for name in newest}
