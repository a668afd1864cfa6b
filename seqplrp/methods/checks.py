"""A check for methods of your own: what ours are held to, in one call."""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError, first_line
from seqplrp.methods.base import Method
from seqplrp.methods.explainer import Explainer
from seqplrp.methods.explanation import Explanation
from seqplrp.methods.names import resolve_method

_TARGETS = (0, 1, 2, 0, 1)
_RELATIVE, _ABSOLUTE = 1e-7, 1e-11  # for what is worked out in another order, some of it in single precision


def check_method(method: str | Method, *, seed: int = 0) -> None:
    """Check a method as the package's own methods are checked.

    On a small classifier of DNA in double precision: the method is a value (a frozen dataclass that can be copied and
    pickled); relevance has the input's shape, is finite, and is the input times the hypothetical contributions where it
    gives such; the explained score is the model's; each sequence's map is its own, whatever else is in the batch; each
    target is explained by itself; a second call gives the same bits; the model, the inputs and all global randomness
    are as before; the ledger balances, if it keeps one; centring and both strands work on it; single precision stays
    single.

    Parameters
    ----------
    method : str or Method
        A name, a plug-in's say, or an instance.
    seed : int
        Of the random weights and inputs.

    Raises
    ------
    SeqplrpError
        Naming the first check that fails.

    Examples
    --------
    >>> import seqplrp as sp
    >>> sp.methods.check_method(sp.PLRP(p=0.25))
    """
    if not isinstance(method, str | Method):
        raise _failed(
            method, "the method itself", "it is no Method", "extend seqplrp.methods.Method, and give an instance"
        )
    chosen = resolve_method(method)
    _check_value(chosen)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _classifier().double()
        x = _sequences()
    plain = replace(chosen, center=None, reverse_complement=False)
    explainer = _made(chosen, lambda: Explainer(model, x, plain))
    whole = _check_untouched(plain, model, x, explainer)
    _check_map(plain, model, x, whole)
    _check_again(plain, x, explainer, whole)
    _check_company(plain, x, explainer, whole)
    _check_targets(plain, x, explainer, whole)
    _check_around(plain, model, x, whole)
    _check_single(plain, model, x)


def _classifier() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(4, 6, 5),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(6, 5, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(25, 8),
        nn.ReLU(),
        nn.Linear(8, 3),
    )


def _sequences() -> Tensor:
    """Return five sequences (5, 4, 18), one of them with unknown bases."""
    letters = torch.randint(4, (len(_TARGETS), 18))
    x = nn.functional.one_hot(letters, 4).transpose(1, 2).double()
    x[3, :, 7:10] = 0
    return x.contiguous()


def _check_value(method: Method) -> None:
    kind, where = type(method), "the method itself"
    own = vars(kind).get("__dataclass_params__")  # not what it inherits: its own fields must be such
    if own is None or not own.frozen:
        raise _failed(method, where, f"{kind.__name__} is no frozen dataclass", "decorate it: @dataclass(frozen=True)")
    if replace(method) != method:
        raise _failed(method, where, "a copy of it is another method", "keep to what the fields say")
    try:
        travelled = pickle.loads(pickle.dumps(method))
    except Exception as error:  # whatever an object of others raises
        raise _failed(
            method, where, f"can't be pickled ({first_line(error)})", "define classes at the top of a module"
        ) from error
    if travelled != method:
        raise _failed(method, where, "pickled, it is another method", "keep to what the fields say")


def _made(method: Method, call: Callable[[], Any]) -> Any:
    """Return what a call gives; a method's own failure is told as one."""
    try:
        return call()
    except SeqplrpError:
        raise
    except Exception as error:  # whatever the method's own code raises
        error.add_note(f"this was {method!r}, on a small classifier")
        raise


def _state(model: nn.Module, x: Tensor) -> list[Any]:
    """Return what a method could leave changed behind it."""
    tensors = [*model.named_parameters(), *model.named_buffers(), ("x", x)]
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return [
        [(name, t._version, t.requires_grad, t.grad is None, t.tolist()) for name, t in tensors],
        [(sorted(vars(m)), m.training, [len(getattr(m, hook)) for hook in hooks]) for m in model.modules()],
        torch.get_rng_state().tolist(),
        str(np.random.get_state()),  # noqa: NPY002  (the global one is what is looked at)
        random.getstate(),
        (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()),
    ]


_LEFT = (
    ("the model's weights or the inputs have changed", "work on copies"),
    ("the model's modules, their mode or their hooks have changed", "work on prepared.plan, not on the model"),
    ("torch's global randomness has changed", "draw from a generator of your own"),
    ("NumPy's global randomness has changed", "draw from a generator of your own"),
    ("Python's global randomness has changed", "draw from a generator of your own"),
    ("torch's modes have changed", "set them in a with block"),
)


def _check_untouched(method: Method, model: nn.Module, x: Tensor, explainer: Explainer) -> Explanation:
    """Explain, and check that nothing is left changed."""
    before = _state(model, x)
    whole: Explanation = _made(method, lambda: explainer(x, list(_TARGETS)))
    for (what, remedy), one, other in zip(_LEFT, before, _state(model, x), strict=True):
        if one != other:
            raise _failed(method, "what is left behind", what, remedy)
    return whole


