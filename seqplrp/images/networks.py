"""Image networks by name, from torchvision, from seqplrp or from the user's own code, with what belongs to them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.images.batches import usual_preprocessing
from seqplrp.images.extras import imported
from seqplrp.images.preprocessing import IMAGENET, Preprocessing
from seqplrp.images.slim import SLIM, Builder
from seqplrp.images.weights import (
    SUFFIX,
    WEIGHTS_FILE,
    Told,
    described,
    published,
    published_as,
    told_by,
    told_by_torchvision,
)
from seqplrp.models import load_callable_model, read_weights, take_weights, weights_sha256
from seqplrp.storage import write_whole

RANDOM = "random"
"""In place of weights: new ones."""

_USUAL = "torch.float32"


@dataclass(frozen=True)
class ImageNetwork:
    """A network that classifies images, and what belongs to it.

    Parameters
    ----------
    name : str
        As it was asked for.
    module : Module
        From (N, 3, H, W) to (N, classes), in evaluation mode, on the CPU.
    preprocessing : Preprocessing
        What is done to an image before the network sees it.
    classes : tuple of str or None
        The name of each output, where they are known.
    weights : str
        Where the weights came from.
    notes : tuple of str
        What was assumed and who reads results must know.
    """

    name: str
    module: nn.Module = field(repr=False)
    preprocessing: Preprocessing
    classes: tuple[str, ...] | None = field(repr=False)
    weights: str
    notes: tuple[str, ...] = ()

    @cached_property
    def weights_sha256(self) -> str:
        """Hash of names, shapes and values of all weights as they are when it is first asked for."""
        return weights_sha256(self.module)

    @property
    def class_numbers(self) -> dict[str, int] | None:
        """The output of each class by its name, for those whose name no other has; None where names are not known."""
        if self.classes is None:
            return None
        names = self.classes
        return {name: number for number, name in enumerate(names) if names.count(name) == 1}


@dataclass(frozen=True)
class Architecture:
    """A network that is known by name.

    Parameters
    ----------
    build : callable
        Makes one.
    head : str
        Module path of its last linear layer.
    preprocessing : Preprocessing
        Where nothing else says what its weights expect.
    n_classes : int
        Outputs where nothing says how many.
    published : str or None
        torchvision's name of it, if it has weights to download.
    """

    build: Builder
    head: str
    preprocessing: Preprocessing = IMAGENET
    n_classes: int = 1000
    published: str | None = None


def _build_torchvision(name: str, *, n_classes: int, image_size: int) -> nn.Module:
    del image_size  # torchvision's pool whatever size to one
    models = imported("torchvision.models", f"network {name}")
    return cast(nn.Module, models.get_model(name, weights=None, num_classes=n_classes))


def _of_torchvision(name: str, head: str) -> Architecture:
    return Architecture(partial(_build_torchvision, name), head, published=name)


NETWORKS: dict[str, Architecture] = {
    "vgg16": _of_torchvision("vgg16", "classifier.6"),
    "vgg16_bn": _of_torchvision("vgg16_bn", "classifier.6"),
    "vgg19": _of_torchvision("vgg19", "classifier.6"),
    "vgg19_bn": _of_torchvision("vgg19_bn", "classifier.6"),
    "resnet18": _of_torchvision("resnet18", "fc"),
    "resnet50": _of_torchvision("resnet50", "fc"),
    **{name: Architecture(slim.build, slim.head, usual_preprocessing(64), n_classes=8) for name, slim in SLIM.items()},
}
"""The networks that are known by name."""


def load_network(
    name: str,
    *,
    weights: Path | str | None = None,
    preprocessing: Preprocessing | None = None,
    changed: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    trust_pickle: bool = False,
) -> ImageNetwork:
    """Load an image network.

    Parameters
    ----------
    name : str
        A key of `NETWORKS`; a file that `save_network` wrote, or the directory of ``seqplrp image train`` that holds
        it; or ``module:callable`` for the user's own code (see `seqplrp.models.load_callable_model`), which takes
        images (N, 3, H, W) and gives scores (N, classes).
    weights : path or str, optional
        ``DEFAULT`` or the name of other weights of torchvision (``IMAGENET1K_V1``), which torchvision downloads unless
        it has them; a file, safetensors or what ``torch.save(model.state_dict(), ...)`` wrote; or ``random``. Unless
        given, a network that has published weights gets ``DEFAULT``, and ``module:callable`` those that it makes.
    preprocessing : Preprocessing, optional
        Unless given, that of the weights; where they don't say, the network's usual one, and a note says so.
    changed : mapping of str to value, optional
        Fields of the preprocessing that are to be others than those.
    classes : sequence of str, optional
        The outputs' names, unless the weights say.
    seed : int
        Of random weights.
    trust_pickle : bool
        Whether a file of weights may be unpickled, which runs code that it names.

    Raises
    ------
    SeqplrpError
        Where there is no such network or weights, torchvision is not installed, weights can't be downloaded or read or
        do not fit, or the number of classes is another.

    Notes
    -----
    A file of weights decides how many outputs a network has. Files that are torchvision's own are known by their
    content, whatever their name is. The user's own networks compute in 32 bits.
    """
    given = _Given(preprocessing, None if classes is None else tuple(classes), seed, trust_pickle)
    if name not in NETWORKS and (Path(name) / WEIGHTS_FILE).is_file():
        name = str(Path(name) / WEIGHTS_FILE)
    if name.endswith(SUFFIX):
        name, found = _saved(Path(name), weights, given)
    elif ":" in name:
        found = _of_the_user(name, weights, given)
    elif name in NETWORKS:
        found = _known(name, NETWORKS[name], weights, given)
    else:
        known = ", ".join(NETWORKS)
        raise SeqplrpError("network", f"{name!r} is not known{_guess(name)}", f"use one of {known}, or module:callable")
    changes, notes = dict(changed or {}), found.notes
    expected = given.preprocessing or found.told.preprocessing
    if expected is None:
        expected = found.usual
        notes = (*notes, *_assumed(expected, changes))
    expected = replace(expected, **changes)
    named = given.classes or found.told.classes
    return ImageNetwork(name, found.module.eval(), expected, named, found.weights, notes)


def save_network(network: ImageNetwork, path: Path | str) -> None:
    """Write a network's weights, its name, its classes and its preprocessing into one safetensors file.

    Parameters
    ----------
    network : ImageNetwork
        One of `NETWORKS`.
    path : path
        The file; `load_network` takes it in a name's place, or as the network's weights.

    Raises
    ------
    SeqplrpError
        Where the network's name is not in `NETWORKS`, or the path does not end in ``.safetensors``.
    """
    file = Path(path)
    if network.name not in NETWORKS:
        raise SeqplrpError(f"network {network.name}", "is not known by name", "save its state_dict with safetensors")
    if file.suffix != SUFFIX:
        raise SeqplrpError(file, f"does not end in {SUFFIX}", f"name it {file.stem}{SUFFIX}")
    beside = described(network.name, network.weights, network.preprocessing, network.classes)
    tensors = {name: value.detach().cpu().contiguous() for name, value in network.module.state_dict().items()}
    write_whole(file, save(tensors, metadata=beside))


def _assumed(expected: Preprocessing, changes: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what was assumed of images, but for what the user said."""
    rest = [f"{one.name}={getattr(expected, one.name)!r}" for one in fields(expected) if one.name not in changes]
    return (f"the weights do not say what they expect; assumed: {', '.join(rest)}",) if rest else ()


