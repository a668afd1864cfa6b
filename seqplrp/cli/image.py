"""``seqplrp image ...``: the commands for images."""

from __future__ import annotations

import importlib

import typer

IMAGE_COMMANDS = ("simulate", "train", "explain", "benchmark")
"""In the order of the work; each is a module of this room, ``image_NAME``."""


def register(app: typer.Typer) -> None:
    """Add the commands to the application, as one group."""
    images = typer.Typer(
        help="Images: VGG, ResNet and other networks, explained by the same engine. Needs the extra `image`."
    )

    @images.callback(invoke_without_command=True)
    def bare(ctx: typer.Context) -> None:
        if ctx.invoked_subcommand is None:
            typer.echo(ctx.get_help())

    for name in IMAGE_COMMANDS:
        importlib.import_module(f"seqplrp.cli.image_{name}").register(images)
    app.add_typer(images, name="image")
