"""Models and functions from the user's own code: ``module:callable``, and a file of weights."""

from __future__ import annotations

import ast
import importlib
import io
import pickle
import random
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.models.storage import load_weights, read_safetensors

_NESTED = ("state_dict", "model_state_dict")


def load_callable_model(
    spec: str,
    weights: Path | str | None = None,
    *,
    trust_pickle: bool = False,
    note: Callable[[str], None] | None = None,
) -> nn.Module:
    """Make a torch model by calling the user's own code, and load its weights.

    Parameters
    ----------
    spec : str
        ``module:callable``: a class or function without required arguments that gives an `nn.Module` (``net:Model``,
        ``lab.models:make``), or the name of a module that is there. The current directory is searched too.
    weights : path, optional
        A safetensors file, or a file that ``torch.save(model.state_dict(), ...)`` wrote; also with the state dict under
        ``state_dict`` or ``model_state_dict``, and with a prefix before all names (DataParallel's ``module.``, a
        Lightning checkpoint's ``model.``). None: as made.
    trust_pickle : bool
        Let torch unpickle arbitrary objects from ``weights``, which runs code that the file names.
    note : callable, optional
        Is told what the user must know of the model: of a prefix that was taken off all names of its weights, and that
        its weights are random, or may be. Where none are given and torch drew random numbers while the model was made,
        it is then made a second time, from other random numbers, and compared; the global random state is left as the
        first making left it.

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
    target = _attribute(spec, "--model")
    before = _torch_random_state()
    model = _make(target, spec)
    if weights is not None:
        take_weights(model, read_weights(weights, trust_pickle=trust_pickle), weights, note=note)
    elif note is not None and not isinstance(target, nn.Module) and not _same(before, _torch_random_state()):
        drawn = _drawn_weights(target, model)
        if drawn is None:
            note(_told_unknown(spec))
        elif drawn:
            note(_told_random(spec, drawn, len(model.state_dict())))
    return model.eval()


def read_weights(weights: Path | str, *, trust_pickle: bool = False) -> dict[str, Tensor]:
    """Read the tensors of a file by name.

    Parameters
    ----------
    weights : path
        As in `load_callable_model`.
    trust_pickle : bool
        As in `load_callable_model`.

    Raises
    ------
    SeqplrpError
        Where the file is missing, unreadable, or holds more than tensors (unless trusted).
    """
    path = Path(weights)
    if not path.is_file():
        raise SeqplrpError(path, "there is no such weights file", "check --weights")
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    return _state_dict(_unpickled(path, trust_pickle), path)


def take_weights(
    model: nn.Module, weights: Mapping[str, Tensor], where: object, *, note: Callable[[str], None] | None = None
) -> None:
    """Copy weights that `read_weights` read into a model.

    Parameters
    ----------
    model : Module
        What they belong to; unchanged where they do not fit.
    weights : mapping of str to Tensor
        With or without the prefix of DataParallel, or another that all have (``model.`` of a Lightning checkpoint).
        Counters of batches, which files of old torch versions lack, stay as they are.
    where : object
        What they come from, for errors.
    note : callable, optional
        Is told of a prefix other than DataParallel's.

    Raises
    ------
    SeqplrpError
        Where they do not fit.
    """
    load_weights(model, {**_counters(model), **_strip_prefix(dict(weights), model, note)}, where)


def _counters(model: nn.Module) -> dict[str, Tensor]:
    """Return how many batches each batch norm has seen: of no effect outside training, and unknown to torch 0.4."""
    return {name: value for name, value in model.state_dict().items() if name.endswith("num_batches_tracked")}


def load_function(spec: str, option: str) -> Callable[..., Any]:
    """Find a function in the user's own code.

    Parameters
    ----------
    spec : str
        ``module:function``; the current directory is searched too.
    option : str
        What asked for it, for errors.

    Raises
    ------
    SeqplrpError
        Where the module or the function is not there, fails to be imported, or can't be called.
    """
    found = _attribute(spec, option)
    if not callable(found) or isinstance(found, type):
        raise SeqplrpError(option, f"{spec} is a {type(found).__name__}, no function", "name a function")
    return cast(Callable[..., Any], found)


def _make(target: Any, spec: str) -> nn.Module:
    with _current_directory_importable():
        made = target if isinstance(target, nn.Module) else _call(target, spec)
    if not isinstance(made, nn.Module):
        found = f"{spec} gives a {type(made).__name__}, not a torch.nn.Module"
        raise SeqplrpError("--model", found, "name a class or function that gives the model")
    return made.cpu()


def _torch_random_state() -> list[Tensor]:
    """Return the states of torch's generators: the CPU's, and those of GPUs that are in use."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(place) for place in _gpus_in_use())]


