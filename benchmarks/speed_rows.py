"""The rows of the speed benchmark: what each one calls, beside which limit it stands."""

from __future__ import annotations

import copy
import fnmatch
import importlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import torch
from speed_nets import Net, Residual
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import cached_trace, output_of, propagate, run_forward, start_at

TARGET = 0
MEMORY_LIMIT = 1.2
SHUFFLES = 20
STEPS = 50


class NotRun(Exception):
    """A row can't be run here, for a reason that the table says."""


@dataclass(frozen=True)
class Calls:
    """What a row runs.

    Attributes
    ----------
    call : callable or None
        The whole call, as a user makes it, everything prepared that one prepares once.
    engine : callable or None
        Forward and back on a prepared plan alone; None where there is no such level.
    warm_up : callable or None
        A cheaper call of the same kind, for methods that take minutes; None to warm up with the calls themselves.
    holds : callable
        From nothing to the bytes that the preparation keeps beside the model.
    told : tuple of str
        What a reader of the row must know.
    """

    call: Callable[[], Any] | None
    engine: Callable[[], Any] | None = None
    warm_up: Callable[[], Any] | None = None
    holds: Callable[[], int] = lambda: 0
    told: tuple[str, ...] = ()


Build = Callable[[Net, nn.Module, Tensor], Calls]


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes
    ----------
    name : str
        Its name.
    source : {"gxi", "ours", "peer", "compiled"}
        Whose method it is; compiled rows run in a process of their own.
    build : callable
        From net, model and inputs to what is run.
    limits : dict of str to float
        Net name -> at most so many times gxi.
    few : bool
        Whether it explains `Net.few` inputs only.
    slow : bool
        Whether a call takes so long that few pairs must do.
    """

    name: str
    source: Literal["gxi", "ours", "peer", "compiled"]
    build: Build
    limits: Mapping[str, float] = field(default_factory=dict)
    few: bool = False
    slow: bool = False

    def inputs(self, x: Tensor, net: Net) -> Tensor:
        """Return the inputs that it explains."""
        return x[: net.few] if self.few else x


def gxi_of(model: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    """Return gradient x input at its tightest: one forward, one gradient with respect to the input, one product."""

    def gxi() -> Tensor:
        leaf = x.detach().requires_grad_()
        score = model(leaf)[:, TARGET].sum()
        (gradient,) = torch.autograd.grad(score, leaf)
        return gradient * x

    return gxi


def _gxi_again(net: Net, model: nn.Module, x: Tensor) -> Calls:
    return Calls(gxi_of(model, x))


# ---- ours


def engine_of(
    method: sp.LRP, model: nn.Module, x: Tensor, without_gradients: Callable[[], Any] = torch.inference_mode
) -> tuple[Callable[[Tensor], Tensor], Any]:
    """Return the way from inputs to relevance on a prepared plan, and the plan."""
    plan = method.prepare(model, cached_trace(model, x[:1]), x.device).plan
    target = torch.full((len(x),), TARGET, dtype=torch.long, device=x.device)

    def engine(x: Tensor) -> Tensor:
        with without_gradients():
            run = run_forward(plan, x)
            return propagate(plan, run, start_at(output_of(plan, run), target), method.pruning).relevance

    return engine, plan


def ours(method: sp.LRP) -> Build:
    """Return how a method of ours is made ready."""

    def build(net: Net, model: nn.Module, x: Tensor) -> Calls:
        explainer = sp.Explainer(model, x[:1], method=method)
        engine, plan = engine_of(method, model, x)
        return Calls(
            call=lambda: explainer(x, target=TARGET, batch_size=len(x)),
            engine=lambda: engine(x),
            holds=lambda: bytes_held(plan, model),
        )

    return build


def bytes_held(holder: object, model: nn.Module) -> int:
    """Return the bytes of all tensors that an object of ours holds and that are not the model's own."""
    own = {tensor.untyped_storage().data_ptr() for tensor in [*model.parameters(), *model.buffers()]}
    found: dict[int, int] = {}
    seen: set[int] = set()
    waiting: list[Any] = [holder]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            if storage.data_ptr() not in own:
                found[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, Mapping):
            waiting += value.values()
        elif isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes):
            waiting += value
        elif type(value).__module__.startswith("seqplrp"):
            waiting += list(getattr(value, "__dict__", {}).values())
            if is_dataclass(value) and not isinstance(value, type):  # with __slots__, too
                waiting += [getattr(value, field.name) for field in fields(value)]
    return sum(found.values())


# ---- peers


