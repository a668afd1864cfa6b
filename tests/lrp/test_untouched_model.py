"""The user's model and the process are as they were: afterwards, after an error, after Ctrl-C."""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import seqplrp as sp
from seqplrp.lrp import Handler, register, trace

X = torch.eye(4)[torch.randint(0, 4, (6, 24), generator=torch.Generator().manual_seed(2))].transpose(1, 2).contiguous()
ARMED: dict[str, BaseException] = {}
"""What the operation `test_untouched::step` raises, on the way forward or back."""


@torch.library.custom_op("test_untouched::step", mutates_args=())
def step(x: Tensor) -> Tensor:
    if "forward" in ARMED:
        raise ARMED.pop("forward")
    return x.clone()


@step.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


step.register_autograd(lambda ctx, grad: grad)


@register(torch.ops.test_untouched.step.default)
class Passes(Handler):
    def backward(self, step: Any, relevance: Tensor, run: Any, ledger: Any) -> Any:
        from seqplrp.lrp import Contribution

        if "back" in ARMED:
            raise ARMED.pop("back")
        return [Contribution(relevance=relevance)]


class Counts(nn.Module):
    """Counts its calls in a buffer, as some models do, and runs through the custom operation."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("passing", torch.ones(3), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return torch.ops.test_untouched.step(x)


class Hooks:
    """Hooks of a user's own; they count."""

    def __init__(self, model: nn.Module) -> None:
        self.called = 0
        self.handles = [
            model[0].register_forward_hook(self),
            model[0].register_forward_pre_hook(self),
            model[0].register_full_backward_hook(self),
        ]

    def __call__(self, *_: Any) -> None:
        self.called += 1


def build(*, hooks: bool = False) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv1d(4, 6, 5),
            nn.BatchNorm1d(6),
            nn.ReLU(inplace=True),
            Counts(),
            nn.Dropout(0.5),
            nn.MaxPool1d(2),
            nn.Flatten(),
            nn.Linear(60, 3),
        )
        model.train()
        model(torch.randn(4, 4, 24)).sum().backward()  # running statistics, and gradients on every parameter
    model[1].eval()  # frozen, as in fine-tuning
    model[0].weight.requires_grad_(False)
    model[7].bias.grad = None
    if hooks:
        Hooks(model)
    return model


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything about a model, and the process, that an explanation could change."""

    def of(tensor: Tensor | None) -> Any:
        if tensor is None:
            return None
        content = hashlib.sha1(tensor.detach().contiguous().numpy().tobytes()).hexdigest()
        version = tensor._version
        return id(tensor), tensor.data_ptr(), tuple(tensor.stride()), tensor.requires_grad, version, content

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    return {
        "parameters": {name: (of(p), of(p.grad)) for name, p in model.named_parameters()},
        "buffers": {name: of(b) for name, b in model.named_buffers()},
        "order": list(model.state_dict()),
        "modules": [(name, id(m), type(m), m.training, sorted(vars(m))) for name, m in model.named_modules()],
        "hooks": [
            {key: [id(hook) for hook in value.values()] for key, value in vars(m).items() if key.endswith("_hooks")}
            for m in model.modules()
        ],
        "random": (pickle.dumps(random.getstate()), pickle.dumps(np.random.get_state())),  # noqa: NPY002
        "torch random": torch.random.get_rng_state().numpy().tobytes(),
        "numerics": (matmul.allow_tf32, cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        "modes": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()),
        "threads": torch.get_num_threads(),
        "signals": signal.getsignal(signal.SIGINT),
    }


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    before, x_before = state_of(model), (X.clone(), X._version)
    try:
        yield
    finally:
        ARMED.clear()
        after = state_of(model)
        for key in before:
            assert after[key] == before[key], key
        assert torch.equal(X, x_before[0])
        assert X._version == x_before[1]


METHODS = [
    sp.PLRP(p=0.5),
    sp.PLRP(p=0.5, mode="matrix", reverse_complement=True),
    sp.LRP(rule="relative", center="uniform"),
    sp.GradientTimesInput(),
    sp.Saliency(),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("settings", [{}, {"tf32": True, "deterministic": True}], ids=["plain", "settings"])
def test_nothing_changes(method: sp.Method, settings: dict) -> None:
    model = build()
    with unchanged(model):
        explainer = sp.Explainer(model, X, method, **settings)
        explainer(X, target="predicted", batch_size=4)
        explainer.many(X, [0, 1])
        explainer(X, target=[0, 1, 2, 0, 1, 2])
    with unchanged(model):
        sp.explain(model, X, lambda y: y[:, 0] - y[:, 1], method, **settings)
    assert X.grad is None


def test_the_user_s_hooks_stay_and_still_run() -> None:
    model = build()
    hooks = Hooks(model)
    with unchanged(model):
        sp.explain(model, X, 0)
    before = hooks.called
    model(X.clone().requires_grad_()).sum().backward()
    assert hooks.called == before + 3


class Remembers(nn.Module):
    """Keeps what passed through it, as some models do, and has a weight that hooks make anew in each call."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # what is deprecated is used all the same
            self.conv = nn.utils.weight_norm(nn.Conv1d(4, 3, 5))
        self.seen = torch.zeros(1)
        self.position: Tensor | None = None
        self.ready = False
        self.all: list[Tensor] = []
        self.named: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).relu()
        self.seen, self.last = h, h.sum()
        self.all.append(h)
        self.named["h"] = h
        if not self.ready:
            self.position, self.ready = torch.arange(h.shape[-1]).to(h.dtype), True
        assert self.position is not None
        return (h * self.position).sum(2)


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_forward_assigns_is_put_back_by_tracing(fails: bool, monkeypatch) -> None:
    model = Remembers().eval()
    with torch.no_grad():
        model.conv(X)
    weight, seen = model.conv.weight, model.seen
    if fails:
        monkeypatch.setattr(Remembers, "forward", lambda self, x, run=Remembers.forward: run(self, x).no_such_method())
        with pytest.raises(sp.SeqplrpError, match="no_such_method"):
            trace(model, X)
    else:
        trace(model, X)
    assert model.conv.weight is weight
    assert model.seen is seen
    assert not hasattr(model, "last")
    assert (model.position, model.ready, model.all, model.named) == (None, False, [], {})
    assert pickle.loads(pickle.dumps(model)).seen.tolist() == [0.0]


