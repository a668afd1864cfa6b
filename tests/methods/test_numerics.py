"""The settings of the whole process under which an explanation computes: shared by threads, set back come what may."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import torch
from nets import classifier, sequences

import seqplrp as sp
from seqplrp.methods.numerics import numerics

matmul, cudnn, mkldnn = torch.backends.cuda.matmul, torch.backends.cudnn, torch.backends.mkldnn
PLACES = ((torch.backends.cuda, "matmul"), (cudnn, "conv"), (cudnn, "rnn"), (mkldnn, "matmul"))
PRECISIONS = [
    getattr(backend, name) for backend, name in PLACES if hasattr(getattr(backend, name, None), "fp32_precision")
]
PATIENCE = 20.0
"""Seconds after which a thread that waits has lost its way; none of these waits when all is well."""


def asked(read: Callable[[], object]) -> object:
    """Return what torch tells, or that it refuses to: it does where an old name and a new one say different things."""
    try:
        return read()
    except RuntimeError:
        return "mixed"


def now() -> tuple[object, ...]:
    return (
        asked(torch.get_float32_matmul_precision),
        asked(lambda: matmul.allow_tf32),
        asked(lambda: cudnn.allow_tf32),
        *(operation.fp32_precision for operation in PRECISIONS),
        cudnn.deterministic,
        cudnn.benchmark,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = now()
    yield
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32, cudnn.deterministic, cudnn.benchmark = True, False, False
    torch.use_deterministic_algorithms(False)
    for operation, precision in zip(PRECISIONS, before[3:], strict=False):
        operation.fp32_precision = precision
    assert now() == before


def in_force() -> tuple[bool, bool]:
    """Return what counts of it: (tf32, deterministic)."""
    assert matmul.allow_tf32 == cudnn.allow_tf32
    return matmul.allow_tf32, torch.are_deterministic_algorithms_enabled()


def medium() -> None:
    torch.set_float32_matmul_precision("medium")


def old_names() -> None:
    matmul.allow_tf32 = cudnn.benchmark = True
    cudnn.allow_tf32 = False


def new_names() -> None:
    for operation in PRECISIONS[:2]:
        operation.fp32_precision = "tf32"


def other_new_names() -> None:
    for operation in PRECISIONS[1:2]:
        operation.fp32_precision = "ieee"


def only_warned() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("set_before", [lambda: None, medium, old_names, new_names, other_new_names, only_warned])
def test_whatever_was_set_by_old_names_or_new_is_set_back(
    set_before: Callable[[], None], deterministic: bool, tf32: bool
) -> None:
    set_before()
    before = now()
    for error in (None, KeyError, KeyboardInterrupt):
        with suppress(KeyError, KeyboardInterrupt), numerics(tf32=tf32, deterministic=deterministic):
            assert in_force()[0] is tf32
            assert not deterministic or in_force()[1]
            assert not deterministic or not torch.is_deterministic_algorithms_warn_only_enabled()
            if error is not None:
                raise error
        assert now() == before


def test_a_cpu_does_not_round_to_bfloat16_where_the_user_lets_products_do_so() -> None:
    if not hasattr(mkldnn, "matmul"):
        pytest.skip("torch keeps no precision of a CPU's products by itself")
    medium()
    assert mkldnn.matmul.fp32_precision == "bf16"
    with numerics(tf32=False, deterministic=False):
        assert mkldnn.matmul.fp32_precision == "ieee"
    assert mkldnn.matmul.fp32_precision == "bf16"


@contextmanager
def running(*functions: Callable[[], None]) -> Iterator[None]:
    """Run functions in threads of their own, and raise here what is raised there."""
    errors: list[BaseException] = []

    def guarded(function: Callable[[], None]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(function,), daemon=True) for function in functions]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive(), "it waits for ever"
    for error in errors:
        raise error


def test_the_last_that_leaves_sets_back_not_the_first() -> None:
    before = now()
    both_in, first_left = threading.Barrier(2, timeout=PATIENCE), threading.Event()

    def short() -> None:
        with numerics(tf32=True, deterministic=True):
            both_in.wait()
        first_left.set()

    def long() -> None:
        with numerics(tf32=True, deterministic=True):
            both_in.wait()  # so the two do run at once
            assert first_left.wait(PATIENCE)
            assert in_force() == (True, True)

    with running(short, long):
        pass
    assert now() == before


def test_who_asks_for_something_else_waits_and_gets_it() -> None:
    before = now()
    first_in, may_leave = threading.Event(), threading.Event()
    seen: list[tuple[bool, bool]] = []

    def first() -> None:
        with numerics(tf32=True, deterministic=False):
            first_in.set()
            assert may_leave.wait(PATIENCE)
            seen.append(in_force())

    def other() -> None:
        assert first_in.wait(PATIENCE)
        with numerics(tf32=False, deterministic=True):
            seen.append(in_force())

    with running(first, other):
        assert first_in.wait(PATIENCE)
        threading.Timer(0.05, may_leave.set).start()
    assert seen == [(True, False), (False, True)]
    assert now() == before


def test_those_who_come_later_do_not_keep_a_waiting_one_out_for_ever() -> None:
    """Explanations that overlap each other, one always under way, would never let another's settings in."""
    first_in, waits, got_in = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with numerics(tf32=True, deterministic=False):
            first_in.set()
            assert waits.wait(PATIENCE)
            with numerics(tf32=True, deterministic=False):  # one inside another does not stand in line
                order.append("inside")
            threading.Event().wait(0.05)

    def other() -> None:
        assert first_in.wait(PATIENCE)
        threading.Timer(0.02, waits.set).start()
        with numerics(tf32=False, deterministic=False):
            order.append("other")
            got_in.set()

    def later() -> None:
        assert waits.wait(PATIENCE)
        with numerics(tf32=True, deterministic=False):
            order.append("later")

    with running(first, other, later):
        assert got_in.wait(PATIENCE)
    assert order == ["inside", "other", "later"]