def zennit(rule: str) -> Build:
    """Return how zennit is made ready, with one rule for every conv and linear layer."""

    def build(net: Net, model: nn.Module, x: Tensor) -> Calls:
        try:
            from zennit import attribution, composites, rules, types
        except ImportError as error:
            raise NotRun("zennit is not installed (pip install zennit==0.5.1)") from error
        rule_of = {"epsilon": rules.Epsilon(1e-6), "gamma": rules.Gamma(0.25), "zplus": rules.ZPlus()}[rule]
        composite = composites.LayerMapComposite(
            [*composites.layer_map_base(), (types.Linear, rule_of)], canonizers=_zennit_canonizers(net)
        )
        # a copy, so that its hooks cost gxi nothing; registered once, so that registering costs it nothing
        attributor = attribution.Gradient(_for_zennit(model), composite)
        attributor.__enter__()

        def start(output: Tensor) -> Tensor:
            relevance = torch.zeros_like(output)
            relevance[:, TARGET] = output[:, TARGET]
            return relevance

        return Calls(lambda: attributor(x.detach(), start)[1])

    return build


def _zennit_canonizers(net: Net) -> list[Any]:
    if net.name.startswith("vgg"):
        from zennit.torchvision import VGGCanonizer

        return [VGGCanonizer()]
    if net.name.startswith("resnet"):
        from zennit.torchvision import ResNetCanonizer

        return [ResNetCanonizer()]
    return []


def _for_zennit(model: nn.Module) -> nn.Module:
    """Copy a model with zennit's Sum at the skips, without which hooks would give a skip's relevance twice."""
    from zennit.layer import Sum

    class Add(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.sum = Sum()

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.sum(torch.stack([x, y], dim=-1))

    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, Residual):
            module.add = Add()
    return model


def _integrated_gradients(net: Net, model: nn.Module, x: Tensor) -> Calls:
    try:
        from captum.attr import IntegratedGradients
    except ImportError as error:
        raise NotRun("captum is not installed (pip install 'seqplrp[peers]')") from error
    method = IntegratedGradients(model)

    def attribute(x: Tensor) -> Tensor:
        # one step of the whole batch at a time: all 50 at once would take 50 times the memory
        return method.attribute(x, target=TARGET, n_steps=STEPS, internal_batch_size=len(x))

    return Calls(lambda: attribute(x), warm_up=lambda: attribute(x[:1]))


def _tangermeme(net: Net, module: str) -> Any:
    if not net.is_dna:
        raise NotRun("tangermeme takes sequences, no images")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(importlib.import_module(f"tangermeme.{module}"), module)
    except ImportError as error:
        raise NotRun("tangermeme is not installed (pip install 'seqplrp[peers]')") from error


def _deep_lift_shap(net: Net, model: nn.Module, x: Tensor) -> Calls:
    function = _tangermeme(net, "deep_lift_shap")

    def attribute(x: Tensor) -> Tensor:
        return function(
            model,
            x,
            target=TARGET,
            n_shuffles=SHUFFLES,
            batch_size=net.batch,
            device=x.device,
            random_state=0,
            only_warn=True,
        )

    return Calls(lambda: attribute(x), warm_up=lambda: attribute(x[:1]))


def _ism(**options: bool) -> Build:
    def build(net: Net, model: nn.Module, x: Tensor) -> Calls:
        function = _tangermeme(net, "saturation_mutagenesis")

        def attribute(x: Tensor, **options: Any) -> Tensor:
            return function(model, x, target=TARGET, batch_size=net.batch, device=x.device, **options)

        return Calls(lambda: attribute(x, **options), warm_up=lambda: attribute(x[:1], end=8, fast=False))

    return build


# ---- ours and gxi, compiled


def _compiled(method: sp.LRP | None) -> Build:
    def build(net: Net, model: nn.Module, x: Tensor) -> Calls:
        if method is None:
            return _agreeing(gxi_of(torch.compile(model), x), gxi_of(model, x), is_engine=False)
        engine, _ = engine_of(method, model, x, torch.no_grad)  # torch.compile fails on inference tensors
        compiled = torch.compile(engine)
        return _agreeing(lambda: compiled(x), lambda: engine(x), is_engine=True)

    return build


def _graphed(method: sp.LRP | None) -> Build:
    def build(net: Net, model: nn.Module, x: Tensor) -> Calls:
        if x.device.type != "cuda":
            raise NotRun("CUDA graphs need --device cuda")
        read = x.clone()  # a graph reads where it was captured; each call copies its inputs there
        if method is None:
            return _agreeing(_captured(gxi_of(model, read), read, x), gxi_of(model, x), is_engine=False)
        engine, _ = engine_of(method, model, x)
        return _agreeing(_captured(lambda: engine(read), read, x), lambda: engine(x), is_engine=True)

    return build


