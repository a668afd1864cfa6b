"""From a command's options to what is asked of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seqplrp.cli.option_groups import ModelOptions, RunOptions, spread_values
from seqplrp.errors import SeqplrpError
from seqplrp.methods import Method
from seqplrp.pipeline import Request, Source


def request_of(
    subject: ModelOptions,
    running: RunOptions,
    *,
    models: Sequence[str],
    weights: Sequence[Path],
    source: Source,
    method: Method,
    arguments: Mapping[str, Any],
    formats: tuple[str, ...] = (),
    check: bool = False,
    seed: int = 0,
    several_targets: bool = False,
    **others: Any,
) -> Request:
    """Return the request that a command's options make.

    `arguments` are all of them, groups or not; `others` are fields of the request that not every command has, and
    `several_targets` says whether this one takes several.
    """
    return Request(
        models=tuple(models),
        weights=tuple(weights),
        trust_pickle=subject.trust_pickle,
        source=source,
        method=method,
        targets=_targets(subject.target, several_targets),
        formats=formats,
        batch_size=running.batch_size,
        device=running.device,
        layout=subject.layout,
        check=check,
        tf32=running.tf32,
        deterministic=running.deterministic,
        seed=seed,
        arguments=_as_json(spread_values(arguments)),
        further=tuple(subject.arg or ()),
        **others,
    )


def _targets(given: Sequence[str] | None, several: bool) -> tuple[str | None, ...]:
    if given and len(given) > 1 and not several:
        raise SeqplrpError("--target", "is given more than once", "give one: this command takes no more")
    return tuple(given or (None,))


def _as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return a command's arguments as JSON can hold them."""
    return {name: _json(value) for name, value in arguments.items()}


def _json(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value
