"""Operations of a traced model as modules, which is what tangermeme has DeepLIFT rules for: it hooks no functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seqplrp.errors import SeqplrpError
from seqplrp.lrp import Plan, Run
from seqplrp.methods.extras import tangermeme
from seqplrp.methods.traced import Wrap

aten = torch.ops.aten

_ELEMENTWISE = (
    aten.relu,
    aten.relu6,
    aten.leaky_relu,
    aten.prelu,
    aten._prelu_kernel,
    aten.rrelu,
    aten.elu,
    aten.selu,
    aten.celu,
    aten.gelu,
    aten.silu,
    aten.mish,
    aten.hardswish,
    aten.hardsigmoid,
    aten.hardtanh,
    aten.threshold,
    aten.softplus,
    aten.log_sigmoid,
    aten.sigmoid,
    aten.special_expit,
    aten.tanh,
    aten.clamp,
    aten.clamp_min,
    aten.clamp_max,
    aten.clip,
    aten.abs,
    aten.square,
    aten.sqrt,
    aten.rsqrt,
    aten.reciprocal,
    aten.exp,
    aten.exp2,
    aten.expm1,
    aten.log,
    aten.log2,
    aten.log10,
    aten.log1p,
    aten.erf,
    aten.sin,
    aten.cos,
    aten.atan,
)
"""Functions of one number, to which DeepLIFT's rescale rule applies."""