def _captured(call: Callable[[], Tensor], read: Tensor, x: Tensor) -> Callable[[], Tensor]:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # cuDNN and cuBLAS choose their kernels before the capture
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            result = call()
    except RuntimeError as error:  # leaving the capture raises a second one that says less
        cause = error.__context__ or error
        raise NotRun(f"can't be captured: {first_line(cause)}") from error

    def replay() -> Tensor:
        read.copy_(x)
        graph.replay()
        return result

    return replay


def _agreeing(call: Callable[[], Tensor], plain: Callable[[], Tensor], *, is_engine: bool) -> Calls:
    """Return a call that was seen to give what the plain one gives: a fast wrong result is no row."""
    from torch._dynamo.utils import counters  # not before: it takes part of the first trace's time

    counters.clear()
    start = time.perf_counter()
    try:
        found = call().clone()
    except Exception as error:  # whatever a compiler throws, the row says it
        raise NotRun(f"can't be compiled: {type(error).__name__}: {first_line(error)}") from error
    took = time.perf_counter() - start
    wanted = plain()
    difference = float((found - wanted).abs().sum() / wanted.abs().sum())
    if not difference < 1e-2:  # rounding may move a pruning threshold past an entry
        raise NotRun(f"gives another result than without: {difference:.2g} of the relevance differs")
    graphs = counters["stats"]["unique_graphs"]
    breaks = sum(counters["graph_break"].values())
    told = (f"{graphs} graphs, {breaks} graph breaks, first call {took:.0f} s",) if graphs else ()
    return Calls(None, engine=call, told=told) if is_engine else Calls(call, told=told)


def first_line(error: BaseException | str) -> str:
    """Return what an error or a warning says, in one line that is not too long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = f"{lines[0]} {lines[1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    return said if len(said) <= 160 else f"{said[:157]}..."


# ---- the table

METHODS: dict[str, tuple[sp.LRP, float, float]] = {
    "LRP epsilon": (sp.LRP(rule=sp.Epsilon()), 1.10, 1.4),
    "LRP relative": (sp.LRP(rule=sp.Relative()), 1.10, 1.4),
    "PLRP lambda gain epsilon": (sp.PLRP(rule=sp.Epsilon(), p=0.5, threshold="gain"), 1.20, 1.9),
    "PLRP lambda mass epsilon": (sp.PLRP(rule=sp.Epsilon(), p=0.5), 1.30, 2.2),
    "LRP gamma": (sp.LRP(rule=sp.Gamma(0.25)), 1.60, 2.0),
    "LRP zplus": (sp.LRP(rule=sp.ZPlus()), 1.60, 2.0),
    "PLRP lambda mass gamma": (sp.PLRP(rule=sp.Gamma(0.25), p=0.5), 1.80, 3.0),
    "PLRP, its default": (sp.PLRP(), 1.80, 3.0),
    "PLRP matrix mass gamma": (sp.PLRP(rule=sp.Gamma(0.25), p=0.5, mode="matrix"), 3.2, 5.0),
}
"""Ours: the method, and at most how many times gxi it may take on the Basset-size net and on the BPNet."""

_OURS = [Row(name, "ours", ours(method), {"basset": a, "bpnet": b}) for name, (method, a, b) in METHODS.items()]

_PEERS = [
    Row("zennit epsilon", "peer", zennit("epsilon")),
    Row("zennit zplus", "peer", zennit("zplus")),
    Row("zennit gamma", "peer", zennit("gamma")),
    Row(f"captum integrated gradients, {STEPS} steps", "peer", _integrated_gradients, slow=True),
    Row(f"tangermeme DeepLIFT/SHAP, {SHUFFLES} shuffles", "peer", _deep_lift_shap, slow=True),
    Row("tangermeme ISM", "peer", _ism(), slow=True),
    Row("tangermeme ISM, whole passes", "peer", _ism(fast=False), few=True, slow=True),
]

_COMPILED = [
    Row(f"{name}, {how}", "compiled", build(method))
    for how, build in (("torch.compile", _compiled), ("CUDA graph", _graphed))
    for name, method in [("gxi", None), *[(name, method) for name, (method, *_) in METHODS.items()]]
]

GXI = Row("gxi again (the noise)", "gxi", _gxi_again)


def rows_of(*, peers: bool = True, compiled: bool = False, pattern: str | None = None) -> list[Row]:
    """Return the table's rows in order, those only whose names match a pattern (shell style, anywhere in the name)."""
    rows = [GXI, *_OURS, *(_PEERS if peers else []), *(_COMPILED if compiled else [])]
    if pattern is None:
        return rows
    return [row for row in rows if fnmatch.fnmatchcase(row.name.lower(), f"*{pattern.lower()}*")]


def row_named(name: str) -> Row:
    """Return a row by its name."""
    return next(row for row in rows_of(peers=True, compiled=True) if row.name == name)