def test_a_model_that_remembers_is_explained_and_runs_again() -> None:
    model = Remembers().eval()
    relevance = sp.explain(model, X, target=0, method="lrp").relevance
    fresh = Remembers().eval()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(model(X), fresh(X))
    torch.testing.assert_close(relevance, sp.explain(fresh, X, target=0, method="lrp").relevance)


def test_no_numerics_are_left_behind_where_they_were_set_otherwise() -> None:
    cudnn = torch.backends.cudnn
    before = (cudnn.deterministic, torch.backends.cuda.matmul.allow_tf32)
    try:
        cudnn.deterministic, torch.backends.cuda.matmul.allow_tf32 = True, True
        model = build()
        with unchanged(model):
            sp.explain(model, X, 0)
        with unchanged(model), torch.no_grad():
            sp.explain(model, X, 0, "saliency")
        with unchanged(model), torch.inference_mode():
            sp.explain(model, X, 0)
    finally:
        cudnn.deterministic, torch.backends.cuda.matmul.allow_tf32 = before


# ---- errors in the middle


class HasNoHandler(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.digamma(x + 3)


class Branches(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if float(x.sum()) > 0 else x


@pytest.mark.parametrize("bad", [HasNoHandler, Branches])
def test_a_model_that_can_not_be_explained_is_left_as_it_is(bad: type[nn.Module]) -> None:
    model = build()
    model.add_module("bad", bad())
    with unchanged(model), pytest.raises(sp.SeqplrpError):
        sp.explain(model, X, 0)


@pytest.mark.parametrize("target", [7, lambda y: 1 / 0, lambda y: y[:, 99], "highest"])
def test_a_bad_target_leaves_the_model_as_it_is(target: Any) -> None:
    model = build()
    with unchanged(model), pytest.raises(sp.SeqplrpError):
        sp.explain(model, X, target)


def _ctrl_c() -> BaseException:
    return KeyboardInterrupt()


def _broken() -> BaseException:
    return ValueError("broken in the middle")


def _out_of_memory() -> BaseException:
    return torch.OutOfMemoryError("simulated")


@pytest.mark.parametrize("where", ["forward", "back"])
@pytest.mark.parametrize("error", [_ctrl_c, _broken], ids=["Ctrl-C", "error"])
def test_what_breaks_in_the_middle_changes_nothing(error: Callable[[], BaseException], where: str) -> None:
    model = build()
    explainer = sp.Explainer(model, X, sp.PLRP(p=0.5), deterministic=True)
    good = explainer(X, target=0)
    with unchanged(model):
        ARMED[where] = error()
        with pytest.raises(type(error())):
            explainer(X, target=0)
        assert not ARMED, "it never came there"
    assert torch.equal(explainer(X, target=0).relevance, good.relevance)


def test_memory_that_runs_out_in_the_middle_changes_nothing() -> None:
    model = build()
    explainer = sp.Explainer(model, X, sp.PLRP(p=0.5))
    good = explainer(X, target=0)
    with unchanged(model):
        ARMED["back"] = _out_of_memory()
        assert torch.allclose(explainer(X, target=0).relevance, good.relevance, atol=1e-7)
        assert not ARMED
    with unchanged(model):
        ARMED["back"] = _out_of_memory()
        with pytest.raises(sp.SeqplrpError, match="batch_size"):
            explainer(X, target=0, batch_size=6)


def test_ctrl_c_in_a_progress_callback_changes_nothing() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    model = build()
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        sp.explain(model, X, 0, batch_size=2, progress=stop, deterministic=True)


@pytest.mark.parametrize("where", ["while it is traced", "while it is compared"])
def test_ctrl_c_before_the_first_batch_changes_nothing(where: str) -> None:
    class Interrupted(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += 1
            if type(self).calls == (1 if where == "while it is traced" else 2):
                raise KeyboardInterrupt
            return x * 2

    model = build()
    model.insert(0, Interrupted())
    with unchanged(model), pytest.raises(KeyboardInterrupt):
        sp.explain(model, X, 0)
    with unchanged(model):
        sp.explain(model, X, 0)


SCRIPT = textwrap.dedent(
    """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs the tests in the background has it ignored
    sys.path.insert(0, sys.argv[1])
    from test_untouched_model import X, build, sp, state_of, unchanged
    model = build()
    explainer = sp.Explainer(model, X, sp.PLRP(p=0.5), deterministic=True)
    X = X.repeat(200, 1, 1)
    told = []
    def say(done, total):
        told.append(done)
        if len(told) == 3:
            print("running", flush=True)
    before = state_of(model)
    try:
        for _ in range(1000):
            explainer(X, target=0, batch_size=2, progress=say)
    except KeyboardInterrupt:
        after = state_of(model)
        assert all(after[key] == before[key] for key in before), [k for k in before if after[k] != before[k]]
        assert explainer(X[:2], target=0).relevance.isfinite().all()
        print("interrupted and unchanged", flush=True)
    """
)


@pytest.mark.skipif(os.name == "nt", reason="signals as on Unix")
def test_a_real_ctrl_c_changes_nothing() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, here],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n", process.stderr.read() if process.stderr else ""
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    assert output == "interrupted and unchanged\n", errors


# ---- memory


def freed(references: list[weakref.ref]) -> bool:
    gc.collect()
    return all(reference() is None for reference in references)


@pytest.mark.parametrize("fails", [False, True])
def test_neither_the_model_nor_its_weights_are_held(fails: bool) -> None:
    gc.unfreeze()  # what the tests' fixture froze
    model = build()
    references = [weakref.ref(model), *(weakref.ref(p) for p in model.parameters())]
    explainer = sp.Explainer(model, X, "plrp")
    ARMED.update({"back": ValueError("x")} if fails else {})
    try:
        e = explainer(X, target=0)
    except ValueError:
        e = None
    sp.explain(model, X, lambda y: y[:, 0])
    assert not ARMED
    del model, explainer
    assert freed(references)
    assert fails or e.relevance.isfinite().all()


def test_a_call_leaves_no_activations_behind() -> None:
    def tensors() -> int:
        gc.collect()
        return sum(1 for item in gc.get_objects() if type(item) in (Tensor, nn.Parameter))

    gc.unfreeze()
    model = build()
    explainer = sp.Explainer(model, X, sp.PLRP(p=0.5, mode="matrix"))
    explainer(X, target=0)
    before = tensors()
    explainer(X, target=0)
    assert tensors() == before
    ARMED["back"] = ValueError("x")
    with suppress(ValueError):
        explainer(X, target=0)
    assert tensors() == before


def test_an_explanation_holds_no_activations() -> None:
    model = build()
    e = sp.explain(model, X, 0, "lrp")
    held = [v for account in e._accounts for row in account.ledger.rows for v in row.numbers.values()]
    assert max(v.numel() for v in held) == len(X)
    assert e.relevance.untyped_storage().nbytes() == e.relevance.numel() * 4
    assert e.output.untyped_storage().nbytes() == 4 * len(X)
    assert not e.relevance.requires_grad
    assert not e.relevance.is_inference()