def _gpus_in_use() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)  # type: ignore[no-untyped-call]


def _same(before: list[Tensor], after: list[Tensor]) -> bool:
    """Say whether no generator that was there before has given a number since."""
    return all(torch.equal(one, other) for one, other in zip(before, after, strict=False))


def _drawn_weights(target: Callable[[], Any], model: nn.Module) -> list[str] | None:
    """Name the weights that are others when a model is made again, from other random numbers.

    None if it can't be made or compared again: nothing is known of them then.
    """
    try:
        with _random_states_kept(), _current_directory_importable():
            # not torch.manual_seed, which would seed GPUs, too, once they are used for the first time
            torch.default_generator.manual_seed(torch.default_generator.initial_seed() ^ 0x5EED)
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # it was said the first time
                other = target().cpu().state_dict()
        own = model.state_dict()
        return [name for name, value in own.items() if name in other and not _equal(value, other[name])]
    except (Exception, SystemExit):  # the user's own code may bear no second call
        return None


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and bool(((one == other) | (one.isnan() & other.isnan())).all())


@contextmanager
def _random_states_kept() -> Iterator[None]:
    """Put the random states of torch, NumPy and Python back afterwards."""
    ours, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=_gpus_in_use()):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(arrays)  # noqa: NPY002


def _told_random(spec: str, drawn: list[str], of: int) -> str:
    which = (
        "the weights" if len(drawn) == of else f"{len(drawn)} of {of} weights ({drawn[0]}{', ...' * (len(drawn) > 1)})"
    )
    return (
        f"{which} of {spec} are random, drawn anew whenever it is made, so the maps are those of an untrained network: "
        "give the trained ones by --weights FILE (safetensors, or what torch.save(model.state_dict(), ...) wrote)"
    )


def _told_unknown(spec: str) -> str:
    return (
        f"making {spec} drew random numbers, and it could not be made again and compared, to see whether they are its "
        "weights: if its own code loads no trained ones, give them by --weights FILE"
    )


