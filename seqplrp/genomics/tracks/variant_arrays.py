"""What `seqplrp variants` keeps as arrays: both alleles of every variant, and which letters of them belong together."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from seqplrp.errors import SeqplrpError
from seqplrp.genomics.tracks.arrays import number_of, read_arrays

_ALPHABET, _UNKNOWN = 4, 4
_ALLELES = ("reference", "alternative")
_REMEDY = "give the variants.npz that `seqplrp variants` wrote"


@dataclass(frozen=True)
class VariantArrays:
    """What ``variants.npz`` holds of V variants in windows of W bases, for T targets.

    Parameters
    ----------
    targets : (T,) array of str
        What was explained.
    ids : (V,) array of str
        The variants, ``contig:POS:REF:ALT``; long alleles are shortened.
    contigs : (V,) array of str
        What each lies on.
    starts : (V,) int64 array
        0-based place at which both of its windows begin, before 0 where they were padded there. The variant's first
        letter is at index ``W // 2``.
    alignment : (columns, 2) int32 array
        The letters of all variants' sequences laid side by side: an index of the reference and one of the alternative
        each, -1 where the allele has no such letter. See `columns`.
    alignment_ends : (V,) int64 array
        Where each variant's rows of `alignment` end.
    codes_reference, codes_alternative : (V, W) uint8 array
        The letters, 0 to 3 for ACGT and 4 for N.
    relevance_reference, relevance_alternative : (V, T, W) float32 array
        Relevance of each position.
    hypothetical_reference, hypothetical_alternative : (V, T, 4, W) float32 array or None
        What each of ACGT would contribute; None if the method does not tell.
    relevance_spread_reference, relevance_spread_alternative : (V, T, W) float32 array or None
        Standard deviation of each position's relevance over several models; None where there was one.
    """

    targets: np.ndarray
    ids: np.ndarray
    contigs: np.ndarray
    starts: np.ndarray
    alignment: np.ndarray
    alignment_ends: np.ndarray
    codes_reference: np.ndarray
    codes_alternative: np.ndarray
    relevance_reference: np.ndarray
    relevance_alternative: np.ndarray
    hypothetical_reference: np.ndarray | None = None
    hypothetical_alternative: np.ndarray | None = None
    relevance_spread_reference: np.ndarray | None = None
    relevance_spread_alternative: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def index(self, id: str) -> int:
        """Return the number of the variant called ``id``.

        Raises
        ------
        SeqplrpError
            If there is none.
        """
        return number_of(id, self.ids, "variant")

    def columns(self, index: int) -> np.ndarray:
        """Return the rows of `alignment` of variant number ``index``: (columns, 2)."""
        begin = int(self.alignment_ends[index - 1]) if index else 0
        return self.alignment[begin : int(self.alignment_ends[index])]

    def aligned(self, index: int) -> np.ndarray:
        """Return the relevance of both alleles of variant number ``index``, letters that belong together side by side.

        Returns
        -------
        (2, T, columns) float32 array
            The reference, then the alternative; 0 where an allele has no such letter. Their difference is how the
            variant changes the map.
        """
        rows = self.columns(index).T
        found = np.zeros((len(_ALLELES), len(self.targets), rows.shape[1]), np.float32)
        for allele, (row, values) in enumerate(
            zip(rows, (self.relevance_reference[index], self.relevance_alternative[index]), strict=True)
        ):
            there = row >= 0
            found[allele][:, there] = values[:, row[there]]
        return found


def read_variants(path: str | os.PathLike[str]) -> VariantArrays:
    """Read ``variants.npz``. Nothing that is pickled is loaded.

    Raises
    ------
    SeqplrpError
        If the file is missing, is no npz, is damaged, or its arrays do not fit each other.
    """
    arrays = read_arrays(path, _REMEDY)
    known = fields(VariantArrays)
    missing = [field.name for field in known if field.name not in arrays and field.default is not None]
    if missing:
        raise SeqplrpError(path, f"has no array {missing[0]!r}", _REMEDY)
    fault = _fault(arrays)
    if fault:
        raise SeqplrpError(path, fault, _REMEDY)
    found: dict[str, Any] = {field.name: arrays.get(field.name) for field in known}
    return VariantArrays(**found)


def _fault(arrays: dict[str, np.ndarray]) -> str:
    """Say how arrays do not fit each other; empty where they do."""
    targets, variants, codes = arrays["targets"].size, arrays["ids"].size, arrays["codes_reference"]
    width = codes.shape[-1] if codes.ndim == 2 else 0
    expected: dict[str, tuple[str, tuple[Any, ...]]] = {
        "targets": ("U", (targets,)),
        **dict.fromkeys(("ids", "contigs"), ("U", (variants,))),
        **dict.fromkeys(("starts", "alignment_ends"), ("i", (variants,))),
        "alignment": ("i", (len(np.atleast_1d(arrays["alignment"])), len(_ALLELES))),
    }
    for allele in _ALLELES:
        expected[f"codes_{allele}"] = ("u", (variants, width))
        for name, shape in (("relevance", ()), ("hypothetical", (_ALPHABET,)), ("relevance_spread", ())):
            expected[f"{name}_{allele}"] = ("f", (variants, targets, *shape, width))
    for name, (kind, shape) in expected.items():
        if name in arrays and (arrays[name].dtype.kind != kind or arrays[name].shape != shape):
            return f"its array {name!r} does not fit the others"
    return _fault_of_values(arrays, width)


def _fault_of_values(arrays: dict[str, np.ndarray], width: int) -> str:
    ends, alignment = arrays["alignment_ends"], arrays["alignment"]
    if len(ends) and ((np.diff(ends, prepend=0) < 0).any() or ends[-1] != len(alignment)):
        return "its array 'alignment_ends' does not fit the others"
    if alignment.size and not (alignment.min() >= -1 and alignment.max() < width):
        return "its array 'alignment' holds indices that no sequence has"
    if any(arrays[f"codes_{allele}"].size and arrays[f"codes_{allele}"].max() > _UNKNOWN for allele in _ALLELES):
        return "its codes are not 0 to 4"
    pairs = [{f"{name}_{allele}" in arrays for allele in _ALLELES} for name in ("hypothetical", "relevance_spread")]
    return "it has contributions or spreads of one allele alone" if any(len(pair) == 2 for pair in pairs) else ""
