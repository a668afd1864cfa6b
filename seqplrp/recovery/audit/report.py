"""An audit on one page, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seqplrp.recovery.audit.findings import CheckResult, Finding, Level, plain, spoken
from seqplrp.recovery.audit.intervals import LITTLE_OF_IT, MOST_OF_IT
from seqplrp.recovery.audit.run import SOURCE, Audit

_STATUS = {"findings": "FOUND", "unsettled": "unsettled", "nothing found": "nothing found", "not run": "not run"}
_HEADINGS: tuple[tuple[str, Level], ...] = (
    ("Findings", "finding"),
    ("Unsettled: what was measured can't tell", "unsettled"),
    ("Notes: certain, but small or no fault of the maps", "note"),
)


def audit_page(found: Audit, *, subject: str, pictures: Mapping[str, str] | None = None) -> str:
    """Write an audit as one page of Markdown: what was found, how large, where, what to do.

    Parameters
    ----------
    found : Audit
        The audit.
    subject : str
        What was audited, in a line: the model and the method.
    pictures : mapping of str to str, optional
        File of the picture of each check.
    """
    files = pictures or {}
    lines = ["# Artifact audit", "", subject, "", _verdict(found), ""]
    lines += ["| check | result | picture |", "|---|---|---|"]
    for number, result in enumerate(found.results, start=1):
        link = f"[{files[result.check]}]({files[result.check]})" if result.check in files else ""
        title = result.title.replace("|", "\\|")
        lines.append(f"| {number}. {title} | {_STATUS[result.status]}{_counted(result)} | {link} |")
    for heading, level in _HEADINGS:
        told = [one for result in found.results for one in result.findings if one.level == level]
        if told:
            lines += ["", f"## {heading}", ""]
            lines += [line for one in told for line in _told(one)]
    lines += ["", "## What was measured", ""]
    lines += [f"- **{result.check}**: {result.summary}." for result in found.results]
    lines += ["", _method(found), ""]
    return "\n".join(lines)


def audit_json(found: Audit) -> dict[str, Any]:
    """Return an audit as JSON can hold it: ``checks``, each with its findings and statistics."""
    return {
        "source": SOURCE,
        "length": found.length,
        "motif": None if found.motif is None else found.motif.name,
        "motif_effect": plain(found.motif_effect),
        "sequences_explained": found.explained,
        "findings": len(found.findings),
        "unsettled": len(found.unsettled),
        "checks": [
            {
                "check": result.check,
                "title": result.title,
                "status": result.status,
                "summary": result.summary,
                "findings": [plain(vars(one)) for one in result.findings],
                "statistics": plain(result.statistics),
            }
            for result in found.results
        ],
    }


def _verdict(found: Audit) -> str:
    count = len(found.findings)
    missing = [result.check for result in found.results if not result.ran]
    ran = len(found.results) - len(missing)
    first = (
        f"**{count} finding{'s' if count > 1 else ''}** in {ran} checks."
        if count
        else f"**Nothing found** in {ran} checks."
    )
    unsettled = f" Unsettled: {len(found.unsettled)}." if found.unsettled else ""
    return first + unsettled + (f" Not run: {', '.join(missing)}." if missing else "")


def _counted(result: CheckResult) -> str:
    names = [
        one.name for one in result.findings if one.level == ("finding" if result.status == "findings" else "unsettled")
    ]
    return f": {', '.join(dict.fromkeys(names))}" if names else ""


def _told(one: Finding) -> list[str]:
    p = f", p = {one.p:.2g}" if one.p is not None else ""
    name = one.check if one.name == one.check else f"{one.check}: {one.name}"
    lines = [
        f"- **{name}.** {one.what[:1].upper()}{one.what[1:]}.",
        f"  - how large: {one.size:.2f} ({one.size_of}{p})",
    ]
    if one.positions:
        lines.append(f"  - distrust: {_places(one)}")
    lines.append(f"  - what to do: {one.remedy}.")
    return lines


def _places(one: Finding) -> str:
    unit = "offsets" if one.check == "offset" else "positions"
    if one.name == "comb":
        return (
            f"single {unit} everywhere ({len(one.positions)} at the outer phases, such as {spoken(one.positions, 3)})"
        )
    return f"{unit} {spoken(one.positions)} (0-based, half-open)"


def _method(found: Audit) -> str:
    limits = found.options.limits
    return (
        f"How: checks after {SOURCE}; {found.explained} sequences of {found.length} bases explained, seed "
        f"{found.options.seed}. Profiles are tested against each map turned by a random number of positions "
        f"({limits.draws} draws; a false alarm in at most {100 * limits.alpha:g} % of models without artifacts "
        f"for each kind of artifact and check). An edge is told from {100 * limits.edge:g} % off the interior "
        f"on, a stretch from {100 * limits.spot:g} %, a comb from {100 * limits.comb:g} %; what moves less "
        f"than {100 * limits.mass:g} % of the relevance is a note, not a finding. A pattern of the maps is "
        f"laid to the model if its score surely has more than {100 * MOST_OF_IT:g} % of it, to the explanation "
        f"if surely less than {100 * LITTLE_OF_IT:g} %; a motif's relevance is laid to the explanation only if "
        f"the score surely answers to it by less than {100 * limits.negligible:g} % of its answer to the motif "
        f"that it uses, and the map surely gives it more than that accounts for. These bounds are choices, as "
        f"the strands' tolerance and the amplitudes' are. **Nothing found** means that nothing beyond them was "
        f"seen in these sequences, not that nothing is there; what a motif does was asked of one copy of its "
        f"consensus in the backgrounds named above."
    )
