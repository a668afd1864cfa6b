"""Which measures are asked of which method, as protocols may be limited to some: known before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping

from seqplrp.benchmark.protocols import Options, Protocol, measures_of
from seqplrp.benchmark.variants import Variant


def asked_measures(
    known: Mapping[str, Protocol], protocols: Mapping[str, Options], variant: Variant, *, cut: bool = False
) -> set[str]:
    """Return the measures that protocols give of a method.

    Parameters
    ----------
    known : mapping of str to Protocol
        The domain's.
    protocols : mapping of str to Options
        By their names.
    variant : Variant
    cut : bool
        Of its map cut to another one's sparsity, which is measured by what needs a map alone.
    """
    found: set[str] = set()
    for name, options in protocols.items():
        applies = known[name].applies(map_alone=cut, has_method=variant.method is not None)
        if applies and options.asked_of((variant.name, variant.family)):
            found |= set(measures_of(known, {name: options}))
    return found
