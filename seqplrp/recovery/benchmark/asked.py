"""Which measures are asked of which method, as protocols may be limited to some: known before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping

from seqplrp.recovery.benchmark.protocols import PROTOCOLS, Options, measures_of
from seqplrp.recovery.benchmark.variants import Variant


def asked_measures(protocols: Mapping[str, Options], variant: Variant, *, cut: bool = False) -> set[str]:
    """Return the measures that protocols give of a method.

    Parameters
    ----------
    protocols : mapping of str to Options
        By the names of `PROTOCOLS`.
    variant : Variant
    cut : bool
        Of its map cut to another one's sparsity, which is measured by what needs a map alone.
    """
    found: set[str] = set()
    for name, options in protocols.items():
        needs = PROTOCOLS[name].needs
        applies = needs == "map" if cut else (needs != "method" or variant.method is not None)
        if applies and (not options.methods or {variant.name, variant.family} & set(options.methods)):
            found |= set(measures_of({name: options}))
    return found
