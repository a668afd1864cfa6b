"""The models that a command names: model directories, saved programs, the user's own code; one, or an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Program
from seqplrp.models import ModelConfig, load_callable_model, load_model, program_inputs


@dataclass(frozen=True)
class Loaded:
    """A model as it was loaded.

    Parameters
    ----------
    name : str
        As the command line names it, with its file of weights if it has one.
    module : Module
        In evaluation mode, on the CPU.
    config : ModelConfig, optional
        Its description, if seqplrp trained it.
    notes : tuple of str
        What a reader of its maps must know of it.
    """

    name: str
    module: nn.Module
    config: ModelConfig | None
    notes: tuple[str, ...] = ()

    @property
    def length(self) -> int | None:
        """The bases of a sequence that it was trained or exported for; None where it does not say."""
        if self.config is not None:
            return self.config.length
        if not isinstance(self.module, Program):
            return None
        sizes = list(program_inputs(self.module)[0][1:])
        if len(sizes) != 2 or 4 not in sizes:  # no one-hot sequences: running it tells what is wrong
            return None
        sizes.remove(4)
        return sizes[0]


def load_models(names: Sequence[str], weights: Sequence[Path], *, trust_pickle: bool) -> tuple[Loaded, ...]:
    """Load every model that a command names.

    Parameters
    ----------
    names : sequence of str
        Model directories, ``.pt2`` files, ``module:callable``.
    weights : sequence of Path
        Of the callables, in their order. Several with a single callable make a model each.
    trust_pickle : bool
        Whether files may be unpickled, which runs code that they name.

    Raises
    ------
    SeqplrpError
        For whatever can't be loaded, and for weights that belong to no model.
    """
    return tuple(_load(name, path, trust_pickle) for name, path in _paired(names, weights))


def _is_callable(name: str) -> bool:
    return ":" in name and not Path(name).exists()


def _means_code(name: str) -> bool:
    """Say whether a file of Python, or the module in one, is named without what in it makes the model."""
    if ":" in name or Path(name).is_dir():
        return False
    return name.endswith(".py") or (not Path(name).exists() and Path(*name.split(".")).with_suffix(".py").is_file())


def _paired(names: Sequence[str], weights: Sequence[Path]) -> list[tuple[str, Path | None]]:
    """Give each callable its weights."""
    callables = [name for name in names if _is_callable(name)]
    for name in names:
        if _means_code(name):
            load_callable_model(name)  # says what to write instead
    if weights and not callables:
        raise SeqplrpError(
            "--weights",
            "is for module:callable; a model directory and a saved program have their own",
            "leave it out or change --model",
        )
    if len(names) == 1 and callables and weights:  # folds of one architecture
        return [(names[0], path) for path in weights]
    if weights and len(weights) != len(callables):
        raise SeqplrpError(
            "--weights",
            f"{len(weights)} given for {len(callables)} models of the form module:callable",
            "give one for each of them, in their order",
        )
    rest = iter(weights)
    return [(name, next(rest, None) if _is_callable(name) else None) for name in names]


def _load(name: str, weights: Path | None, trust_pickle: bool) -> Loaded:
    if _is_callable(name):
        notes: list[str] = []
        module = load_callable_model(name, weights, trust_pickle=trust_pickle, note=notes.append)
        return Loaded(name if weights is None else f"{name} {weights}", module, None, tuple(notes))
    model = load_model(name, trust_pickle=trust_pickle)
    return Loaded(name, model, getattr(model, "config", None))
