"""Models from the user's own code: ``module:callable`` and a file of weights."""

from __future__ import annotations

import importlib
import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.models.storage import load_weights, read_safetensors

_NESTED = ("state_dict", "model_state_dict")


def load_callable_model(spec: str, weights: Path | str | None = None, *, trust_pickle: bool = False) -> nn.Module:
    """Make a torch model by calling the user's own code, and load its weights.

    Parameters
    ----------
    spec : str
        ``module:callable``: a class or function without required arguments that gives an `nn.Module` (``net:Model``,
        ``lab.models:make``), or the name of a module that is there. The current directory is searched too.
    weights : path, optional
        A safetensors file, or a file that ``torch.save(model.state_dict(), ...)`` wrote; also with the state dict under
        ``state_dict`` or ``model_state_dict``, and with the ``module.`` prefix of DataParallel. None: as made.
    trust_pickle : bool
        Let torch unpickle arbitrary objects from ``weights``, which runs code that the file names.

    Returns
    -------
    Module
        On the CPU, in eval mode.

    Raises
    ------
    SeqplrpError
        Where the module or callable is not there, fails, or gives something else; where the weights are missing,
        unreadable, hold more than tensors (unless trusted), or do not fit.

    Notes
    -----
    Importing a module runs its code: this is the user's own request, unlike anything in the weights file.
    """
    model = _make(spec)
    if weights is not None:
        path = Path(weights)
        load_weights(model, _strip_prefix(_read_weights(path, trust_pickle), model), path)
    return model.eval()


def _make(spec: str) -> nn.Module:
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise SeqplrpError(
            "--model", f"{spec!r} is no model directory and not module:callable", "write it as package.module:Name"
        )
    if module_name.endswith(".py") or "/" in module_name:
        suggestion = Path(module_name).with_suffix("").name
        raise SeqplrpError(
            "--model",
            f"{module_name!r} is a file, not a module's name",
            f"go to its directory and write {suggestion}:{attribute}",
        )
    with _current_directory_importable():
        target = _import(module_name)
        for name in attribute.split("."):
            if not hasattr(target, name):
                raise SeqplrpError("--model", f"{module_name} has no {attribute!r}", "check the name after the colon")
            target = getattr(target, name)
        made = target if isinstance(target, nn.Module) else _call(target, spec)
    if not isinstance(made, nn.Module):
        found = f"{spec} gives a {type(made).__name__}, not a torch.nn.Module"
        raise SeqplrpError("--model", found, "name a class or function that gives the model")
    return made.cpu()


def _import(name: str) -> Any:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SeqplrpError(
                "--model",
                f"there is no module {error.name!r}",
                "run in the directory that holds it, or install it into this environment",
            ) from error
        raise _failed(f"importing {name}", error) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"importing {name}", error) from error


def _call(target: Any, spec: str) -> Any:
    if not callable(target):
        raise SeqplrpError(
            "--model", f"{spec} is a {type(target).__name__}, which can't be called", "name a class or function"
        )
    try:
        return target()
    except (Exception, SystemExit) as error:
        raise _failed(f"calling {spec}()", error) from error


def _failed(what: str, error: BaseException) -> SeqplrpError:
    reason = " ".join(str(error).split())
    return SeqplrpError(
        "--model",
        f"{what} failed with {type(error).__name__}: {reason}",
        "give a module and callable that work without arguments",
    )


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    """Put the current directory first on ``sys.path`` for a while, as ``python -m`` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def _read_weights(path: Path, trust_pickle: bool) -> dict[str, Tensor]:
    if not path.is_file():
        raise SeqplrpError(path, "there is no such weights file", "check --weights")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except Exception as error:  # whatever bytes a file holds can make the unpickler fail in any way
        if isinstance(error, pickle.UnpicklingError) and not trust_pickle and zipfile.is_zipfile(path):
            raise SeqplrpError(
                path,
                "holds more than tensors: pickled objects, which run code when they are read",
                "save model.state_dict() instead, or add --trust-pickle if you trust where it comes from",
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SeqplrpError(
            path,
            f"can't be read as a torch file ({reason[:200]})",
            "give safetensors, or what torch.save(model.state_dict(), ...) wrote",
        ) from error
    return _state_dict(content, path)


def _state_dict(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, nn.Module):  # possible only when pickles are trusted
        content = content.state_dict()
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        found = type(content).__name__
        if isinstance(content, Mapping):
            found = f"a mapping with {', '.join(list(map(repr, content))[:4])}"
        raise SeqplrpError(path, f"holds {found}, not tensors by name", "save model.state_dict()")
    return dict(content)


def _strip_prefix(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Take off the prefix that (Distributed)DataParallel puts before every name, unless it is the model's own."""
    prefix = "module."
    own = any(name.startswith(prefix) for name in model.state_dict())
    if own or not weights or not all(name.startswith(prefix) for name in weights):
        return weights
    return {name.removeprefix(prefix): value for name, value in weights.items()}