# ---- from where


@dataclass(frozen=True)
class _Given:
    """What the user says of a network; it goes before what its weights tell."""

    preprocessing: Preprocessing | None
    classes: tuple[str, ...] | None
    seed: int
    trust_pickle: bool


@dataclass(frozen=True)
class _Found:
    """A network, where its weights came from, what they tell, and what is assumed where they don't."""

    module: nn.Module
    weights: str
    told: Told
    usual: Preprocessing = IMAGENET
    notes: tuple[str, ...] = ()


def _of_the_user(name: str, weights: Path | str | None, given: _Given) -> _Found:
    if weights in (RANDOM, "DEFAULT"):
        raise SeqplrpError(f"network {name}", "makes its own weights", f"leave {weights} out, or name a file")
    try:
        module = load_callable_model(name, weights, trust_pickle=given.trust_pickle)
    except SeqplrpError as error:
        where = "network" if error.where == "--model" else error.where
        raise SeqplrpError(where, error.what, error.remedy) from error
    odd = sorted({str(one.dtype) for one in module.state_dict().values() if one.is_floating_point()} - {_USUAL})
    notes = (f"weights in {' and '.join(odd)} were taken in {_USUAL}",) if odd else ()
    module = copy.deepcopy(module).float() if odd else module
    return _Found(module, "as made" if weights is None else str(weights), Told(), notes=notes)