class Elementwise(nn.Module):
    """A traced function of each entry by itself, with its other arguments."""

    def __init__(self, node: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.node, self.args, self.kwargs = node, tuple(args), kwargs  # the node can be pickled, its operation can't

    def forward(self, values: Tensor) -> Tensor:
        """Apply it."""
        result: Tensor = self.node.op(values, *self.args, **self.kwargs)
        return result


class Inverse(nn.Module):
    """1 / b."""

    def forward(self, values: Tensor) -> Tensor:
        """Apply it."""
        return values.reciprocal()


class Quotient(nn.Module):
    """a / b as the product of a and 1 / b, for each of which there is a rule."""

    def __init__(self, product: nn.Module) -> None:
        super().__init__()
        self.inverse, self.product = Inverse(), product

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        """Divide."""
        result: Tensor = self.product(left, self.inverse(right))
        return result


class GlobalMax(nn.Module):
    """The maximum over a whole last axis, by a max pool of its length."""

    def __init__(self, *, keeps_axis: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool1d(1)
        self._keeps = keeps_axis

    def forward(self, values: Tensor) -> Tensor:
        """Return (N, C, 1), or (N, C) where the axis is dropped."""
        self.pool.kernel_size = self.pool.stride = values.shape[-1]
        pooled: Tensor = self.pool(values)
        return pooled if self._keeps else pooled.squeeze(-1)


def rules() -> dict[type[nn.Module], Callable[..., Any]]:
    """Return tangermeme's rules for modules of ours: the rescale rule for functions of each entry."""
    rescale = tangermeme("deeplift-shap").deep_lift_shap._nonlinear
    return {Elementwise: rescale, Inverse: rescale}


def wrapper_for(plan: Plan) -> Wrap:
    """Return what makes a module of each operation that is no linear function of what depends on the input.

    Parameters
    ----------
    plan : Plan
        It knows where the batch stands in each value.
    """
    axes = {step.output: step.batch for step in plan.steps}

    def wrap(node: Any, data: frozenset[str], known: Run) -> nn.Module | None:
        module = _module_for(node, data, known)
        axis = axes.get(node.name)
        if module is not None and axis is not None and axis.lead != 1:
            raise SeqplrpError(
                node.path or node.name,
                f"{node.op_name} has the batch behind another axis; tangermeme pairs inputs and references in front",
                "keep the batch in front (batch_first=True), or use another method",
            )
        return module

    return wrap


def _module_for(node: Any, data: frozenset[str], known: Run) -> nn.Module | None:
    """Return a module for a node; None where it is linear, or there is no rule, which tangermeme's deltas then show."""
    refs = node.refs()
    varying = [name for name in refs if name in data]
    if not varying or any(name not in data and name not in known.values for name in refs):
        return None
    kind = getattr(node.op, "overloadpacket", None)
    if len(varying) == 2 and kind in _PRODUCTS:
        product = tangermeme("deeplift-shap").deep_lift_shap.BilinearOp(_PRODUCTS[kind])
        return Quotient(product) if kind is aten.div else product
    if len(varying) != 1 or refs[0] != varying[0]:
        return None
    args = known.filled(node.args[1:])
    if kind in _ELEMENTWISE or node.op is aten.pow.Tensor_Scalar:
        return Elementwise(node, args, known.filled(dict(node.kwargs)))
    make = _MODULES.get(kind)
    return None if make is None or node.kwargs else make(node, *args)


_PRODUCTS = {
    aten.mul: "...,...->...",
    aten.div: "...,...->...",
    aten.matmul: None,
    aten.bmm: None,
    aten.mm: None,
}
"""Products of two values, by the equation of tangermeme's module for them."""


def _max_pool(node: Any, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False) -> Any:
    dims = len(node.shape) - 2
    make = {1: nn.MaxPool1d, 2: nn.MaxPool2d}.get(dims)
    if make is None or f"{dims}d" not in node.op_name:
        return None
    sizes = [_plain(size) for size in (kernel, stride or kernel, padding, dilation)]
    size, step, edge, gap = sizes
    return make(size, stride=step, padding=edge, dilation=gap, ceil_mode=ceil)


def _plain(size: Any) -> Any:
    return size if isinstance(size, int) else size[0] if len(size) == 1 else tuple(size)


def _adaptive(node: Any, size: Any) -> nn.Module | None:
    return GlobalMax(keeps_axis=True) if _plain(size) == 1 and len(node.shape) == 3 else None


def _maximum(node: Any, axes: Any = (), keepdim: bool = False) -> nn.Module | None:
    dims = len(node.shape) + (not keepdim)
    axis = _plain(axes) if isinstance(axes, int) or axes else None
    return GlobalMax(keeps_axis=keepdim) if dims == 3 and axis in (2, -1) else None


def _softmax(node: Any, axis: int, dtype: Any = None) -> nn.Module | None:
    return None if dtype not in (None, False) else nn.Softmax(axis)


def _layer_norm(
    node: Any, shape: Any, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5, _: Any = None
) -> nn.Module:
    norm = nn.LayerNorm(list(shape), eps, elementwise_affine=weight is not None, bias=bias is not None)
    return _with_weights(norm, weight, bias)


def _rms_norm(node: Any, shape: Any, weight: Tensor | None = None, eps: float | None = None) -> nn.Module:
    return _with_weights(nn.RMSNorm(list(shape), eps, elementwise_affine=weight is not None), weight, None)


def _with_weights(norm: nn.Module, weight: Tensor | None, bias: Tensor | None) -> nn.Module:
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None:
            setattr(norm, name, nn.Parameter(tensor, requires_grad=False))
    return norm


_MODULES: dict[Any, Callable[..., nn.Module | None]] = {
    aten.max_pool1d: _max_pool,
    aten.max_pool1d_with_indices: _max_pool,
    aten.max_pool2d: _max_pool,
    aten.max_pool2d_with_indices: _max_pool,
    aten.adaptive_max_pool1d: _adaptive,
    aten.amax: _maximum,
    aten.max: _maximum,
    aten.softmax: _softmax,
    aten._softmax: _softmax,
    aten.layer_norm: _layer_norm,
    aten.rms_norm: _rms_norm,
    aten.glu: lambda node, axis=-1: nn.GLU(axis),
}
"""Operations that are no functions of each entry by itself, by what makes the module for which there is a rule."""
