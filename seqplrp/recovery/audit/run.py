"""The audit: all seven checks of one explain function.

Source: the checks are those of Landt-Hayen, Rath, Claus and Kroeger, "Fact or Artifact? Revise Layer-wise Relevance
Propagation on various ANN Architectures" (arXiv 2302.12317), which were made for geospatial data, carried over to DNA
(METHODS.md, section 7). The statistics are ours.

Measured on nets without artifacts (``Clean`` of tests/recovery/audit_nets.py, 100 random weights; LRP, PLRP and
gradient x input by turns; 200 sequences of 120 bases each): no finding and no note in 100 audits. Twice it was left
unsettled whether PLRP's map follows a motif that raises the score by a tenth or less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.motifs import Motif, load_all
from seqplrp.recovery.audit import amplitude, distractors, offsets, permutation, position, strands
from seqplrp.recovery.audit.findings import CheckResult, Finding, Level
from seqplrp.recovery.audit.permutation import Retraining
from seqplrp.recovery.audit.probes import Effect, effects_of, strongest, unanswered
from seqplrp.recovery.audit.profiles import AuditLimits
from seqplrp.recovery.audit.subject import (
    Backgrounds,
    Codes,
    ExplainFunction,
    OtherOutputs,
    Subject,
    planted,
    random_starts,
    word_of,
)
from seqplrp.recovery.audit.trial import Trial

SOURCE = "Landt-Hayen et al., arXiv 2302.12317, carried over to DNA"

AUDIT_CHECKS = (
    position.CHECK,
    offsets.CHECK,
    strands.CHECK,
    distractors.CHECK,
    permutation.CHECK,
    amplitude.SCALING,
    amplitude.CAPPING,
)
"""The checks in their order."""

_SHORTEST = 20
_FEWEST_REAL = 20


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """How much is looked at, and when something is told.

    Parameters
    ----------
    sequences : int
        Shuffled sequences of the first check; other checks take as many, or a half.
    backgrounds : int
        Sequences into which motifs are written, in the second check; four times as many in the fourth.
    distractors : int
        Motifs of the library to try as distractors where none are named.
    checks : tuple of str
        Which of `AUDIT_CHECKS` to make.
    limits : AuditLimits
        When something is told.
    seed : int
        Of everything that is drawn.
    """

    sequences: int = 400
    backgrounds: int = 24
    distractors: int = 6
    checks: tuple[str, ...] = AUDIT_CHECKS
    limits: AuditLimits = field(default_factory=AuditLimits)
    seed: int = 0

    def validate(self) -> None:
        """Raise a SeqplrpError for what can't be."""
        for name, least in (("sequences", 50), ("backgrounds", 8), ("distractors", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise SeqplrpError(name, f"is {getattr(self, name)}", f"give at least {least}")
        unknown = [name for name in self.checks if name not in AUDIT_CHECKS]
        if unknown or not self.checks:
            what = f"{unknown[0]!r} is no check" if unknown else "names no check"
            raise SeqplrpError("checks", what, f"choose from {', '.join(AUDIT_CHECKS)}")


@dataclass(frozen=True)
class Audit:
    """What an audit came to.

    Attributes
    ----------
    results : tuple of CheckResult
        In the order of `AUDIT_CHECKS`.
    motif : Motif or None
        The motif that was moved: the one given, or the one that the model answers to most.
    motif_effect : float or None
        What that motif does to the score on average.
    length : int
        Of all sequences.
    explained : int
        How many sequences were explained.
    options : AuditOptions
        As it was asked.
    """

    results: tuple[CheckResult, ...]
    motif: Motif | None
    motif_effect: float | None
    length: int
    explained: int
    options: AuditOptions

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings of all checks, without notes."""
        return self._of("finding")

    @property
    def unsettled(self) -> tuple[Finding, ...]:
        """What may be a finding or nothing, of all checks: what was measured can't tell."""
        return self._of("unsettled")

    def _of(self, level: Level) -> tuple[Finding, ...]:
        return tuple(f for result in self.results for f in result.findings if f.level == level)


def run_audit(
    explain: ExplainFunction,
    length: int,
    *,
    options: AuditOptions | None = None,
    real: Codes | None = None,
    motifs: Sequence[Motif] = (),
    distractor_motifs: Sequence[Motif] = (),
    strides: Mapping[int, str] | None = None,
    retraining: Retraining | None = None,
    others: OtherOutputs | None = None,
    progress: Callable[[str, int], None] = lambda check, steps: None,
) -> Audit:
    """Look for what a model and an explainer add to maps by themselves.

    Parameters
    ----------
    explain : callable
        From (N, 4, L) to an object with ``per_base`` (N, L) and ``output`` (N,): an `seqplrp.Explainer`, say, or any
        other method's function. It is called with batches of any size.
    length : int
        L.
    options : AuditOptions, optional
        How much is looked at.
    real : ndarray of uint8, shape (N, L), optional
        Real sequences: shuffled they are the backgrounds, and the strand and amplitude checks use them as they are.
        Random DNA stands in for them.
    motifs : sequence of Motif
        Candidates for the motif that is moved; the library of seqplrp if empty. The one that raises the score most is
        taken.
    distractor_motifs : sequence of Motif
        Motifs that the score should not answer to; if empty, those of the library to which neither it nor another
        output was seen to answer. Whether the score does is then measured.
    strides : mapping of int to str, optional
        From `pool_strides`. Periods are found without it, too, but not the longest ones, and no layer is named.
    retraining : Retraining, optional
        What the fifth check trains; without it that check does not run, and says so.
    others : OtherOutputs, optional
        The model's other outputs, so that their motifs are not taken for distractors.
    progress : callable
        Told of the check that runs and of the sequences that were just explained.

    Raises
    ------
    SeqplrpError
        For options that can't be, sequences too short, or maps of the wrong shape.

    Examples
    --------
    >>> import torch, seqplrp as sp
    >>> from seqplrp.recovery import AuditOptions, run_audit
    >>> nn = torch.nn
    >>> model = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 1))
    >>> explainer = sp.Explainer(model, torch.zeros(1, 4, 40))
    >>> found = run_audit(explainer, 40, options=AuditOptions(sequences=100, checks=("scaling",)))
    >>> [result.check for result in found.results]
    ['scaling']
    """
    chosen = options or AuditOptions()
    chosen.validate()
    _check_sequences(length, real)
    now = _Now(progress)
    subject = Subject(explain, length, now.advance, others)
    backgrounds = Backgrounds(length, real)
    rngs = dict(zip((*AUDIT_CHECKS, "probes", "real"), np.random.default_rng(chosen.seed).spawn(len(AUDIT_CHECKS) + 2)))
    needed = {offsets.CHECK, distractors.CHECK, strands.CHECK} & set(chosen.checks)
    now.check = "probes"
    effects = effects_of(subject, backgrounds, [*motifs] or load_all(), rngs["probes"]) if needed else []
    best = strongest(effects)
    asked = _Asked(subject, backgrounds, chosen, strides or {}, best, rngs)
    quiet = distractor_motifs
    if not quiet and distractors.CHECK in chosen.checks:
        library = effects if not motifs else effects_of(subject, backgrounds, load_all(), rngs["probes"])
        used = "" if best is None else best.motif.name
        quiet = unanswered([effect for effect in library if effect.motif.name != used], chosen.distractors)
    results = []
    for check in AUDIT_CHECKS:
        if check in chosen.checks:
            now.check = check
            results.append(_made(check, asked, quiet, retraining, now.advance))
    return Audit(
        results=tuple(results),
        motif=None if best is None else best.motif,
        motif_effect=None if best is None else best.mean,
        length=length,
        explained=now.explained,
        options=chosen,
    )


@dataclass
class _Now:
    """Tells progress with the check that runs, and counts."""

    progress: Callable[[str, int], None]
    check: str = ""
    explained: int = 0

    def advance(self, steps: int) -> None:
        self.explained += steps
        self.progress(self.check, steps)


@dataclass(frozen=True)
class _Asked:
    """What every check is made with."""

    subject: Subject
    backgrounds: Backgrounds
    options: AuditOptions
    strides: Mapping[int, str]
    best: Effect | None
    rngs: Mapping[str, np.random.Generator]

    def sequences(self) -> tuple[Codes, str]:
        """Return sequences to explain as they are, the same for every check: real ones, or shuffles with the motif."""
        rng = np.random.default_rng([self.options.seed, 1])
        n, real = self.options.sequences // 2, self.backgrounds.real
        if real is not None:
            return real[np.sort(rng.permutation(len(real))[:n])], "real ones"
        codes = self.backgrounds.draw(n, rng)
        if self.best is None:
            return codes, self.backgrounds.described
        motif = self.best.motif
        at = random_starts(n, self.backgrounds.length, motif.width, rng)
        return planted(codes, word_of(motif), at), f"{self.backgrounds.described} with {motif.name}"


def _made(
    check: str,
    asked: _Asked,
    quiet: Sequence[Motif],
    retraining: Retraining | None,
    advance: Callable[[int], None],
) -> CheckResult:
    subject, options, rng = asked.subject, asked.options, asked.rngs[check]
    limits, seed = options.limits, options.seed
    trial = Trial(subject, asked.backgrounds, limits, asked.strides, rng)
    if check == position.CHECK:
        return position.check_position(trial, n=options.sequences)
    if check == offsets.CHECK:
        if asked.best is None:
            return CheckResult(
                check,
                offsets.TITLE,
                "did not run: no motif that was tried was seen to move the score (--motif)",
                ran=False,
            )
        return offsets.check_offset(trial, asked.best.motif, n=options.backgrounds)
    if check == distractors.CHECK:
        used = None if asked.best is None else asked.best.motif
        n = distractors.PER_BACKGROUND * options.backgrounds
        return distractors.check_distractor(trial, quiet, used, n=n)
    if check == permutation.CHECK:
        if retraining is None:
            return CheckResult(check, permutation.TITLE, permutation.NOT_RUN, ran=False)
        return permutation.check_permutation(retraining, n=options.sequences, limits=limits, rng=rng, advance=advance)
    codes, what = asked.sequences()
    if check == strands.CHECK:
        return strands.check_strand(subject, codes, what=what, seed=seed)
    made = amplitude.check_scaling if check == amplitude.SCALING else amplitude.check_capping
    return made(subject, codes, what=what, seed=seed)


def _check_sequences(length: int, real: Codes | None) -> None:
    if length < _SHORTEST:
        raise SeqplrpError("length", f"is {length}", f"audit sequences of {_SHORTEST} bases or more")
    if real is None:
        return
    if real.ndim != 2 or real.shape[1] != length:
        raise SeqplrpError("real", f"has shape {real.shape}, expected (N, {length})", "give codes of that length")
    if len(real) < _FEWEST_REAL:
        raise SeqplrpError(
            "real", f"{len(real)} sequences of {length} bases are too few", f"give {_FEWEST_REAL} or more, or none"
        )
    if not (real < 4).any(axis=1).all():
        raise SeqplrpError("real", "a sequence holds no base but N", "leave it out")
