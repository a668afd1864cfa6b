"""How exactly torch computes while something is explained: settings of the whole process, shared by its threads."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from seqplrp.errors import SeqplrpError


@contextmanager
def numerics(*, tf32: bool, deterministic: bool) -> Iterator[None]:
    """Let a GPU round to TF32 only if asked, and sum in a fixed order if asked.

    Explanations that ask for the same run at once, in as many threads as there are; one that asks for something else
    waits for its turn. What was set before is set back when the last of them ends. Autocast is off, as relevance and
    its ledger need the precision that the weights have.

    Raises
    ------
    SeqplrpError
        Where an explanation inside another one, in the callable that is told its progress say, asks for other settings;
        or where a fixed order is asked for, and torch has none for an operation.
    """
    asked = Settings(tf32, deterministic)
    # autocast is each thread's own
    with _SHARED.held(asked), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
        try:
            yield
        except RuntimeError as error:
            operation, is_it, _ = str(error).partition(" does not have a deterministic implementation")
            if not is_it:
                raise
            raise SeqplrpError(
                "deterministic",
                f"torch's {operation} has no fixed order of sums",
                "leave it out, or use another method",
            ) from error


@dataclass(frozen=True)
class Settings:
    """What an explanation asks for; `Explainer` says what the two mean."""

    tf32: bool
    deterministic: bool

    def apply(self) -> None:
        """Set them for the whole process."""
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = self.tf32
        if hasattr(torch.backends.mkldnn, "matmul"):  # since torch 2.9
            torch.backends.mkldnn.matmul.fp32_precision = "ieee"  # else a CPU may round to bfloat16, too
        if self.deterministic:
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            torch.use_deterministic_algorithms(True)


@dataclass
class _Shared:
    """Settings in force, and who computes under them."""

    condition: threading.Condition = field(default_factory=threading.Condition)
    in_force: Settings | None = None
    holders: Counter[int] = field(default_factory=Counter)
    """For each thread how many explanations, one inside the other, it is in the midst of."""
    line: deque[object] = field(default_factory=deque)
    """Those who wait, the first first, so that none waits for ever."""
    set_back: Callable[[], None] = field(default=lambda: None)

    @contextmanager
    def held(self, asked: Settings) -> Iterator[None]:
        """Hold settings in force."""
        is_held = False
        try:
            with self.condition:
                self._enter(asked)
                is_held = True
            yield
        finally:
            if is_held:
                with self.condition:
                    self._leave()

    def _enter(self, asked: Settings) -> None:
        thread = threading.get_ident()
        if not self.holders[thread]:
            self._wait(asked)
        elif asked != self.in_force:
            raise SeqplrpError(
                "tf32, deterministic",
                f"an explanation inside another one asks for {asked}, the outer one for {self.in_force}",
                "ask for the same in both",
            )
        if self.in_force is None:
            self.set_back = _as_it_is()
            self.in_force = asked
            asked.apply()
        self.holders[thread] += 1

    def _wait(self, asked: Settings) -> None:
        """Wait in line until the settings in force are those asked for, or none are."""
        me = object()
        self.line.append(me)
        try:
            self.condition.wait_for(lambda: self.line[0] is me and self.in_force in (None, asked))
        finally:
            self.line.remove(me)
            self.condition.notify_all()

    def _leave(self) -> None:
        thread = threading.get_ident()
        self.holders[thread] -= 1
        self.holders += Counter()  # drops those at 0
        if not self.holders:
            self.in_force = None
            self.set_back()
            self.condition.notify_all()


_SHARED = _Shared()


def _as_it_is() -> Callable[[], None]:
    """Return what sets everything that `Settings` sets back to what it is now."""
    cudnn = torch.backends.cudnn
    order, speed = cudnn.deterministic, cudnn.benchmark
    strict = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    precisions = _precisions()

    def set_back() -> None:
        cudnn.deterministic, cudnn.benchmark = order, speed
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        for set_one in precisions:
            set_one()

    return set_back


def _precisions() -> list[Callable[[], None]]:
    """Return what sets the precision of float32 products back, in the order in which that must be done.

    torch keeps it twice: under an old name and, since 2.9, for each backend and operation. Who sets the old one sets
    the new ones, too; who sets a new one leaves the old one as it is, and then torch refuses to tell the old one.
    """
    cudnn: Any = torch.backends.cudnn  # of which torch tells the types in part
    try:
        product = torch.get_float32_matmul_precision()
    except RuntimeError:  # a new name says more, TF32, than the old one
        product = "highest"
    try:
        convolution = cudnn.allow_tf32
    except RuntimeError:  # the new ones differ from each other, or from the old one
        convolution = not cudnn.conv.fp32_precision == cudnn.rnn.fp32_precision == "tf32"
    found: list[Callable[[], None]] = [
        partial(torch.set_float32_matmul_precision, product),
        partial(setattr, cudnn, "allow_tf32", convolution),
    ]
    cuda, mkldnn = torch.backends.cuda, torch.backends.mkldnn
    places = ((cuda, "matmul"), (cudnn, "conv"), (cudnn, "rnn"), (mkldnn, "matmul"))
    for backend, name in places:
        with suppress(AttributeError):  # of a torch that has no such names
            operation = getattr(backend, name)
            found.append(partial(setattr, operation, "fp32_precision", operation.fp32_precision))
    return found
