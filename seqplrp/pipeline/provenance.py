"""How every manifest begins: what was explained, of what, how and by which versions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seqplrp._version import __version__
from seqplrp.methods import settled
from seqplrp.models import weights_sha256
from seqplrp.pipeline.contents import file_sha256
from seqplrp.pipeline.formats import FORMATS
from seqplrp.pipeline.loading import Loaded
from seqplrp.pipeline.request import Request
from seqplrp.pipeline.session import Session
from seqplrp.pipeline.sources import Source
from seqplrp.plugins import Plugin


def provenance(
    command: str,
    request: Request,
    models: Iterable[Loaded],
    session: Session,
    *,
    libraries: Iterable[str],
    has_fasta: bool = True,
    sha256: Mapping[Path, str] | None = None,
) -> dict[str, Any]:
    """Return what a manifest says of the command, the models, the method, the input and the versions.

    The hashes of files that were hashed before need not be found again: `sha256` has them.
    """
    known = dict(sha256 or {})
    used = [*session.plugins, *(plugin for plugin in map(FORMATS.plugin, request.formats) if plugin is not None)]
    known |= {path: file_sha256(path) for path in _files(request.source, session, has_fasta) if path not in known}
    return {
        "command": command,
        "finished": now(),
        "versions": {
            "seqplrp": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in libraries},
        },
        **({"plugins": [plugin.told() for plugin in used]} if used else {}),
        "arguments": request.arguments,
        "method": repr(request.method),
        "target": session.target if len(session.targets) == 1 else list(session.targets),
        "classes": session.classes,
        "seed": request.seed,
        "device": session.device,
        "layout": request.settings().layout,
        "tf32": request.tf32,
        "deterministic": request.deterministic,
        "models": [{"name": model.name, "weights_sha256": weights_sha256(model.module)} for model in models],
        "input": _input(request.source, known) if has_fasta else None,
        "further_inputs": [
            {"path": str(one.path), "sha256": known[one.path], "shape": list(one.values.shape)}
            for one in session.further
        ],
    }


def describe(
    request: Request, models: Iterable[Loaded], session: Session, sha256: Mapping[Path, str]
) -> dict[str, Any]:
    """Return all that decides the parts of a run, as JSON can hold it: a run that goes on must have the same.

    Paths are not in it: what counts is what the files hold (`sha256`). What is made of the parts, the formats, is not,
    either.
    """
    settings = request.settings()
    return {
        "versions": {"seqplrp": __version__, **{name: version(name) for name in ("torch", "numpy")}},
        **({"plugins": _by_name(session.plugins)} if session.plugins else {}),  # no key else: older runs can go on
        "input_sha256": [sha256[path] for path in request.source.files],
        "input": request.source.settings(),
        "chunk_size": request.chunk_size,
        "models": [
            {"weights_sha256": weights_sha256(model.module), "graph_sha256": text_sha256(graph)}
            for model, graph in zip(models, session.graphs(), strict=True)
        ],
        "further_inputs_sha256": [sha256[one.path] for one in session.further],
        "method": repr(settled(request.method)),
        "keeps_unpruned": session.keeps_unpruned,
        "targets": list(session.targets),
        "layout": settings.layout,
        "device": session.device,
        "batch_size": request.batch_size,
        "tf32": request.tf32,
        "deterministic": request.deterministic,
        "check": request.check,
        "seed": request.seed,
    }


def _by_name(used: Iterable[Plugin]) -> dict[str, str]:
    """Say which version of whose package each plug-in is of."""
    return {f"{plugin.kind} {plugin.name}": f"{plugin.distribution} {plugin.version}" for plugin in used}


def _files(source: Source, session: Session, has_fasta: bool) -> tuple[Path, ...]:
    """Name the files whose hashes a manifest has."""
    return (*(source.files if has_fasta else ()), *(one.path for one in session.further))


def _input(source: Source, sha256: Mapping[Path, str]) -> dict[str, Any]:
    """Say what sequences were read from: the file that lists them, the others, and how they were read."""
    first, *others = ({"path": str(path), "sha256": sha256[path]} for path in source.files)
    return {**first, **({"further_files": others} if others else {}), **source.settings()}


def now() -> str:
    """Return the time as manifests have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def text_sha256(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode()).hexdigest()