def _saved(path: Path, weights: Path | str | None, given: _Given) -> tuple[str, _Found]:
    """Return a saved network's name, and the network."""
    if weights is not None:
        raise SeqplrpError(path, "has weights of its own", "leave the others out, or ask for a network by its name")
    told = told_by(path)
    if told is None or told.network is None:
        remedy = "give the network's name, and this file as its weights"
        raise SeqplrpError(path, "does not say of which network its weights are", remedy)
    if told.network not in NETWORKS:
        raise SeqplrpError(path, f"holds weights of {told.network}, which is not known", "update seqplrp")
    return told.network, _from_file(told.network, NETWORKS[told.network], path, given)


def _known(name: str, architecture: Architecture, weights: Path | str | None, given: _Given) -> _Found:
    if weights is None and architecture.published is None:
        raise SeqplrpError(f"network {name}", "has no published weights", "name a file of weights, or random")
    asked = "DEFAULT" if weights is None else weights
    if asked == RANDOM:
        return _random(architecture, given)
    member = None if isinstance(asked, Path) else _published(architecture, asked)
    return _from_file(name, architecture, Path(asked), given) if member is None else _downloaded(name, member, given)


def _random(architecture: Architecture, given: _Given) -> _Found:
    expected = given.preprocessing or architecture.preprocessing
    n_classes = architecture.n_classes if given.classes is None else len(given.classes)
    with torch.random.fork_rng(devices=[]):  # the caller's stream stays
        torch.manual_seed(given.seed)
        module = architecture.build(n_classes=n_classes, image_size=_image_size(expected))
    note = "random weights: maps show what explaining costs, and say nothing of images"
    return _Found(module, f"random, seed {given.seed}", Told(preprocessing=expected), notes=(note,))


def _published(architecture: Architecture, asked: str) -> Any:
    """Return torchvision's weights by name; None where it is no name of theirs, but a file's."""
    members = {} if architecture.published is None else published(architecture.published)
    member = members.get(asked.rpartition("_Weights.")[2])
    if member is None and not Path(asked).exists() and not any(sign in asked for sign in "./\\"):
        known = ", ".join([*members, RANDOM])
        raise SeqplrpError("weights", f"{asked!r} is no file and no name of weights", f"name a file, or use {known}")
    return member


def _downloaded(name: str, member: Any, given: _Given) -> _Found:
    """Let torchvision load weights of its own."""
    told = told_by_torchvision(member)
    _check_classes(given, len(told.classes or ()), str(member))
    try:
        module = imported("torchvision.models", f"network {name}").get_model(name, weights=member)
    except (OSError, RuntimeError) as error:  # no network, a full disk; a file that is not what was published
        raise SeqplrpError(
            f"weights {member}",
            f"can't be had from {member.url} ({first_line(error)})",
            "download that file where you can, and name it as the weights",
        ) from error
    return _Found(module, f"torchvision {member}", told)


def _from_file(name: str, architecture: Architecture, path: Path, given: _Given) -> _Found:
    tensors = read_weights(path, trust_pickle=given.trust_pickle)
    told = told_by(path)
    if told is not None and told.network not in (None, name):
        raise SeqplrpError(path, f"holds weights of {told.network}, not of {name}", f"ask for {told.network}")
    if told is None and architecture.published is not None:
        member = published_as(architecture.published, path)
        told = None if member is None else told_by_torchvision(member)
    told = told or Told()
    outputs = _outputs(tensors, architecture)
    _check_classes(given, outputs, str(path))
    if told.classes is not None and len(told.classes) != outputs:
        raise SeqplrpError(path, f"names {len(told.classes)} classes for {outputs} outputs", "save it again")
    expected = told.preprocessing or given.preprocessing or architecture.preprocessing  # the size is the weights' own
    with torch.device("meta"):  # nothing is drawn that is overwritten: VGG would spend seconds on it
        module = architecture.build(n_classes=outputs, image_size=_image_size(expected))
    module.to_empty(device="cpu")
    take_weights(module, tensors, path)
    return _Found(module, str(path), told, architecture.preprocessing)


def _check_classes(given: _Given, outputs: int, weights: str) -> None:
    if given.classes is not None and len(given.classes) != outputs:
        raise SeqplrpError(
            "classes", f"{len(given.classes)} names for the {outputs} outputs of {weights}", "name each output once"
        )


def _outputs(tensors: Mapping[str, Tensor], architecture: Architecture) -> int:
    """Return how many outputs weights are for; the network's usual number where they don't tell."""
    for prefix in ("", "module."):
        bias = tensors.get(f"{prefix}{architecture.head}.bias")
        if bias is not None and bias.dim() == 1:
            return len(bias)
    return architecture.n_classes


def _image_size(preprocessing: Preprocessing) -> int:
    return 224 if preprocessing.size is None else preprocessing.size[0]


def _guess(name: str) -> str:
    close = get_close_matches(name.lower(), NETWORKS, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
