"""One model of a command, made ready: run as it is, explained, asked how sure it is."""

from __future__ import annotations

import copy
import inspect
import logging
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqplrp.errors import SeqplrpError, whole_message
from seqplrp.genomics import Record, one_hot, reverse_complement
from seqplrp.lrp import Layout, Program
from seqplrp.methods import Explainer, Explanation, Method
from seqplrp.models import program_inputs
from seqplrp.pipeline.freed import GivingBack
from seqplrp.pipeline.further import FurtherInput, rows_of
from seqplrp.pipeline.loading import Loaded
from seqplrp.pipeline.option_names import as_method_options
from seqplrp.pipeline.targets import Score, scores_of
from seqplrp.plugins import Plugin

_TRACED_LENGTHS = 8  # explainers kept, each with a copy of the weights


@dataclass(frozen=True)
class Settings:
    """How models are run, whatever they are.

    Parameters
    ----------
    layout : {"NCL", "NLC"}
        What the models take.
    device : str or None
        Where to run; None is where the model is.
    batch_size : int, optional
        Sequences at a time.
    check : bool
        Whether to raise where a ledger does not add up.
    tf32, deterministic : bool
        See `seqplrp.methods.Explainer`.
    """

    layout: Layout = "NCL"
    device: str | None = None
    batch_size: int | None = None
    check: bool = False
    tf32: bool = False
    deterministic: bool = False


