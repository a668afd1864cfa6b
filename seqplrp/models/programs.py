"""Saved programs: ``.pt2`` files that `torch.export.save` wrote, loaded without running code of their makers."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_unflatten

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Program
from seqplrp.models.program_archive import Archive, check_harmless

SUFFIX = ".pt2"
"""How the names of saved programs end."""

_NAME = "models/model.json"  # under this name torch.export.save puts its one program


def load_program(path: Path | str, *, trust_pickle: bool = False) -> Program:
    """Load a program that `torch.export.save` wrote, to be explained as it is.

    Parameters
    ----------
    path : path
        The ``.pt2`` file.
    trust_pickle : bool
        Let torch unpickle whatever the file holds, and run the code that the file's texts can hide; needed for weights
        of tensor subclasses and for objects that are no tensors.

    Returns
    -------
    Program
        A module; its inputs, and whether the batch size is free, are those that it was exported with.

    Raises
    ------
    SeqplrpError
        For a file that is missing, damaged, no saved program or of another torch's format, that asks for pickle or
        holds code (unless trusted), or whose inputs are not tensors given by position.
    """
    file = Path(path)
    try:
        content = file.read_bytes()
    except FileNotFoundError as error:
        raise SeqplrpError(file, "there is no such file", "name a file that torch.export.save wrote") from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SeqplrpError(file, f"can't be read ({reason})", "check the file") from error
    # What was checked is what is loaded: the file is read once.
    archive = Archive(content, file)
    description = _description(archive)
    _check_version(file, description)
    if not trust_pickle:
        check_harmless(archive)
    _check_devices(file, description)
    program = _loaded(file, content, description)
    _check_inputs(file, program.exported)
    _check_explainable(file, program.exported)
    return program


def _loaded(file: Path, content: bytes, description: dict[str, Any]) -> Program:
    """Let torch load a program that was looked through; what fails in it is told with the reason."""
    with _quiet() as logged:
        try:
            return Program(torch.export.load(io.BytesIO(content)))
        except SeqplrpError as error:  # of a part that knows no file
            raise SeqplrpError(file, error.what, error.remedy) from error
        except MemoryError as error:
            raise SeqplrpError(file, "does not fit into the memory", "free some, or load it elsewhere") from error
        except Exception as error:  # the loader raises whatever its parts meet
            # of its two tries it tells the first to its log alone
            cause = logged[0] if logged else error
            raise SeqplrpError(
                file,
                f"can't be loaded as a program: {_reason(cause)}",
                f"export and save it again with this torch ({torch.__version__}; it was saved by "
                f"{description.get('torch_version', 'an unknown one')})",
            ) from cause


def program_inputs(program: Program) -> tuple[tuple[int | None, ...], ...]:
    """Return the shapes that a program's inputs were exported with, None for sizes that are free.

    The first size of the first is how many sequences the program takes at a time.
    """
    nodes = {node.name: node for node in program.exported.graph.nodes if node.op == "placeholder"}
    values = [nodes[str(name)].meta["val"] for name in program.exported.graph_signature.user_inputs]
    return tuple(tuple(size if isinstance(size, int) else None for size in value.shape) for value in values)


def _description(archive: Archive) -> dict[str, Any]:
    """Return the program's own entry."""
    programs = archive.programs()
    if not programs:
        if archive.has("data/aotinductor/"):
            what = "holds a compiled program, of which no graph is left to explain"
        elif archive.has("data.pkl"):
            what = "is no saved program but what torch.save writes"
        else:
            what = "is no saved program: it holds no program of torch"
        raise SeqplrpError(
            archive.path,
            what,
            "export the model: torch.export.save(torch.export.export(model, (x,)), 'model.pt2'), "
            "or give module:callable with --weights",
        )
    # torch reads the old layout's program where there is none in the new one
    is_new = any(name.startswith("models/") for name in programs)
    found = programs.get(_NAME) if is_new else next(iter(programs.values()))
    if found is None:
        raise SeqplrpError(archive.path, "holds programs, but none named 'model'", "save one with torch.export.save")
    return dict(found)


