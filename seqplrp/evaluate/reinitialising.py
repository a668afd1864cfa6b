"""A model whose layers forget what they learned: the layers of a model from the top, and copies with new weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.evaluate.draws import seed_from

Reset = Callable[[nn.Module], None]
"""Gives a module new weights in place, by torch's own random numbers (which are seeded when it is called)."""

_PARAMETRIZED = ".parametrizations."


@dataclass(frozen=True)
class Layer:
    """What is re-initialised together.

    Attributes
    ----------
    name : str
        Module path of the layer; of weights that the model itself holds, its class.
    modules : tuple of str
        Module paths of all that belongs to it: the layer itself, its parametrisations, and the norms and scales that
        come after it and before the next layer.
    """

    name: str
    modules: tuple[str, ...]


def layers_of(model: nn.Module, example: Tensor | None = None) -> list[Layer]:
    """List the layers of a model that hold weights, the last first.

    A layer is a module with parameters, or running statistics, of its own. What holds vectors alone (norms, scales)
    belongs to the layer before it: a norm's statistics describe that layer's output, and neither knows much by itself.
    A module that is called several times is one layer, where it is called first.

    Parameters
    ----------
    model : Module
    example : Tensor, optional
        An input, to order layers as the model calls them (on a copy). Without it they come as the model defines them,
        which is the same in most models.

    Raises
    ------
    SeqplrpError
        If the model has no parameters.
    """
    if next(model.parameters(), None) is None:
        raise SeqplrpError(type(model).__name__, "has no parameters", "give a model that was trained")
    owners = [name for name, module in model.named_modules() if _learns(module)]
    if example is not None:
        called = _called(model, example)
        owners.sort(key=lambda name: _place(name.split(_PARAMETRIZED)[0], called))
    layers: list[tuple[str, list[str]]] = []
    for name in owners:
        own = name.split(_PARAMETRIZED)[0]
        title = own or type(model).__name__
        known = next((members for other, members in layers if other == title), None)
        if known is not None:
            known.append(name)
        elif layers and _is_slight(model.get_submodule(own)):
            layers[-1][1].append(name)
        else:
            layers.append((title, [name]))
    return [Layer(title, tuple(members)) for title, members in reversed(layers)]


def reinitialised(
    model: nn.Module, layers: Sequence[Layer], seed: int, *, numbers: Sequence[int], reset: Reset | None = None
) -> nn.Module:
    """Return a copy of a model in which some layers have new weights.

    Parameters
    ----------
    model : Module
        Is not touched.
    layers : sequence of Layer
        Those to re-initialise.
    seed : int
    numbers : sequence of int
        The number of each layer: its weights depend on this and the seed, not on what else is re-initialised.
    reset : callable, optional
        Gives one module new weights. By default its own ``reset_parameters`` does; a tensor of several entries that
        this leaves as it was (there is no such method, or the weight is computed from others, as under a weight norm)
        gets its entries shuffled, which keeps their distribution.

    Raises
    ------
    SeqplrpError
        If a layer would keep its weights, since its tensors hold one value throughout or `reset` does nothing.
    """
    changed = _copied(model)
    devices = sorted({p.device.index for p in model.parameters() if p.is_cuda})
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        for layer, number in zip(layers, numbers, strict=True):
            torch.manual_seed(seed_from(seed, number))
            _forget(changed, layer, reset)
    return changed


def _forget(model: nn.Module, layer: Layer, reset: Reset | None) -> None:
    moved = False
    for name in layer.modules:
        module = model.get_submodule(name)
        before = {key: tensor.detach().clone() for key, tensor in module.named_parameters(recurse=False)}
        if reset is not None:
            reset(module)
        else:
            own = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
            if callable(own):
                own()
            _shuffle_unchanged(module, before)
        moved |= any(not torch.equal(tensor, before[key]) for key, tensor in module.named_parameters(recurse=False))
    if not moved and not all(_is_slight(model.get_submodule(name)) for name in layer.modules):
        raise SeqplrpError(
            f"layer {layer.name!r}",
            "keeps its weights: new ones are what it has",
            "leave it out by layers=, or give a function reset=",
        )


def _copied(model: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise SeqplrpError(
            type(model).__name__,
            f"can't be copied ({first_line(error)})",
            "make what can be: torch.nn.utils.weight_norm, for one, has a successor in torch.nn.utils.parametrizations",
        ) from error


def _learns(module: nn.Module) -> bool:
    """Whether a module has parameters of its own, or statistics of what it has seen."""
    has_statistics = callable(getattr(module, "reset_running_stats", None)) and next(module.buffers(), None) is not None
    return has_statistics or next(module.parameters(recurse=False), None) is not None


def _is_slight(module: nn.Module) -> bool:
    """Whether a module holds vectors alone; parametrised weights count as its own."""
    return isinstance(module, nn.LayerNorm) or all(tensor.dim() < 2 for tensor in module.parameters())


def _shuffle_unchanged(module: nn.Module, before: dict[str, Tensor]) -> None:
    known = callable(getattr(module, "reset_parameters", None))
    for key, tensor in module.named_parameters(recurse=False):
        # A vector that a module's own reset leaves alone is a constant, such as a bias of zeros.
        if torch.equal(tensor, before[key]) and tensor.numel() > 1 and (tensor.dim() > 1 or not known):
            order = torch.randperm(tensor.numel()).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))


def _place(name: str, called: dict[str, int]) -> int:
    """Return when a module is called; one whose weights alone are used, when what holds it is."""
    while name and name not in called:
        name = name.rpartition(".")[0]
    return called.get(name, 0)


def _called(model: nn.Module, example: Tensor) -> dict[str, int]:
    """Return the place of each module in the order in which the model calls them first, by name."""
    observed = _copied(model).eval()
    order: dict[str, int] = {}

    def noting(name: str) -> Callable[[nn.Module, Any], None]:
        def note(module: nn.Module, args: Any) -> None:
            order.setdefault(name, len(order))

        return note

    for name, module in observed.named_modules():
        module.register_forward_pre_hook(noting(name))
    with torch.no_grad():
        observed(example)
    return order