def test_many_threads_of_many_minds_each_see_their_own_settings() -> None:
    before = now()
    kinds = [(False, False), (True, False), (False, True), (True, True)]

    def work(kind: tuple[bool, bool]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(40):
                with numerics(tf32=kind[0], deterministic=kind[1]):
                    assert in_force() == kind

        return run

    with running(*(work(kinds[place % 4]) for place in range(12))):
        pass
    assert now() == before


def test_an_explanation_inside_another_may_not_ask_for_something_else() -> None:
    before = now()
    x = sequences(3)
    inner = sp.Explainer(classifier(), x, "lrp")
    stricter = sp.Explainer(classifier(), x, "lrp", deterministic=True)
    found = inner(x, 0, batch_size=2, progress=lambda *_: inner(x, 1))
    assert found.relevance.isfinite().all()
    with pytest.raises(sp.SeqplrpError, match="inside another one asks for"):
        inner(x, 0, batch_size=2, progress=lambda *_: stricter(x, 1))
    assert now() == before


def test_explanations_with_other_settings_at_once_leave_the_process_as_it_was() -> None:
    before = now()
    x = sequences(3)
    explainers = [sp.Explainer(classifier(), x, "lrp", deterministic=place % 2 == 1) for place in range(4)]
    wanted = explainers[0](x, 0).relevance
    seen: list[object] = []

    def explain(explainer: sp.Explainer) -> Callable[[], None]:
        def run() -> None:
            for _ in range(5):
                found = explainer(x, 0, batch_size=1, progress=lambda *_: seen.append((in_force()[1], explainer)))
                torch.testing.assert_close(found.relevance, wanted, rtol=1e-12, atol=1e-14)

        return run

    with running(*(explain(explainer) for explainer in explainers)):
        pass
    assert len(seen) == 4 * 5 * 3
    assert all(strict is explainer.deterministic for strict, explainer in seen)
    assert now() == before


def test_an_operation_that_torch_can_not_run_in_a_fixed_order_is_an_error_with_a_remedy() -> None:
    """tangermeme's rule for max pools unpools; that is so on a CPU, too."""
    pytest.importorskip("tangermeme")
    net = torch.nn.Sequential(
        torch.nn.Conv1d(4, 3, 3), torch.nn.ReLU(), torch.nn.MaxPool1d(2), torch.nn.Flatten(), torch.nn.Linear(27, 1)
    )
    x = sequences(2, 20)
    method = sp.DeepLIFTSHAP(n_shuffles=2)
    with pytest.raises(sp.SeqplrpError, match=r"deterministic: torch's max_unpool.* has no fixed order of sums"):
        sp.explain(net, x, method=method, deterministic=True)
    assert not torch.are_deterministic_algorithms_enabled()
    assert sp.explain(net, x, method=method).relevance.shape == x.shape