class Member:
    """A model made ready to explain records of any length that it takes.

    Parameters
    ----------
    loaded : Loaded
        The model.
    method : Method
        How to explain.
    score : callable, optional
        What picks the score from the model's outputs.
    spec : str, optional
        How the user named that.
    settings : Settings
        How to run.
    further : sequence of FurtherInput
        The model's further inputs.

    Raises
    ------
    SeqplrpError
        If the model takes more inputs, or fewer, than there are.
    """

    def __init__(
        self,
        loaded: Loaded,
        method: Method,
        score: Score | None,
        spec: str | None,
        settings: Settings,
        further: Sequence[FurtherInput] = (),
    ) -> None:
        self.name, self.config = loaded.name, loaded.config
        self._module, self._method, self._settings = loaded.module, method, settings
        self._score, self._spec, self._further = score, spec, tuple(further)
        _check_number(self.name, loaded.module, len(self._further))
        self._shapes = program_inputs(loaded.module) if isinstance(loaded.module, Program) else ()
        self._fixed = self._shapes[0][0] if self._shapes else None
        self._of_length: OrderedDict[int, Explainer] = OrderedDict()
        self._any: Explainer | None = None
        self._freed = GivingBack()
        self._known_batches: dict[str, int] = {}
        self._scorer: nn.Module | None = None

    def outputs(self, record: Record, row: int, place: str) -> int:
        """Run the model once, as it is, on one record, and count its outputs.

        Parameters
        ----------
        record : Record
            What to run it on.
        row : int
            Its number in the input.
        place : str
            Where that stands, for errors.

        Raises
        ------
        SeqplrpError
            If it fails, gives what is not a finite number, or no list of scores.
        """
        x, others = one_hot([record.sequence]), rows_of(self._further, [row])
        self._check_fits_program(record, x, others, place)
        parameter = next((p for p in self._module.parameters() if p.is_floating_point()), x)
        inputs = _moved((x, *others), parameter.device, parameter.dtype)
        try:
            with torch.inference_mode():
                output = self._run(self._module, *inputs)
        except SeqplrpError:
            raise
        except Exception as error:  # a user's own forward may raise anything
            if self._takes_the_other_layout(inputs):
                taken, other = ("(N, 4, L)", "NCL") if self._settings.layout == "NLC" else ("(N, L, 4)", "NLC")
                what = f"is {self._settings.layout}, and {self.name} takes {taken}"
                raise SeqplrpError("--layout", what, f"give --layout {other}") from error
            raise self._failed(record, place, error) from error
        leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        if not all(bool(torch.isfinite(leaf).all()) for leaf in leaves):
            raise SeqplrpError(
                "--model",
                f"its output on record {record.id!r} is not finite",
                "check its weights: some may be NaN or infinite",
            )
        shape = scores_of(output, self._score, self._spec).shape
        return 1 if len(shape) == 1 else shape[1]

    def _takes_the_other_layout(self, inputs: Sequence[Tensor]) -> bool:
        """Say whether the model runs on inputs that it failed on, their channels on the other axis."""
        x, *others = inputs
        try:
            with torch.inference_mode():
                self._run(self._module, x.transpose(1, 2), *others)
        except Exception:  # fails either way: the first failure is what tells
            return False
        return True

    def _failed(self, record: Record, place: str, error: Exception) -> SeqplrpError:
        given = [
            f"its {len(record)} bases",
            *(f"{one.path} {_shape((None, *one.values.shape[1:]))}" for one in self._further),
        ]
        shapes = "sequences and --arg of the shapes" if self._further else "sequences of the length"
        return SeqplrpError(
            place,
            f"the model fails on {' and '.join(given)} ({whole_message(error, most=300, kind=True)})",
            f"give {shapes} that the model takes, or mend its forward",
        )

    def _check_fits_program(self, record: Record, x: Tensor, others: Sequence[Tensor], place: str) -> None:
        """Raise where a saved program was exported for something else than this."""
        if not self._shapes:
            return
        for one, other, wanted in zip(self._further, others, self._shapes[1:], strict=True):
            if not _fits(other, wanted):
                raise SeqplrpError(
                    f"--arg {one.path}",
                    f"is {_shape((None, *other.shape[1:]))}, and {self.name} was exported for {_shape(wanted)}",
                    "give an array of that shape, or export it for others",
                )
        wanted, given = self._shapes[0], self._given(x)
        if _fits(given, wanted):
            return
        shown = _shape(wanted)
        lengths = [size for size in wanted[1:] if size != 4]
        if len(wanted) == 3 and sorted(map(str, wanted[1:])) == sorted(map(str, given.shape[1:])):
            layout = "NCL" if self._settings.layout == "NLC" else "NLC"
            raise SeqplrpError("--layout", f"{self.name} takes {shown}", f"give --layout {layout}")
        raise SeqplrpError(
            place,
            f"has {len(record)} bases, and {self.name} was exported for {shown}",
            f"cut or extend the sequences to {lengths[0]} bases, or export it for others"
            if len(wanted) == 3 and len(lengths) == 1
            else "export it for one-hot sequences, (N, 4, L) or (N, L, 4)",
        )

    def _given(self, x: Tensor) -> Tensor:
        """Return sequences (N, 4, L) as the model takes them."""
        return x.transpose(1, 2) if self._settings.layout == "NLC" else x

    def _run(self, module: nn.Module, x: Tensor, *others: Tensor) -> Any:
        """Run a model on some sequences (N, 4, L); one that fixes its batch size, on batches filled up to it."""
        n = len(x)
        inputs = [self._given(x), *(other.expand(n, *other.shape[1:]) for other in others)]
        if self._fixed is None:
            return module(*inputs)
        missing = -n % self._fixed
        filled = [torch.cat([tensor, tensor[-1:].expand(missing, *tensor.shape[1:])]) for tensor in inputs]
        batches = zip(*(torch.split(tensor, self._fixed) for tensor in filled), strict=True)
        return tree_map(lambda *pieces: torch.cat(pieces)[:n], *[module(*batch) for batch in batches])

    def explain(
        self, x: Tensor, targets: Sequence[int | Literal["predicted"]], ids: Sequence[str], rows: Sequence[int]
    ) -> list[Explanation]:
        """Explain sequences (N, 4, L) of one length, called by their ids in errors, with their numbers in the input.

        One explanation a target, all from one forward pass.
        """
        asked: dict[str, Any] = {
            "targets": [None] if self._score is not None else list(targets),
            "args": rows_of(self._further, rows),
            "batch_size": self._settings.batch_size,
            "progress": self._freed,
        }
        if self._any is None:
            self._any = self.explainer(x[:1], rows[0])
        try:  # one trace serves all lengths where the model allows it
            found = self._any.many(x, **asked)
        except SeqplrpError:
            if self.explainer(x[:1], rows[0]) is self._any:
                raise
            found = self.explainer(x[:1], rows[0]).many(x, **asked)
        if self._settings.check:
            for explanation in found:
                check_ledger(explanation, ids)
        return found

    def graph(self) -> str:
        """Return the model's steps as they were traced first, with their rules and where they are pruned, as text."""
        assert self._any is not None, "the session tries every model on an example"
        return repr(self._any)

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """The plug-ins that have a part in its maps."""
        assert self._any is not None, "the session tries every model on an example"
        return self._any.plugins

    @property
    def largest_batch(self) -> dict[str, int]:
        """Where memory ran out: how many inputs fitted, by the length that was traced."""
        found = {str(length): explainer.largest_batch for length, explainer in self._of_length.items()}
        return self._known_batches | {length: size for length, size in found.items() if size is not None}

    def take_up(self, largest_batch: Mapping[str, int]) -> None:
        """Go on with batches no larger than those of another process, by the length that was traced."""
        known = self.largest_batch
        self._known_batches = known | {name: min(size, known.get(name, size)) for name, size in largest_batch.items()}
        for length, explainer in self._of_length.items():
            explainer.largest_batch = self._known_batches.get(str(length), explainer.largest_batch)

    def explainer(self, example: Tensor, row: int) -> Explainer:
        """Return an explainer whose graph is that of this input's length, traced if it is the first.

        Parameters
        ----------
        example : Tensor
            One sequence (1, 4, L).
        row : int
            Its number in the input.
        """
        length = example.shape[2]
        if length not in self._of_length:
            self._of_length[length] = self._explainer(example, row)
            self._of_length[length].largest_batch = self._known_batches.get(str(length))
            if len(self._of_length) > _TRACED_LENGTHS:
                self._of_length.popitem(last=False)
        self._of_length.move_to_end(length)
        return self._of_length[length]

    def _explainer(self, example: Tensor, row: int) -> Explainer:
        chosen = self._settings
        with _quiet_tracing(), as_method_options():
            return Explainer(
                self._module,
                example,
                self._method,
                target=self._score,
                args=rows_of(self._further, [row]),
                layout=chosen.layout,
                device=chosen.device,
                tf32=chosen.tf32,
                deterministic=chosen.deterministic,
            )

    @property
    def device(self) -> str:
        """Where it runs."""
        assert self._any is not None
        return str(self._any.device)

    def probability(
        self, explanation: Explanation, x: Tensor, rows: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the explained output's probability (N,), and those of all outputs (N, outputs).

        The first is NaN and the second None where the model's kind, or its own last step, does not tell.
        """
        assert self._any is not None
        left_out = self._any.graph.left_out
        kind = None if self.config is None or self._score is not None else self.config.kind
        if kind in ("binary", "multilabel") or left_out == "sigmoid":
            return torch.sigmoid(explanation.output.double()).numpy(), None
        if not (kind == "multiclass" or left_out == "softmax") or explanation.target is None:
            return np.full(len(x), np.nan), None
        scores = self._scores(x, rows)
        if self._method.reverse_complement:
            scores = (scores + self._scores(reverse_complement(x), rows)) / 2
        probabilities = scores if left_out == "softmax" else scores.softmax(1)
        explained = probabilities.gather(1, explanation.target[:, None]).squeeze(1)
        return explained.numpy(), probabilities.numpy()

    def every_output(self, x: Tensor, rows: Sequence[int]) -> Tensor:
        """Return all outputs of sequences (N, 4, L), the rows-th of the input, as the model gives them: (N, outputs).

        After the member was used to explain, and only where a number picks the score.
        """
        return self._scores(x, rows).reshape(len(x), -1)

    def _scores(self, x: Tensor, rows: Sequence[int]) -> Tensor:
        """Return what the model itself gives: (N, outputs)."""
        there = torch.device(self.device)
        if self._scorer is None:  # a copy where the work is done: the user's model is not moved
            place = next((p for p in self._module.parameters()), None)
            moved = place is not None and place.device != there
            self._scorer = copy.deepcopy(self._module).to(there) if moved else self._module
        scorer = self._scorer
        dtype = next((p.dtype for p in scorer.parameters() if p.is_floating_point()), x.dtype)
        size = self._settings.batch_size or 256
        found = []
        with torch.inference_mode():
            for start in range(0, len(x), size):
                some = slice(start, start + size)
                inputs = _moved((x[some], *rows_of(self._further, rows[some])), there, dtype)
                found.append(self._run(scorer, *inputs))
            return torch.cat(found).cpu().double()


def check_ledger(explanation: Explanation, ids: Sequence[str]) -> None:
    """Raise a SeqplrpError where a ledger does not add up, and name the record.

    Parameters
    ----------
    explanation : Explanation
        Of some records.
    ids : sequence of str
        Of these records.
    """
    try:
        explanation.check()
    except SeqplrpError as error:
        layer, found, number = error.where.rpartition(", sequence ")
        if not found:
            raise SeqplrpError("--check", error.what, error.remedy) from error
        raise SeqplrpError(f"{layer}, record {ids[int(number)]!r}", error.what, error.remedy) from error


def _check_number(name: str, module: nn.Module, further: int) -> None:
    """Raise where a model takes more inputs, or fewer, than the sequences and so many further ones."""
    names, most = _inputs(name, module)
    if len(names) > 1 + further:
        raise SeqplrpError(
            "--arg",
            f"{name} takes {len(names)} inputs ({', '.join(names)}), and beside the sequences {further or 'none'} "
            f"{'was' if further < 2 else 'were'} given",
            "give --arg FILE.npy for each further one, or explain it in Python: sp.explain(model, X, args=(...))",
        )
    if most is not None and 1 + further > most:
        takes = f"at most {most - 1} beside the sequences" if most > 1 else "the sequences alone"
        raise SeqplrpError("--arg", f"{further} given, and {name} takes {takes}", "leave out what is too much")


def _inputs(name: str, module: nn.Module) -> tuple[list[str], int | None]:
    """Return the names of the inputs that a model must be given, and how many it takes; None where that is free."""
    if isinstance(module, Program):
        names = [str(one) for one in module.exported.graph_signature.user_inputs]
        return names, len(names)
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (ValueError, TypeError):  # of a forward that is not written in Python; running it will tell
        return [], None
    by_name = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if by_name:
        raise SeqplrpError(
            "--model",
            f"{name} takes {by_name[0]!r} by name only",
            "wrap it in a module whose forward takes it by position",
        )
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    free = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return [p.name for p in positional if p.default is p.empty], None if free else len(positional)


def _moved(inputs: Sequence[Tensor], device: torch.device, dtype: torch.dtype) -> list[Tensor]:
    """Bring a model's inputs to where it is; whole numbers stay such."""
    return [tensor.to(device, dtype if tensor.is_floating_point() else None) for tensor in inputs]


def _fits(given: Tensor, wanted: Sequence[int | None]) -> bool:
    """Say whether a tensor is of the shape that a program was exported for, but for its number of rows."""
    return given.dim() == len(wanted) and all(w in (None, g) for w, g in zip(wanted[1:], given.shape[1:], strict=True))


def _shape(sizes: Sequence[int | None]) -> str:
    return "(" + ", ".join("N" if size is None else str(size) for size in sizes) + ")"


@contextmanager
def _quiet_tracing() -> Iterator[None]:
    # torch logs what it could not trace at length before it raises; the error itself says it in a line.
    previous = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(previous)