def _check_version(file: Path, description: dict[str, Any]) -> None:
    """Raise where the program is in another format than this torch's."""
    from torch._export.serde.schema import SCHEMA_VERSION

    version = description.get("schema_version")
    major = version.get("major") if isinstance(version, dict) else None
    if major == SCHEMA_VERSION[0]:
        return
    raise SeqplrpError(
        file,
        f"was saved by torch {description.get('torch_version')} in format {major}; "
        f"this torch {torch.__version__} reads format {SCHEMA_VERSION[0]}",
        "export and save the model again with this torch, or install that one",
    )


def _check_devices(file: Path, description: dict[str, Any]) -> None:
    """Raise where the program was exported on a kind of device that is not here."""
    for kind in sorted(_devices(description)):
        if kind == "cuda" and not torch.cuda.is_available():
            raise SeqplrpError(
                file, "was exported on a GPU (cuda), and there is none here", "export the model on the CPU: model.cpu()"
            )


def _devices(value: Any, key: str = "") -> set[str]:
    """Return the kinds of devices that tensors of the program are on."""
    if isinstance(value, dict):
        here = {str(value["type"])} if key in ("device", "as_device") and "type" in value else set()
        return here.union(*(_devices(item, name) for name, item in value.items()))
    if isinstance(value, list):
        return set().union(*(_devices(item, key) for item in value))
    return set()


def _reason(error: BaseException) -> str:
    """Return the line of an error that says most: the last of a traceback told within."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if line.startswith("We failed to resolve")), lines[-1] if lines else "")
    return f"{type(error).__name__}: {told}"[:300]


@contextmanager
def _quiet() -> Iterator[list[BaseException]]:
    """Keep torch's loader from warning and logging, and collect the errors that it logs."""
    found: list[BaseException] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name == "torch.export" and record.exc_info and record.exc_info[1] is not None:
                found.append(record.exc_info[1])

    collector = Collector()
    loggers = [logging.getLogger(name) for name in ("torch", "torch.export")]  # torch gives each a handler of its own
    before = [(logger, logger.handlers, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers, logger.propagate = [collector], False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield found
    finally:
        for logger, handlers, propagated in before:
            logger.handlers, logger.propagate = handlers, propagated


def _check_inputs(file: Path, program: torch.export.ExportedProgram) -> None:
    """Raise where an input is no tensor: those are what can be explained or held fixed."""
    remedy = "export the model with tensors as its inputs, the sequences first"
    inputs = list(program.graph_signature.user_inputs)
    spec = program.call_spec.in_spec
    packed = [] if spec is None else [a for a in tree_unflatten(inputs, spec)[0] if isinstance(a, tuple | list | dict)]
    if packed:
        raise SeqplrpError(file, "takes tensors packed into a tuple, a list or a dictionary", remedy)
    values = {node.name: node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder"}
    other = [given for given in inputs if not isinstance(values.get(str(given)), torch.Tensor)]
    if not inputs or other:
        what = f"takes {other[0]!r}, which is no tensor" if other else "takes no input"
        raise SeqplrpError(file, what, remedy)


_DROPS_AT = {"batch_norm": 5, "dropout": 2, "feature_dropout": 2, "alpha_dropout": 2}
"""Operations that compute something else in training, and where their arguments say so."""


def _check_explainable(file: Path, program: torch.export.ExportedProgram) -> None:
    """Raise for what no explanation can be made of: training mode, and weights of half precision or of no tensors."""
    for node in program.graph.nodes:
        name = getattr(getattr(node.target, "overloadpacket", None), "__name__", "")
        training = name in _DROPS_AT and len(node.args) > _DROPS_AT[name] and node.args[_DROPS_AT[name]] is True
        if training or name.startswith("_native_batch_norm_legit_functional"):
            raise SeqplrpError(
                file, f"was exported in training mode ({name})", "call model.eval(), then export and save it again"
            )
    other = [name for name, weight in program.state_dict.items() if not isinstance(weight, torch.Tensor)]
    if other:  # a trusted pickle may hold anything
        raise SeqplrpError(file, f"its weight {other[0]!r} is no tensor", "export and save the model again")
    floats = [w.dtype for w in program.state_dict.values() if w.is_floating_point()]
    halves = set(floats) - {torch.float32, torch.float64}
    if halves:
        raise SeqplrpError(
            file, f"has weights in {min(map(str, halves))}", "export it in float32: call model.float() before"
        )
