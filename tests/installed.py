"""What an environment holds into which nothing but seqplrp was installed; `make package` runs this in it.

It ends with an error that names what should not be there, or is missing. The tests of its own functions are in
test_installed.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CORE = {
    "biopython",
    "h5py",
    "logomaker",
    "matplotlib",
    "numpy",
    "pandas",
    "pybigtools",
    "pyfaidx",
    "pyyaml",
    "rich",
    "safetensors",
    "scikit-learn",
    "scipy",
    "torch",
    "typer",
}
OF_THE_ENVIRONMENT = {"pip", "setuptools", "wheel"}


def required(requirements: Iterable[str], extras: Iterable[str] = ()) -> dict[str, set[str]]:
    """Return what requirements ask for here, without extras or with some: names, with the extras asked of each."""
    found: dict[str, set[str]] = {}
    for text in requirements:
        one = Requirement(text)
        if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            found.setdefault(canonicalize_name(one.name), set()).update(one.extras)
    return found


def brought_by(name: str, installed: Mapping[str, Iterable[str]]) -> set[str]:
    """Return all that a distribution brings, itself with it: what it requires, what that requires, and so on.

    `installed` maps each name to its requirements. What is required and not installed is left out.
    """
    asked: list[tuple[str, set[str]]] = [(name, set())]
    reached: dict[str, set[str]] = {}
    while asked:
        one, extras = asked.pop()
        if one not in installed or (one in reached and extras <= reached[one]):
            continue
        reached.setdefault(one, set()).update(extras)
        asked.extend(required(installed[one], reached[one]).items())
    return set(reached)


def _installed(found: Iterable[Distribution]) -> dict[str, list[str]]:
    return {canonicalize_name(one.metadata["Name"]): one.requires or [] for one in found}


def main() -> None:
    import seqplrp

    here = distribution("seqplrp")
    place = Path(seqplrp.__file__).parent
    if Path(sys.prefix).resolve() not in place.resolve().parents:
        sys.exit(f"seqplrp is imported from {place}, not from the environment {sys.prefix}")
    direct = set(required(here.requires or []))
    if direct != CORE:
        sys.exit(f"the wheel asks for {sorted(direct - CORE)} beyond the core, and not for {sorted(CORE - direct)}")
    installed = _installed(distributions())
    more = set(installed) - brought_by("seqplrp", installed) - OF_THE_ENVIRONMENT
    if more:
        sys.exit(f"the environment holds what seqplrp does not ask for: {', '.join(sorted(more))}")
    for name in ("py.typed", "genomics/motif_files/LICENSE"):
        if not (place / name).is_file():
            sys.exit(f"the wheel lacks seqplrp/{name}")
    if seqplrp.motifs.load("CTCF").consensus != "GCCACCAGGGGGCGC":
        sys.exit("the motif library of the wheel has another CTCF than the project's")
    licences = {str(path) for path in here.files or [] if "license" in str(path).lower()}
    if len(licences) < 2:
        sys.exit(f"the wheel's licences are {sorted(licences)}; ours and the motifs' are to be there")
    print(f"seqplrp {here.version}: {len(direct)} core dependencies")
    print(f"{len(installed)} distributions in all, none that those do not bring")


if __name__ == "__main__":
    main()