def _check_again(method: Method, x: Tensor, explainer: Explainer, whole: Explanation) -> None:
    """Check that a second call gives the first one's bits, whatever was drawn in between."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(123)
        again = explainer(x, list(_TARGETS))
    if not torch.equal(again.relevance, whole.relevance):
        raise _failed(method, "a second call", "gives another map", "seed what you draw by a field and by the sequence")


def _check_map(method: Method, model: nn.Module, x: Tensor, whole: Explanation) -> None:
    where = "the map"
    if whole.relevance.shape != x.shape:
        raise _failed(
            method, where, f"is {tuple(whole.relevance.shape)} of inputs {tuple(x.shape)}", "give one value an entry"
        )
    if not bool(torch.isfinite(whole.relevance).all()):
        raise _failed(method, where, "is not finite", "stabilise what it is divided by")
    if not bool(whole.relevance.abs().flatten(1).sum(1).all()):
        raise _failed(method, where, "is all zero for a sequence", "look at what attribute returns")
    if whole.has_hypothetical and not torch.equal(whole.relevance, x * whole.hypothetical):
        raise _failed(
            method,
            where,
            "is not exactly the input times the hypothetical contributions",
            "give x * hypothetical, or no hypothetical",
        )
    with torch.no_grad():
        expected = model(x).gather(1, torch.tensor(_TARGETS)[:, None])[:, 0]
    if whole.output.shape != expected.shape or not torch.allclose(whole.output, expected):
        raise _failed(method, "the explained score", "is not the model's", "give that of each sequence's target (N,)")
    if whole.target is None or whole.target.tolist() != list(_TARGETS):
        raise _failed(method, "the explained output", "is not what was asked for", "hand on batch.targets")
    if whole._accounts:
        whole.check()


def _check_company(method: Method, x: Tensor, explainer: Explainer, whole: Explanation) -> None:
    """Check that a sequence's map does not depend on the others, on its place or on the batch's size."""
    order = torch.tensor([3, 1, 4, 0, 2])
    turned = explainer(x[order], [_TARGETS[n] for n in order.tolist()], batch_size=2)
    alone = explainer(x[4:], _TARGETS[4])
    for found, expected in ((turned.relevance, whole.relevance[order]), (alone.relevance, whole.relevance[4:])):
        if not torch.allclose(found, expected, rtol=_RELATIVE, atol=_ABSOLUTE):
            worst = float((found - expected).abs().max())
            raise _failed(
                method, "batch independence", f"a sequence's map differs by {worst:.2g} in company", "mix no sequences"
            )


def _check_targets(method: Method, x: Tensor, explainer: Explainer, whole: Explanation) -> None:
    """Check that several targets of one call, and the highest output, are each explained by itself."""
    asked, highest = explainer.many(x, [list(_TARGETS), "predicted"])
    if not torch.allclose(asked.relevance, whole.relevance, rtol=_RELATIVE, atol=_ABSOLUTE):
        raise _failed(method, "several targets", "are mixed up", "give one Attribution a target, in their order")
    assert highest.target is not None  # as the map's check has shown of any target
    single = explainer(x, highest.target)
    if not torch.allclose(highest.relevance, single.relevance, rtol=_RELATIVE, atol=_ABSOLUTE):
        raise _failed(
            method,
            "the highest output",
            "is not what is explained",
            "resolve 'predicted' by each sequence's own scores",
        )


def _check_around(method: Method, model: nn.Module, x: Tensor, whole: Explanation) -> None:
    """Check that strands can be averaged, and hypothetical contributions be centred."""
    if method.keeps_size:
        both = Explainer(model, x, replace(method, reverse_complement=True))(x, list(_TARGETS))
        back = Explainer(model, x, method)(x.flip(1, 2), list(_TARGETS)).relevance.flip(1, 2)
        if not torch.allclose(both.relevance, (whole.relevance + back) / 2, rtol=_RELATIVE, atol=_ABSOLUTE):
            raise _failed(method, "both strands", "are not averaged", "leave reverse_complement to the Explainer")
    if whole.has_hypothetical:
        centred = Explainer(model, x, replace(method, center="uniform"))(x, list(_TARGETS)).hypothetical
        expected = whole.hypothetical - whole.hypothetical.mean(1, keepdim=True)
        if not torch.allclose(centred, expected, rtol=1e-9, atol=1e-11):
            raise _failed(method, "centring", "is not done to its hypothetical map", "leave center to the Explainer")


def _check_single(method: Method, model: nn.Module, x: Tensor) -> None:
    found = _made(method, lambda: Explainer(model.float(), x.float(), method)(x.float(), list(_TARGETS)))
    for name, tensor in (("relevance", found.relevance), ("the score", found.output)):
        if tensor.dtype != torch.float32 or not bool(torch.isfinite(tensor).all()):
            raise _failed(
                method, "single precision", f"{name} is {tensor.dtype}, or not finite", "keep to batch.x.dtype"
            )


def _failed(method: object, check: str, what: str, remedy: str) -> SeqplrpError:
    return SeqplrpError(f"{method!r} ({check})", what, remedy)
