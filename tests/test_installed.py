"""How `make package` tells what a wheel brought from what came otherwise."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from installed import CORE, brought_by, required

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
INSTALLED = {
    "tool": ["lib>=1", "helper; extra == 'more'", "old; python_version < '3'"],
    "lib": ["Lower_Case[fast]"],
    "lower-case": ["quick; extra == 'fast'", "slow; extra == 'slow'", "lib"],
    "quick": [],
    "slow": [],
    "helper": [],
    "old": [],
}


def test_a_wheel_brings_what_it_requires_and_what_that_requires():
    assert brought_by("tool", INSTALLED) == {"tool", "lib", "lower-case", "quick"}


@pytest.mark.parametrize("name", ["helper", "old", "slow"])
def test_extras_not_asked_for_and_other_pythons_needs_are_not_brought(name):
    assert name not in brought_by("tool", INSTALLED)


def test_an_extra_that_is_asked_for_later_is_followed_too():
    late = {"a": ["c", "b"], "b": ["c[x]"], "c": ["d; extra == 'x'"], "d": []}
    assert brought_by("a", late) == {"a", "b", "c", "d"}


def test_what_is_required_but_not_installed_is_no_distribution_of_the_environment():
    assert brought_by("a", {"a": ["b"]}) == {"a"}


def test_the_core_is_what_the_project_asks_for():
    assert set(required(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"])) == CORE
