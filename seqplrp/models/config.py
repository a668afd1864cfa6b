"""What is known about a trained model: the content of its ``config.json``."""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from seqplrp._version import __version__
from seqplrp.errors import SeqplrpError, first_line
from seqplrp.storage import parse_json

Kind = Literal["binary", "multilabel", "multiclass"]
KINDS: tuple[Kind, ...] = ("binary", "multilabel", "multiclass")

CONFIG_FILE = "config.json"
FORMAT_VERSION = 1
_FORMAT = "seqplrp-model"


@dataclass(frozen=True)
class ModelConfig:
    """A trained model's description.

    Parameters
    ----------
    architecture : str
        A name in `ARCHITECTURES`.
    options : dict
        All fields of the architecture's configuration.
    length : int
        Bases per training sequence.
    flexible_length : bool
        Whether the model takes other lengths as well.
    n_outputs : int
        Logits per sequence.
    classes : list of str
        The name of each output. A binary model has one, target 0: the positive class.
    kind : {"binary", "multilabel", "multiclass"}
        Whether the logits go into one sigmoid, one sigmoid each, or a softmax.
    metrics : dict
        ``validation`` and ``test``, each with ``macro`` and per-class values; see `evaluate_predictions`.
    seed : int
        The seed of splits, shuffles, initial weights, batches and dropout.
    versions : dict
        Of seqplrp, torch, numpy and python.
    training : dict
        How it was trained, and what came of it (best epoch, epochs run, seconds, device, parameters).
    data : dict
        What it was trained on: files, and sequences by split.
    warnings : list of str
        What training had to say about its result; see `training_warnings`.
    """

    architecture: str
    options: dict[str, Any]
    length: int
    flexible_length: bool
    n_outputs: int
    classes: list[str]
    kind: Kind
    metrics: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Advice:
    """Something that is no error but that the user should know; its text is that of an error.

    Parameters
    ----------
    where, what, remedy : str
        As in `SeqplrpError`.
    """

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


def current_versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    return {
        "seqplrp": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def write_config(config: ModelConfig, path: Path) -> None:
    """Write a model's description as JSON."""
    content = {"format": _FORMAT, "format_version": FORMAT_VERSION, **dataclasses.asdict(config)}
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_config(path: Path) -> ModelConfig:
    """Read a model's description and check that it is one.

    Raises
    ------
    SeqplrpError
        For a missing or unreadable file, text that is not JSON (with its line), missing fields, or fields of
        the wrong type.
    """
    content = _read_json(path)
    if content.get("format") != _FORMAT:
        raise _not_ours(path, f"does not say format {_FORMAT!r}")
    if content.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        found = f"has format version {content['format_version']!r:.60}, this seqplrp reads {FORMAT_VERSION}"
        raise SeqplrpError(path, found, "update seqplrp, or train the model again")
    fields = {f.name: f for f in dataclasses.fields(ModelConfig)}
    required = [name for name, f in fields.items() if f.default_factory is dataclasses.MISSING and name != "seed"]
    missing = [name for name in required if name not in content]
    if missing:
        raise _not_ours(path, f"lacks {', '.join(missing)}")
    config = ModelConfig(**{name: content[name] for name in fields if name in content})
    _check_types(config, path)
    return config


def _read_json(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SeqplrpError(path, "there is no such file", "name a directory that seqplrp train wrote") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SeqplrpError(path, f"can't be read ({type(error).__name__})", "check the file") from error
    try:
        content = parse_json(text)
    except json.JSONDecodeError as error:
        raise SeqplrpError(
            f"{path}, line {error.lineno}", f"is not JSON ({error.msg})", "restore the file, or train the model again"
        ) from error
    except ValueError as error:
        raise _not_ours(path, f"can't be read as JSON ({first_line(error)})") from error
    if not isinstance(content, dict):
        raise _not_ours(path, f"holds a {type(content).__name__}, not an object")
    return content


def _check_types(config: ModelConfig, path: Path) -> None:
    types: dict[str, type] = {
        "architecture": str,
        "options": dict,
        "length": int,
        "flexible_length": bool,
        "n_outputs": int,
        "classes": list,
        "kind": str,
        "metrics": dict,
        "seed": int,
        "versions": dict,
        "training": dict,
        "data": dict,
        "warnings": list,
    }
    for name, expected in types.items():
        value = getattr(config, name)
        if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
            raise _not_ours(path, f"has {name} = {value!r:.60}, which should be of type {expected.__name__}")
    if config.kind not in KINDS:
        raise _not_ours(path, f"has kind = {config.kind!r:.60}, not one of {', '.join(KINDS)}")
    if config.length < 1 or config.n_outputs < 1:
        raise _not_ours(path, f"has length = {config.length} and n_outputs = {config.n_outputs}, not both positive")
    if len(config.classes) != config.n_outputs or not all(isinstance(name, str) for name in config.classes):
        raise _not_ours(path, f"names {len(config.classes)} classes for {config.n_outputs} outputs")
    unreadable = [name for name in config.classes if not name or not name.isprintable()]
    if unreadable:
        raise _not_ours(path, f"names a class {unreadable[0]!r:.60}, which no table could show")


def _not_ours(path: Path, what: str) -> SeqplrpError:
    return SeqplrpError(path, what, "restore the file that seqplrp train wrote, or train the model again")