def _attribute(spec: str, option: str) -> Any:
    """Import a module and return what stands behind the colon."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        what = f"{spec!r} is no model directory and not module:callable"
        if option != "--model":
            what = f"{spec!r} is not module:function"
        remedy = "write it as package.module:Name"
        raise SeqplrpError(option, what, _written_out(module_name) if option == "--model" and module_name else remedy)
    if module_name.endswith(".py") or "/" in module_name:
        suggestion = Path(module_name).with_suffix("").name
        raise SeqplrpError(
            option,
            f"{module_name!r} is a file, not a module's name",
            f"go to its directory and write {suggestion}:{attribute}",
        )
    with _current_directory_importable():
        target = _import(module_name, option)
        for name in attribute.split("."):
            if not hasattr(target, name):
                raise SeqplrpError(option, f"{module_name} has no {attribute!r}", "check the name after the colon")
            target = getattr(target, name)
    return target


def _written_out(module: str) -> str:
    """Say how a file, or the module in it, is to be named with what makes the model: its networks are read, not run."""
    file = Path(module) if module.endswith(".py") else Path(*module.split(".")).with_suffix(".py")
    name = file.stem if module.endswith(".py") else module
    go = f"go to {file.parent} and " if module.endswith(".py") and file.parent != Path() else ""
    networks: list[str] = []
    with suppress(OSError, ValueError, SyntaxError, RecursionError):
        for node in ast.parse(file.read_bytes()).body:
            if isinstance(node, ast.ClassDef) and any(
                ast.unparse(base).split(".")[-1] in ("Module", "LightningModule", *networks) for base in node.bases
            ):
                networks.append(node.name)
    if not networks:
        return f"{go}write {name}:NAME, the class or function that makes the model"
    return f"{go}write {' or '.join(f'{name}:{network}' for network in networks)}"


def _import(name: str, option: str) -> Any:
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise SeqplrpError(
                option,
                f"there is no module {error.name!r}",
                "run in the directory that holds it, or install it into this environment",
            ) from error
        raise _failed(f"importing {name}", error, option) from error
    except (Exception, SystemExit) as error:
        raise _failed(f"importing {name}", error, option) from error


def _call(target: Any, spec: str) -> Any:
    if not callable(target):
        raise SeqplrpError(
            "--model", f"{spec} is a {type(target).__name__}, which can't be called", "name a class or function"
        )
    try:
        return target()
    except (Exception, SystemExit) as error:
        raise _failed(f"calling {spec}()", error, "--model") from error


def _failed(what: str, error: BaseException, option: str) -> SeqplrpError:
    return SeqplrpError(
        option,
        f"{what} failed with {whole_message(error, kind=True)}",
        "give a module and callable that work without arguments" if option == "--model" else "mend the module",
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


def _unpickled(path: Path, trust_pickle: bool) -> Any:
    """Return what `torch.save` wrote: tensors alone, unless pickles are trusted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle's protocols, which nobody who loads weights chose
            return torch.load(path, map_location="cpu", weights_only=not trust_pickle)
    except Exception as error:  # whatever bytes a file holds can make the unpickler fail in any way
        garbled = "Unsupported operand" in str(error)
        if isinstance(error, pickle.UnpicklingError) and not garbled and not trust_pickle and _is_zip(path):
            raise SeqplrpError(
                path,
                "holds more than tensors: pickled objects, which run code when they are read",
                "save model.state_dict() instead, or add --trust-pickle if you trust where it comes from",
            ) from error
        raise SeqplrpError(
            path,
            f"can't be read as weights: {_fault(path, error if trust_pickle else None)}",
            "give safetensors, or what torch.save(model.state_dict(), ...) wrote",
        ) from error


def _fault(path: Path, unpickling: Exception | None) -> str:
    """Say in plain words what is wrong with a file that torch can't read; its own words are for programmers.

    Parameters
    ----------
    path : Path
        The file.
    unpickling : Exception, optional
        What came of reading it with all that pickle can do.
    """
    with open(path, "rb") as file:
        begin = file.read(4)
    if not begin:
        return "it is empty"
    if begin == b"PK\x03\x04" and not _is_zip(path):
        return "it is cut short"
    if begin[:1] == b"\x80" or begin[:2] == b"PK":  # a pickle of protocol 2 or above, alone or in a zip archive
        if unpickling is not None and not isinstance(unpickling, RuntimeError | EOFError | pickle.UnpicklingError):
            return f"unpickling it failed ({type(unpickling).__name__}: {' '.join(str(unpickling).split())[:200]})"
        return "it holds something else than tensors that torch.save wrote, or it is damaged"
    return "it is no file of torch's"


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # a part of an archive, or so it says
        return False


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


def _strip_prefix(
    weights: dict[str, Tensor], model: nn.Module, note: Callable[[str], None] | None
) -> dict[str, Tensor]:
    """Take off the prefix that a wrapper put before every name, unless it is the model's own.

    That of (Distributed)DataParallel always, any other (``model.`` of a Lightning checkpoint) where all the rest
    are then the model's names.
    """
    own = {name for name in model.state_dict() if not name.endswith("num_batches_tracked")}
    prefix, usual = "", "module."
    if weights and all(name.startswith(usual) for name in weights) and not any(name.startswith(usual) for name in own):
        prefix = usual
    for depth in range(1, min((name.count(".") for name in weights), default=0) + 1):
        common = ".".join(next(iter(weights)).split(".")[:depth]) + "."
        rest = {name.removeprefix(common) for name in weights if not name.endswith("num_batches_tracked")}
        if all(name.startswith(common) for name in weights) and rest == own:
            prefix = common
            break
    if prefix not in ("", usual) and note is not None:
        note(f"all names of the weights begin with {prefix!r}, which was taken off")
    return {name.removeprefix(prefix): value for name, value in weights.items()}
