"""From a model to its audit: sequences, the explain function, the data to retrain on; then pages and pictures."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor

from seqplrp.cli.console import progress
from seqplrp.errors import SeqplrpError, as_options
from seqplrp.genomics import Record, codes_to_strings, encode
from seqplrp.genomics.motifs import Motif, load, read_motifs
from seqplrp.methods import Explainer, Explanation, together
from seqplrp.models import (
    ReadOptions,
    SequenceData,
    SequenceModel,
    TrainOptions,
    check_architecture,
    read_labelled_directory,
    read_positives_negatives,
)
from seqplrp.pipeline import (
    Example,
    Loaded,
    Request,
    Session,
    load_models,
    out_of_memory_told,
    provenance,
    read_further,
    read_records,
)
from seqplrp.plot import save_figure
from seqplrp.recovery import (
    AUDIT_CHECKS,
    Audit,
    AuditOptions,
    OtherOutputs,
    Retraining,
    audit_json,
    audit_page,
    pool_strides,
    run_audit,
)

_ARCHITECTURE = "basset-small"
_MOST_REAL = 4000


@dataclass(frozen=True)
class Looks:
    """What is wanted of the audit.

    Parameters
    ----------
    motifs, distractors : tuple of str
        Names of the library, or files.
    length : int, optional
        Bases of the sequences.
    data, positives, negatives : optional
        What to retrain on.
    architecture, epochs : optional
        How to retrain, where the model does not say.
    checks : str, optional
        Names with commas between.
    sequences, backgrounds : int
        See `seqplrp.recovery.AuditOptions`.
    described : str
        The method in the user's words.
    """

    motifs: tuple[str, ...]
    distractors: tuple[str, ...]
    length: int | None
    data: Path | None
    positives: Path | None
    negatives: str | None
    architecture: str | None
    epochs: int | None
    checks: str | None
    sequences: int
    backgrounds: int
    described: str

    @property
    def retrains(self) -> bool:
        """Whether there is something to retrain on."""
        return self.data is not None or self.positives is not None

    def check(self) -> None:
        """Raise a SeqplrpError for options that do not go together."""
        if self.data is not None and (self.positives is not None or self.negatives is not None):
            raise SeqplrpError("--data", "given together with --positives or --negatives", "give one or the other")
        if (self.positives is None) != (self.negatives is None):
            raise SeqplrpError("--positives, --negatives", "one was given without the other", "give both, or --data")
        if not self.retrains and (self.architecture is not None or self.epochs is not None):
            option = "--arch" if self.architecture is not None else "--epochs"
            raise SeqplrpError(option, "is for retraining, and there is nothing to retrain on", "give --data, too")

    def options(self, seed: int) -> AuditOptions:
        """Return the audit's own options."""
        names: tuple[str, ...] = AUDIT_CHECKS
        if self.checks is not None:
            names = tuple(dict.fromkeys(name.strip().lower() for name in self.checks.split(",") if name.strip()))
        chosen = AuditOptions(sequences=self.sequences, backgrounds=self.backgrounds, checks=names, seed=seed)
        with as_options("sequences", "backgrounds", "checks", "seed"):
            chosen.validate()
        return chosen


@dataclass(frozen=True)
class Found:
    """What came of it.

    Parameters
    ----------
    audit : Audit
        The audit.
    notes : tuple of str
        What a reader of it must know of its input.
    wall_seconds : float
        Time for all.
    """

    audit: Audit
    notes: tuple[str, ...]
    wall_seconds: float


@dataclass(frozen=True)
class _Real:
    """Real sequences of one length: codes (N, L), and how many there were that did not serve."""

    codes: np.ndarray
    left_out: int
    cut: int


