"""A model directory: ``model.safetensors`` with the weights, ``config.json`` with everything else.

`load_model` takes a saved program, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.models.config import CONFIG_FILE, ModelConfig, read_config, write_config
from seqplrp.models.programs import load_program
from seqplrp.models.zoo import SequenceModel, build_model, check_architecture, outline

WEIGHTS_FILE = "model.safetensors"


def save_model(model: nn.Module, directory: Path | str, config: ModelConfig) -> None:
    """Write a zoo model's weights and description into a directory, which is made if need be.

    Parameters
    ----------
    model : Module
        Built with ``config``'s architecture and options.
    directory : path
        Where to write ``model.safetensors`` and ``config.json``.
    config : ModelConfig
        The description.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    # Not save_file: it makes files that the owner alone can read, whatever the umask.
    (folder / WEIGHTS_FILE).write_bytes(save(weights))
    write_config(config, folder / CONFIG_FILE)


def load_model(path: Path | str, *, trust_pickle: bool = False) -> nn.Module:
    """Load a model that `save_model` (or ``seqplrp train``) wrote, or a program that `torch.export.save` wrote.

    Parameters
    ----------
    path : path
        A directory with ``model.safetensors`` and ``config.json``, or a ``.pt2`` file.
    trust_pickle : bool
        Let torch unpickle what a ``.pt2`` file holds, which runs code of whoever made it; see `load_program`.

    Returns
    -------
    Module
        A `SequenceModel` on the CPU, in eval mode, with its description as ``.config``; or a `Program`.

    Raises
    ------
    SeqplrpError
        For missing or broken files, an unknown architecture or option, or weights that do not fit; for a program that
        can't be loaded, or that asks for trust.
    """
    folder = Path(path)
    if folder.is_file():
        return load_program(folder, trust_pickle=trust_pickle)
    if not folder.is_dir():
        raise SeqplrpError(
            folder,
            "there is no such directory or file",
            "name a directory that seqplrp train wrote, or a .pt2 file of torch.export.save",
        )
    return _load_directory(folder)


def _load_directory(folder: Path) -> SequenceModel:
    config = read_config(folder / CONFIG_FILE)
    size = {"length": config.length, "n_outputs": config.n_outputs}
    with _described_in(folder / CONFIG_FILE):
        check_architecture(config.architecture, config.options)
        shapes = outline(config.architecture, **size, **config.options)
    weights = read_safetensors(folder / WEIGHTS_FILE)
    # before memory is taken for it: a small file may describe a network of any size
    check_fit(shapes, weights, folder / WEIGHTS_FILE)
    # the weights drawn here are overwritten; the caller's stream stays
    with _described_in(folder / CONFIG_FILE), torch.random.fork_rng(devices=[]):
        model = build_model(config.architecture, **size, **config.options)
    model.load_state_dict(weights)
    model.config = config
    return model.eval()


@contextmanager
def _described_in(file: Path) -> Iterator[None]:
    """Let errors of a model's description name its file."""
    try:
        yield
    except SeqplrpError as error:
        raise SeqplrpError(file, f"{error.where}: {error.what}", error.remedy) from error


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file by name; a missing or broken file is a `SeqplrpError`."""
    if not path.is_file():
        raise SeqplrpError(path, "the weights file is missing", "restore it, or train the model again")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise SeqplrpError(
            path, f"can't be read as safetensors ({whole_message(error)})", "restore the file"
        ) from error


def load_weights(model: nn.Module, weights: dict[str, Tensor], where: object) -> None:
    """Copy weights into a model; `SeqplrpError` names the tensors and shapes that do not fit.

    The model is unchanged where they do not fit.
    """
    check_fit(model, weights, where)
    model.load_state_dict(weights)


def check_fit(model: nn.Module, weights: dict[str, Tensor], where: object) -> None:
    """Raise a SeqplrpError that names the tensors and shapes of weights that are not those of a model."""
    own = model.state_dict()
    missing = [name for name in own if name not in weights]
    surplus = [name for name in weights if name not in own]
    reshaped = [
        f"{name} is {tuple(weights[name].shape)}, the model has {tuple(own[name].shape)}"
        for name in own
        if name in weights and weights[name].shape != own[name].shape
    ]
    faults = []
    if reshaped:
        faults.append(_first(reshaped, "shapes differ"))
    if missing:
        faults.append(_first([f"{name} {tuple(own[name].shape)}" for name in missing], "missing"))
    if surplus:
        faults.append(_first([f"{name} {tuple(weights[name].shape)}" for name in surplus], "not in the model"))
    if faults:
        raise SeqplrpError(
            where,
            f"the weights do not fit the model: {'. '.join(faults)}",
            "use the architecture and options that the weights were trained with",
        )


def _first(items: list[str], what: str, shown: int = 3) -> str:
    more = f", and {len(items) - shown} more" if len(items) > shown else ""
    return f"{what}: {', '.join(items[:shown])}{more}"
