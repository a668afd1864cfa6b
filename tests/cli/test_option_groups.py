"""A group of options is one argument of a command, and options of its own on the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated, get_args, get_type_hints

import typer
from typer.testing import CliRunner

from seqplrp.cli.option_groups import (
    ExecutorOptions,
    MapOptions,
    MethodOptions,
    ModelOptions,
    RunOptions,
    SequenceOptions,
    spread,
    spread_values,
)


@dataclass(frozen=True, kw_only=True)
class Depth:
    levels: Annotated[int, typer.Option(min=1, help="How deep.")] = 3
    names: Annotated[list[str] | None, typer.Option("--name", help="Of what.")] = None


def test_fields_of_a_group_are_options_that_arrive_in_it() -> None:
    seen = []

    @spread
    def command(
        *, first: Annotated[str, typer.Argument()], depth: Depth, last: Annotated[bool, typer.Option("--last")] = False
    ) -> None:
        """Do it."""
        seen.append((first, depth, last))

    app = typer.Typer()
    app.command()(command)
    runner = CliRunner()
    assert runner.invoke(app, ["x"]).exit_code == 0
    assert runner.invoke(app, ["y", "--levels", "5", "--name", "a", "--name", "b", "--last"]).exit_code == 0
    assert seen == [("x", Depth(), False), ("y", Depth(levels=5, names=["a", "b"]), True)]
    assert runner.invoke(app, ["z", "--levels", "0"]).exit_code == 2
    told = runner.invoke(app, ["--help"]).output
    assert all(text in told for text in ("Do it.", "--levels", "How deep.", "Of what.", "default: 3"))
    assert "--depth" not in told


@dataclass(frozen=True, kw_only=True)
class Place:
    network: Annotated[str, typer.Option(help="Which.")]


def test_a_field_without_a_default_is_an_option_that_must_be_given() -> None:
    seen = []

    @spread
    def command(*, place: Place) -> None:
        """Do it."""
        seen.append(place)

    app = typer.Typer()
    app.command()(command)
    runner = CliRunner()
    assert runner.invoke(app, []).exit_code == 2
    assert "MISSING" not in runner.invoke(app, ["--help"]).output
    assert runner.invoke(app, ["--network", "x"]).exit_code == 0
    assert seen == [Place(network="x")]


def test_arguments_are_written_down_as_options_whatever_group_they_came_in() -> None:
    found = spread_values({"out": "o", "depth": Depth(levels=2), "seed": 1})
    assert found == {"out": "o", "levels": 2, "names": None, "seed": 1}


def test_a_setting_that_was_not_given_is_none_so_that_methods_without_it_can_be_named() -> None:
    assert set(MethodOptions().settings().values()) == {None}
    assert MapOptions(center="uniform").settings()["center"] == "uniform"
    assert MapOptions().settings()["reverse_complement"] is None
    method, given = MapOptions(p=["0.25"], reverse_complement=True).method("plrp")
    assert given == {"p": 0.25, "reverse_complement": True}
    assert (method.p, method.reverse_complement) == (0.25, True)


def test_what_belongs_together_stands_together_in_the_help() -> None:
    groups = (MethodOptions, MapOptions, ModelOptions, RunOptions, SequenceOptions, ExecutorOptions)
    panels = []
    for group in groups:
        hints = get_type_hints(group, include_extras=True)
        found = {get_args(hints[field.name])[1].rich_help_panel for field in fields(group)}
        assert len(found) == 1, group
        panels.append(found.pop())
    assert panels[0] == panels[1]
    assert len(set(panels)) == len(groups) - 1
    assert None not in panels