def run(request: Request, looks: Looks, stage: Path, *, has_fasta: bool) -> Found:
    """Audit and write the files into ``stage``; what can be known to be wrong is found before any work."""
    began = time.monotonic()
    looks.check()
    options = looks.options(request.seed)
    motifs, distractors = _motifs("--motif", looks.motifs), _motifs("--distractor", looks.distractors)
    with out_of_memory_told():
        models = load_models(request.models, request.weights, trust_pickle=request.trust_pickle)
        records = list(read_records(request)) if has_fasta else []
        length = _length(looks, models, records)
        real = _real(request, records, length) if has_fasta else None
        session = _session(request, models, length)
        retraining = _retraining(request, looks, session, models, length) if looks.retrains else None
        torch.manual_seed(request.seed)
        with progress("auditing", None) as advance, as_options("sequences", "backgrounds", "length"):
            found = run_audit(
                _explain_function(session),
                length,
                options=options,
                real=None if real is None else real.codes,
                motifs=motifs,
                distractor_motifs=distractors,
                strides=pool_strides(session.explainer(_blank(length), 0).graph),
                retraining=retraining,
                others=_other_outputs(session, models, length),
                progress=lambda check, steps: advance(steps),
            )
    notes = (*dict.fromkeys(note for model in models for note in model.notes), *_notes(real, length))
    _write(found, request, looks, stage)
    wall_seconds = time.monotonic() - began
    manifest = _manifest(request, looks, models, session, found, has_fasta, notes, wall_seconds)
    (stage / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return Found(found, notes, wall_seconds)


def _motifs(option: str, names: tuple[str, ...]) -> list[Motif]:
    found: list[Motif] = []
    for name in names:
        if Path(name).is_file():
            found += read_motifs(name)
            continue
        try:
            found.append(load(name))
        except SeqplrpError as error:
            remedy = error.remedy.replace("read a file by read_motifs()", "name a MEME or JASPAR file")
            raise SeqplrpError(option, error.what, remedy) from error
    return found


def _length(looks: Looks, models: tuple[Loaded, ...], records: list[Record]) -> int:
    """Return the length to audit at: as asked, else the model's own, else the commonest of the sequences."""
    own = next((model.length for model in models if model.length is not None), None)
    if looks.length is not None:
        return looks.length
    if own is not None:
        return own
    if records:
        return Counter(map(len, records)).most_common(1)[0][0]
    raise SeqplrpError("--length", "neither the model nor anything else tells it", "give --length, or --fasta")


def _real(request: Request, records: list[Record], length: int) -> _Real:
    """Bring the sequences to one length: longer ones are cut about their centres, shorter ones left out."""
    fitting = [record.sequence for record in records if len(record) >= length]
    kept = [text for text in fitting if set(text) - {"N"}]
    if len(kept) > _MOST_REAL:
        chosen = np.random.default_rng(request.seed).permutation(len(kept))[:_MOST_REAL]
        kept = [kept[i] for i in np.sort(chosen)]
    if len(kept) < 20:
        raise SeqplrpError(
            request.source.path,
            f"holds {len(kept)} sequences of {length} bases or more, of {len(records)} in all",
            "give 20 or more, or leave --fasta out",
        )
    cut = [text[(len(text) - length) // 2 :][:length] for text in kept]
    return _Real(encode(cut), len(records) - len(kept), sum(len(text) > length for text in kept))


def _notes(real: _Real | None, length: int) -> list[str]:
    notes = []
    if real is not None and real.left_out:
        notes.append(
            f"{real.left_out} sequences were left out: shorter than {length} bases, nothing but N, or more than "
            f"{_MOST_REAL} in all"
        )
    if real is not None and real.cut:
        notes.append(f"{real.cut} sequences were cut to {length} bases about their centres")
    return notes


def _blank(length: int) -> Tensor:
    return torch.zeros(1, 4, length)


def _session(request: Request, models: tuple[Loaded, ...], length: int) -> Session:
    """Make the models ready, tried on a random sequence."""
    if "predicted" in request.targets:
        raise SeqplrpError(
            "--target", "predicted is not one output, and the audit compares maps of one", "name an output"
        )
    codes = np.random.default_rng(request.seed).integers(0, 4, (1, length), dtype=np.uint8)
    (text,) = codes_to_strings(codes)
    example = Example(Record("random", text, "random", 0, length), 0, f"a random sequence of {length} bases")
    return Session(
        models,
        request.method,
        targets=request.targets,
        examples=[example],
        settings=request.settings(),
        further=read_further(request.further, 1),
    )


def _explain_function(session: Session) -> Callable[[Tensor], Explanation]:
    """Return what explains any inputs (N, 4, L): the mean over the models."""

    def explain(x: Tensor) -> Explanation:
        ids = [str(i) for i in range(len(x))]
        target = session.index if session.index is not None else 0
        # further inputs are one row for all, the first
        own = [member.explain(x, [target], ids, [0] * len(x))[0] for member in session.members]
        return own[0] if len(own) == 1 else together(own)

    return explain


def _other_outputs(session: Session, models: tuple[Loaded, ...], length: int) -> OtherOutputs | None:
    """Return the outputs that are not explained, the mean over the models; None where a function picks the score.

    Such a function may use every output, so none is known to be another.
    """
    index = session.index
    if not isinstance(index, int):
        return None
    outputs = session.members[0].every_output(_blank(length), [0]).shape[1]
    classes = models[0].config.classes if models[0].config is not None else ()
    names = list(classes) if len(classes) == outputs else [f"output {i}" for i in range(outputs)]
    others = [i for i in range(outputs) if i != index]
    if not others:
        return None

    def scores(x: Tensor) -> Tensor:
        found = [member.every_output(x, [0] * len(x)) for member in session.members]
        return torch.stack(found).mean(dim=0)[:, others]

    return OtherOutputs(scores, tuple(names[i] for i in others))


def _retraining(
    request: Request, looks: Looks, session: Session, models: tuple[Loaded, ...], length: int
) -> Retraining:
    """Read the training data, and find how to train on it: as the first model was, if it says so."""
    if session.index is None:
        raise SeqplrpError(
            "--data", "a function picks the score, and retrained networks may not suit it", "leave it out"
        )
    config = models[0].config
    data = _training_data(looks, length, request.seed, iupac=request.source.settings()["iupac"])
    if config is not None and list(data.classes) != list(config.classes):
        raise SeqplrpError(
            "--data",
            f"tells {', '.join(data.classes)} apart, and the model {', '.join(config.classes)}",
            "give what the model was trained on",
        )
    if cast(int, session.index) >= len(data.classes):
        raise SeqplrpError("--target", f"{session.index} is no class of --data", "leave --data out")
    own = config is not None and looks.architecture in (None, config.architecture)
    architecture = looks.architecture or (config.architecture if config is not None else _ARCHITECTURE)
    options = dict(config.options) if config is not None and own else {}
    known = {field.name for field in dataclasses.fields(TrainOptions)}
    used = {key: value for key, value in (config.training if config is not None else {}).items() if key in known}
    if not own:
        used.pop("learning_rate", None)
    changed = {"seed": request.seed, "device": request.device, **({"epochs": looks.epochs} if looks.epochs else {})}
    training = TrainOptions(**{**used, **changed})
    with as_options("epochs", "device", architecture="--arch"):
        training.validate()
        check_architecture(architecture, options)
    target = cast(int, session.index)

    def explain(model: SequenceModel) -> Callable[[Tensor], Explanation]:
        explainer = Explainer(model, _blank(data.length), request.method, device=request.settings().device)
        return lambda x: explainer(x, target, batch_size=request.batch_size)

    return Retraining(data=data, architecture=architecture, options=options, training=training, explain=explain)


def _training_data(looks: Looks, length: int, seed: int, *, iupac: str) -> SequenceData:
    options = ReadOptions(length=length, seed=seed, iupac=cast(Literal["reject", "n"], iupac))
    if looks.data is not None:
        return read_labelled_directory(looks.data, options=options)
    assert looks.positives is not None
    assert looks.negatives is not None
    return read_positives_negatives(looks.positives, looks.negatives, options=options)


def _write(found: Audit, request: Request, looks: Looks, stage: Path) -> None:
    pictures = {}
    for result in found.results:
        if result.draw is not None:
            pictures[result.check] = f"{result.check}.png"
            save_figure(result.draw(), stage / pictures[result.check])
    subject = f"Model {', '.join(request.models)}, explained by {looks.described}; sequences of {found.length} bases."
    (stage / "audit.md").write_text(audit_page(found, subject=subject, pictures=pictures), encoding="utf-8")
    content = json.dumps(audit_json(found), indent=1, allow_nan=False)
    (stage / "findings.json").write_text(content + "\n", encoding="utf-8")


def _manifest(
    request: Request,
    looks: Looks,
    models: tuple[Loaded, ...],
    session: Session,
    found: Audit,
    has_fasta: bool,
    notes: tuple[str, ...],
    wall_seconds: float,
) -> dict[str, Any]:
    return {
        **provenance(
            "audit",
            request,
            models,
            session,
            libraries=("torch", "numpy", "pandas", "scipy", "matplotlib"),
            has_fasta=has_fasta,
        ),
        "length": found.length,
        "motif": None if found.motif is None else found.motif.name,
        "checks": {result.check: result.status for result in found.results},
        "findings": len(found.findings),
        "unsettled": len(found.unsettled),
        "sequences_explained": found.explained,
        "limits": dataclasses.asdict(found.options.limits),
        "retrained_on": str(looks.data or looks.positives) if looks.retrains else None,
        "notes": list(notes),
        "wall_seconds": round(wall_seconds, 3),
        "conventions": {"coordinates": "0-based, half-open", "positions": "of the sequence as the model reads it"},
    }
