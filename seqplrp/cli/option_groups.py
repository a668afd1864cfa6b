"""Options that go together, each group declared once: a command takes a group as one argument.

typer knows no groups, so `spread` shows it the fields of each as options of the command itself.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_type_hints

from seqplrp.cli import options

if TYPE_CHECKING:
    from seqplrp.methods import Method
    from seqplrp.pipeline import Executing


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What of the model is explained, and what it takes."""

    target: options.Target = None
    arg: options.FurtherInputs = None
    trust_pickle: options.TrustPickle = False
    layout: options.Layout = "NCL"


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """The method's settings; None where one was not given."""

    rule: options.Rule = None
    p: options.PrunedShare = None
    budget: options.Budget = None
    p_neg: options.NegativeShare = None
    mode: options.Mode = None
    threshold: options.Threshold = None
    gain: options.Gain = None
    tau: options.Tau = None
    attention: options.Attention = None
    option: options.MethodOption = None

    def settings(self) -> dict[str, Any]:
        """Return what `seqplrp.cli.method_options.method_of` takes."""
        return dict(vars(self))

    def method(self, name: str, *, seed: int = 0) -> tuple[Method, dict[str, Any]]:
        """Return the method of a name with these settings, and those that were given."""
        from seqplrp.cli.method_options import method_of

        return method_of(name, **self.settings(), seed=seed)


@dataclass(frozen=True, kw_only=True)
class MapOptions(MethodOptions):
    """The method's settings where its maps are what is wanted: what is done to them, too."""

    center: options.Center = "none"
    reverse_complement: options.BothStrands = False

    def settings(self) -> dict[str, Any]:
        """Return what `seqplrp.cli.method_options.method_of` takes."""
        return {**super().settings(), "reverse_complement": self.reverse_complement or None}


@dataclass(frozen=True, kw_only=True)
class SequenceOptions:
    """Where the sequences come from; None where an option was not given."""

    fasta: options.Fasta = None
    window: options.Window = None
    stride: options.Stride = None
    short: options.ShortRecords = None
    bed: options.Bed = None
    genome: options.GenomeFile = None
    width: options.Width = None
    centre: options.Centre = None
    edge: options.Edge = None
    unknown_contig: options.UnknownContig = None
    bed_format: options.BedFormat = None


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How the model is run, and how its sequences are read."""

    batch_size: options.BatchSize = None
    device: options.Device = "auto"
    tf32: options.Tf32 = False
    deterministic: options.Deterministic = False
    iupac: options.Iupac = "reject"


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions:
    """Where chunks are explained."""

    executor: options.Executor = "local"
    workers: options.Workers = None
    cpus: options.Cpus = 1
    gpus: options.Gpus = 0.0
    ray_address: options.RayAddress = None

    def executing(self) -> Executing:
        """Return what the pipeline takes."""
        from seqplrp.pipeline import Executing

        return Executing(self.executor, self.workers, self.cpus, self.gpus, self.ray_address)


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command that takes the fields of its groups in their place, each as an argument of its own.

    A group is a parameter of a dataclass's type.
    """
    signature = inspect.signature(command, eval_str=True)
    annotations = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    groups = {name: kind for name, kind in annotations.items() if _is_group(kind)}

    @functools.wraps(command)
    def spread_out(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    parameters = [
        one
        for name, parameter in signature.parameters.items()
        for one in (_fields(groups[name]) if name in groups else [parameter])
    ]
    hints = {one.name: one.annotation for one in parameters}
    vars(spread_out).update(__signature__=signature.replace(parameters=parameters))  # what typer reads
    spread_out.__annotations__ = {**hints, "return": None}
    return spread_out


def _is_group(kind: object) -> bool:
    return isinstance(kind, type) and dataclasses.is_dataclass(kind)


def _fields(group: Any) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in dataclasses.fields(group):
        default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
        yield inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hints[field.name]
        )


def spread_values(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a command's arguments with each group's fields in its place."""
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        found.update(vars(value) if dataclasses.is_dataclass(value) else {name: value})
    return found
